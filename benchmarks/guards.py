"""How often guards raise a false alarm, and how soon they see a regression. Run: python benchmarks/guards.py [--quick]

48 looks, 500 units per arm and look, 1 % of them bad, level 5 %, where a cell says nothing else. numpy draws the
counts; the product's own functions add them up and judge at every look, as the engine does. A cell about false alarms
fails only if the lower bound of its 99 % Wilson interval lies above its goal. The margin is 0 unless a cell has one,
which is the hardest null; another column repeats each cell with the margin of 10 % that guards usually have.
"""

import platform
import sys
import time
from datetime import UTC, datetime, timedelta
from math import log, sqrt
from pathlib import Path
from typing import NamedTuple

# In place of this folder, whose http.py would hide that of the standard library.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from scipy.stats import norm

from benchmarks._guard_cells import CELLS, LOOKS, Cell, Draws, drawn
from rollouts.guarding.counts import Interval
from rollouts.guarding.eprocess import add, log_e_fail, start
from rollouts.guarding.judging import judge_guard
from rollouts.guarding.outcomes import GuardOutcome
from rollouts.guarding.planning import events_needed
from rollouts.guarding.ratio import ShareEvidence, log_skews, skew_of, with_shares
from rollouts.plans.definition import GuardSpec, MetricKind

ALPHA = 0.05
SEED = 20_260_801
NEVER = LOOKS + 1
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
STOPS = {GuardOutcome.BREACH, GuardOutcome.HARD_BREAK}
_Z = float(norm.ppf(0.995))


class Run(NamedTuple):
    """What one run came to: the looks of the first breach, pass and shared incident, and the units treated until the
    breach."""

    breach: int
    passed: int
    incident: int
    treated: int


def guard(*, margin: float, is_success: bool = False, design_effect: float = 1.0) -> GuardSpec:
    """The guard of a cell."""
    kind = MetricKind.CONVERSION if is_success else MetricKind.ERROR_RATE
    return GuardSpec(
        "m",
        "Metric",
        kind,
        "flag",
        "on",
        "off",
        margin=margin,
        is_success_metric=is_success,
        design_effect=design_effect,
    )


def judged(spec: GuardSpec, rows: list[tuple[int, int, int, int, int, int, int, bool]], before: int = 0) -> Run:
    """One run, judged at every look until it is stopped, and once an hour in the minutes before that."""
    known, passed, incident, treated = start(spec), NEVER, NEVER, 0
    for look, row in enumerate(rows, 1 - before):
        minute = BEGIN + (before + look) * MINUTE
        known = add(known, Interval(minute, *row))
        if look < 1 and look % 60:
            continue
        treated += row[2] if look > 0 else 0
        found = judge_guard(
            spec, known, alpha_m=ALPHA, now=minute + MINUTE, sampled_at=minute, started_at=BEGIN
        ).outcome
        if found in STOPS:
            return Run(look, passed, incident, treated)
        passed = min(passed, look) if found == GuardOutcome.HEALTHY else passed
        incident = min(incident, look) if found == GuardOutcome.SHARED_INCIDENT else incident
    return Run(NEVER, passed, incident, treated)


def all_judged(spec: GuardSpec, draws: Draws) -> list[Run]:
    """All runs of a cell."""
    before = draws.x_control.shape[1] - LOOKS
    return [judged(spec, draws.rows(run), before) for run in range(len(draws.x_control))]


def wilson(hits: int, runs: int) -> tuple[float, float]:
    """The 99 % interval of a part (Wilson 1927)."""
    part, square = hits / runs, _Z * _Z
    middle = (part + square / (2 * runs)) / (1 + square / runs)
    half = _Z * sqrt(part * (1 - part) / runs + square / (4 * runs * runs)) / (1 + square / runs)
    return middle - half, middle + half


