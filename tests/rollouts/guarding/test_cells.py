"""The cells of `benchmarks/guards.py` with few runs and a fixed seed: false alarms stay rare, regressions are seen."""

from math import log

import numpy as np
import pytest

from benchmarks._guard_cells import CELLS, LOOKS, drawn
from rollouts.guarding.eprocess import add, log_e_fail, log_e_pass, start
from rollouts.guarding.planning import events_needed
from rollouts.plans.definition import GuardSpec

from .support import minutes, spec

RUNS = 40
THRESHOLD = log(20)


def first_look(guard: GuardSpec, rows, read=log_e_fail, *, before: int = 0) -> int:
    known = start(guard)
    for look, interval in enumerate(minutes(rows), 1 - before):
        known = add(known, interval)
        if read(known) >= THRESHOLD:
            return look
    return LOOKS + 1


@pytest.mark.parametrize("cell", [cell for cell in CELLS if not cell.is_advisory], ids=lambda cell: cell.name)
def test_cell__few_runs__keeps_to_its_goal(cell):
    runs = RUNS if not cell.before else 6
    draws = drawn(cell, runs, np.random.default_rng(20_260_801))
    guard = spec(margin=cell.margin or 0.0, is_success_metric=cell.is_success, design_effect=cell.design_effect)

    looks = np.array([first_look(guard, draws.rows(run), before=cell.before) for run in range(runs)])

    part = (looks <= LOOKS).mean()
    answers = {
        "alarm": part <= cell.goal + 0.05,
        "power": part >= cell.goal,
        "median": np.median(looks) <= cell.goal,
        "p90": np.quantile(looks, 0.9) <= cell.goal,
        "by_3": (looks <= 3).mean() >= cell.goal,
    }
    assert answers[cell.question]


@pytest.mark.parametrize(("ratio", "is_safe"), [(0.5, True), (1.0, True), (2.0, False)])
def test_pass__below_what_it_rules_out__is_shown_and_not_at_it(ratio, is_safe):
    random = np.random.default_rng(3)
    x_c, x_t = (random.binomial(500, 0.02 * times, (RUNS, LOOKS)).tolist() for times in (1, ratio))

    looks = np.array(
        [
            first_look(spec(), [(500, c, 500, t) for c, t in zip(control, treatment, strict=True)], log_e_pass)
            for control, treatment in zip(x_c, x_t, strict=True)
        ]
    )

    part = (looks <= LOOKS).mean()
    assert part >= 0.95 if is_safe else part <= 0.1


@pytest.mark.parametrize("ratio", [1.5, 2.0, 3.0, 5.0])
def test_planning__bad_units_until_the_breach__are_about_as_planned(ratio):
    random, events = np.random.default_rng(9), []
    for _ in range(RUNS):
        # One bad unit at a time, of either arm by the ratio.
        known, count = start(spec(margin=0.0)), 0
        while log_e_fail(known) < THRESHOLD:
            is_treated = random.random() < ratio / (1 + ratio)
            known = add(known, minutes([(1_000, int(not is_treated), 1_000, int(is_treated))], after=count)[0])
            count += 1
        events.append(count)

    assert 0.5 * events_needed(ratio) < np.mean(events) < 1.3 * events_needed(ratio)