def answer(cell: Cell, runs: list[Run]) -> tuple[str, bool]:
    """The figure of a cell in words, and whether its goal is met."""
    looks = np.array([run.breach for run in runs])
    hits = int((looks <= LOOKS).sum())
    part = f"{100 * hits / len(runs):.1f} %"
    match cell.question:
        case "alarm":
            low, high = wilson(hits, len(runs))
            return f"{part} ({100 * max(low, 0):.1f} to {100 * high:.1f})", low <= cell.goal
        case "power":
            return part, hits / len(runs) >= cell.goal
        case "median":
            look, treated = np.median(looks), np.median([run.treated for run in runs])
            return f"look {look:g} / {treated:,.0f} units", bool(look <= cell.goal)
        case "p90":
            look = np.quantile(looks, 0.9, method="inverted_cdf")
            return f"look {look:g}", bool(look <= cell.goal)
        case _:
            caught = float((looks <= 3).mean())
            return f"{100 * caught:.1f} %", caught >= cell.goal


def naive_z(cell: Cell, draws: Draws) -> float:
    """The part of runs in which a one-sided z test at every look, on all counts so far, is significant once."""
    n_c, x_c, n_t, x_t = (
        np.cumsum(column, axis=1) for column in (draws.n_control, draws.x_control, draws.n_treatment, draws.x_treatment)
    )
    tolerated = (1 + (cell.margin or 0)) * x_c / n_c
    pooled = (x_c + x_t) / (n_c + n_t)
    spread = np.sqrt(np.maximum(pooled * (1 - pooled), 1e-12) * (1 / n_c + 1 / n_t))
    return float(((x_t / n_t - tolerated) / spread > norm.ppf(1 - ALPHA)).any(axis=1).mean())


def cells(count: int, random: np.random.Generator) -> bool:
    """All cells; whether all goals are met."""
    print("| Cell | goal | margin 0 | with a margin of 10 % | z at every look |\n| --- | --- | --- | --- | --- |")
    fine = True
    for cell in CELLS:
        draws = drawn(cell, max(40, count // (1 + cell.before // 400)), random)
        strict, usual_guard = (
            guard(margin=margin, is_success=cell.is_success, design_effect=cell.design_effect)
            for margin in (cell.margin or 0.0, 0.1)
        )
        said, is_met = answer(cell, all_judged(strict, draws))
        usual = "-" if cell.margin else answer(cell, all_judged(usual_guard, draws))[0]
        naive = f"{100 * naive_z(cell, draws):.1f} %" if cell.question == "alarm" and not cell.is_success else "-"
        mark = "" if is_met else " (advisory)" if cell.is_advisory else " **missed**"
        print(f"| {cell.name} | {_goal(cell)} | {said}{mark} | {usual} | {naive} |", flush=True)
        fine = fine and (is_met or cell.is_advisory)
    return fine


def _goal(cell: Cell) -> str:
    words = {"alarm": f"<= {100 * cell.goal:g} %", "power": f">= {100 * cell.goal:g} %", "by_3": ">= 99 % by look 3"}
    return words.get(cell.question, f"{cell.question} <= look {cell.goal:g}")


def passes(count: int, random: np.random.Generator) -> None:
    """How often “safe” is shown, rightly and wrongly, and how often a shared incident is held."""
    print("\n| Passing (below x2), holding | runs with it | median look |\n| --- | --- | --- |")
    for name, ratio in (("treatment the same", 1.0), ("treatment better, x0.5", 0.5), ("wrongly, at x2", 2.0)):
        draws = drawn(Cell(name, "pass", 0, ratio=ratio), count, random)
        # A margin so close to x2 that no breach ends the run before.
        looks = np.array([run.passed for run in all_judged(guard(margin=0.999), draws)])
        print(f"| pass: {name} | {100 * (looks <= LOOKS).mean():.1f} % | {_median(looks)} |", flush=True)
    for name, shape in (("incident from look 21 on", "incident"), ("flat null", "flat"), ("drifting base", "ramp")):
        draws = drawn(Cell(name, "hold", 0, shape=shape), count, random)
        looks = np.array([run.incident for run in all_judged(guard(margin=0.1), draws)])
        print(f"| shared incident: {name} | {100 * (looks <= LOOKS).mean():.1f} % | {_median(looks)} |", flush=True)


def shares(count: int, random: np.random.Generator) -> None:
    """How often shares that are off are seen, where 50 % are promised."""
    print("\n| Shares promised half and half | held | median look |\n| --- | --- | --- |")
    for name, part, is_same in (
        ("half, other people at each look", 0.5, False),
        ("half, the same people at each look", 0.5, True),
        ("52 to 48", 0.48, False),
        ("55 to 45", 0.45, False),
        ("60 to 40", 0.4, False),
        ("90 to 10", 0.1, False),
    ):
        looks = np.array([_skewed(random, part, is_same=is_same) for _ in range(count)])
        print(f"| {name} | {100 * (looks <= LOOKS).mean():.1f} % | {_median(looks)} |", flush=True)


def _skewed(random: np.random.Generator, part: float, *, is_same: bool) -> int:
    drawn_once = random.binomial(1_000, part)
    evidence = ShareEvidence()
    for look in range(1, LOOKS + 1):
        treated = int(drawn_once if is_same else random.binomial(1_000, part))
        interval = Interval(BEGIN + look * MINUTE, 1_000 - treated, 0, treated, 0, 50_000, 50_000)
        evidence = with_shares(evidence, interval)
        if skew_of(log_skews(evidence)):
            return look
    return NEVER


def planning(count: int, random: np.random.Generator) -> None:
    """Bad units until the breach, beside what planning says."""
    print("\n| Bad units until x... is seen | planned | median | mean |\n| --- | --- | --- | --- |")
    for ratio in (1.5, 2.0, 3.0, 5.0):
        # So few per look that the look does not blur the count.
        draws = _long(ratio, count, random)
        events = [_events_until_breach(draws.rows(run)) for run in range(count)]
        print(f"| x{ratio:g} | {events_needed(ratio)} | {np.median(events):.0f} | {np.mean(events):.0f} |", flush=True)


def _events_until_breach(rows: list[tuple[int, int, int, int, int, int, int, bool]]) -> int:
    known, events = start(guard(margin=0.0)), 0
    for look, row in enumerate(rows):
        known = add(known, Interval(BEGIN + look * MINUTE, *row))
        events += row[1] + row[3]
        if log_e_fail(known) >= log(1 / ALPHA):
            break
    return events


def _long(ratio: float, count: int, random: np.random.Generator) -> Draws:
    shape = (count, 1_500)
    units = np.full(shape, 60)
    return Draws(units, random.binomial(60, 0.005, shape), units, random.binomial(60, 0.005 * ratio, shape))


def _median(looks: np.ndarray) -> str:
    middle = float(np.median(looks))
    return f"{middle:g}" if middle <= LOOKS else "-"


def speed() -> None:
    """What one closed minute costs."""
    spec, rows = guard(margin=0.1), [(500, 5, 500, 6)] * 2_000
    known, begun = start(spec), time.process_time()
    for number, row in enumerate(rows):
        known = add(known, Interval(BEGIN + number * MINUTE, *row))
    added = (time.process_time() - begun) / len(rows)
    begun = time.process_time()
    for _ in rows:
        judge_guard(spec, known, alpha_m=ALPHA, now=BEGIN, sampled_at=BEGIN, started_at=BEGIN)
    looked = (time.process_time() - begun) / len(rows)
    print(f"\nOne minute added: {added * 1e6:.0f} µs of CPU; one judgement: {looked * 1e6:.0f} µs.")


def main() -> None:
    """All tables."""
    count = 200 if "--quick" in sys.argv else 1_000
    print(f"{count} runs a cell; CPython {platform.python_version()}, numpy {np.__version__}, seed {SEED}\n")
    # A generator for each table, so that one can be run alone.
    fine = cells(count, np.random.default_rng(SEED))
    passes(count, np.random.default_rng(SEED + 1))
    shares(count, np.random.default_rng(SEED + 2))
    planning(count // 2, np.random.default_rng(SEED + 3))
    speed()
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
