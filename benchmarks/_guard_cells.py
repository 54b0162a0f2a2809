"""The worlds in which guards are tried: how many units each arm has at each look, and how many of them go wrong."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LOOKS = 48
Counts = NDArray[np.int64]
Rates = NDArray[np.float64]


@dataclass(frozen=True)
class Cell:
    """One world. `ratio` is the true one. `goal` is what must come out, told by `question`:

    alarm: the part of runs with a false breach, whose 99 % Wilson bound may not lie above the goal; power: the part of
    runs with a breach; median, p90: the look by which a half or nine tenths of all runs have one; by_3: the part of
    runs with one by look 3. Looks are counted from after the `before` healthy minutes, of which `share` of all units
    were treated; `stages`: the regression begins with a new stage. `events`: what is counted are events, of which
    `design_effect` belong to one person. `invented`: bad units of the treatment that somebody adds at look 11.
    """

    name: str
    question: str
    goal: float
    ratio: float = 1.0
    base: float = 0.01
    units: int = 500
    margin: float | None = None
    is_success: bool = False
    is_advisory: bool = False
    shape: str = "flat"
    share: float = 0.5
    before: int = 0
    stages: int = 1
    design_effect: float = 1.0
    invented: int = 0
    weights: tuple[int, int] = (0, 0)


CELLS = (
    Cell("flat null", "alarm", 0.05),
    Cell("ramp with a drifting base", "alarm", 0.05, shape="ramp"),
    Cell("20 units per look", "alarm", 0.05, units=20),
    Cell("rare events, 0.1 %", "alarm", 0.05, base=0.001),
    Cell("high rate, 30 %", "alarm", 0.05, base=0.3),
    Cell("5 % split", "alarm", 0.05, shape="five"),
    Cell("shared incident, 1 to 20 %", "alarm", 0.05, shape="incident"),
    Cell("at a margin of 20 %", "alarm", 0.05, ratio=1.2, margin=0.2),
    Cell("at a margin of 20 %, 20 % bad", "alarm", 0.05, ratio=1.2, margin=0.2, base=0.2),
    Cell("conversion of 3 %, the same", "alarm", 0.05, base=0.97, is_success=True),
    Cell("conversion of 50 %, the same", "alarm", 0.05, base=0.5, is_success=True),
    Cell("treatment better, x0.5", "alarm", 0.001, ratio=0.5),
    Cell("conversion of 30 %, 5 % hold-back", "alarm", 0.05, base=0.7, units=20, share=0.95, is_success=True),
    Cell("conversion of 10 %, 5 % hold-back", "alarm", 0.05, base=0.9, units=20, share=0.95, is_success=True),
    Cell("95/5, both arms 50 % bad for ten looks", "alarm", 0.05, units=50, share=0.95, shape="outage"),
    Cell("five stages in a day", "alarm", 0.05, units=50, before=1_440, stages=5),
    Cell("10,000 invented errors at one look", "alarm", 0.05, share=0.1, invented=10_000, weights=(90_000, 10_000)),
    Cell("110 errors of one key at one look", "alarm", 0.05, share=0.1, invented=110, weights=(90_000, 10_000)),
    Cell("events, three of one person", "alarm", 0.05, shape="triples", design_effect=3.0),
    Cell("people who stay bad for 5 looks", "alarm", 0.05, shape="clustered", is_advisory=True),
    Cell("x1.5 by the end", "power", 0.8, ratio=1.5),
    Cell("x2", "median", 8, ratio=2.0),
    Cell("x5", "p90", 8, ratio=5.0),
    Cell("x20", "by_3", 0.99, ratio=20.0),
    Cell("x3 with 60 units per look", "power", 0.8, ratio=3.0, units=60),
    Cell("x3 with a new stage, after a day", "median", 10, ratio=3.0, units=250, before=1_440, stages=2),
    Cell("x3 within a stage, after a day", "median", 15, ratio=3.0, units=250, before=1_440),
    Cell("x2 with a new stage, after a day", "median", 24, ratio=2.0, units=250, before=1_440, stages=2),
    Cell(
        "x3, events at 5 %, three of one person",
        "power",
        0.8,
        ratio=3.0,
        units=1_500,
        share=0.05,
        shape="triples",
        design_effect=3.0,
    ),
    Cell("conversion of 3 % falls to 2 %", "power", 0.8, base=0.97, ratio=0.98 / 0.97, is_success=True),
    Cell("conversion of 97 % falls to 94 %", "power", 0.8, base=0.03, ratio=2.0, is_success=True),
    Cell("conversion of 50 % falls to 40 %", "power", 0.8, base=0.5, ratio=1.2, is_success=True),
)


@dataclass(frozen=True)
class Draws:
    """Counts by run and look."""

    n_control: Counts
    x_control: Counts
    n_treatment: Counts
    x_treatment: Counts

    weights: tuple[int, int] = (0, 0)
    stages: tuple[int, ...] = ()
    has_events: bool = False

    def rows(self, run: int) -> list[tuple[int, int, int, int, int, int, int, bool]]:
        """The minutes of one run, as intervals take them."""
        columns = (self.n_control, self.x_control, self.n_treatment, self.x_treatment)
        counts = zip(*(column[run].tolist() for column in columns), strict=True)
        stages = self.stages or (1,) * len(self.x_control[run])
        return [(*row, *self.weights, stage, self.has_events) for row, stage in zip(counts, stages, strict=True)]


def drawn(cell: Cell, runs: int, random: np.random.Generator) -> Draws:
    """That many runs of a cell."""
    n_control, n_treatment = _units(cell)
    base, ratio = _base(cell), _ratio(cell)
    shape = (runs, cell.before + LOOKS)
    n_control, n_treatment = (np.broadcast_to(units, shape) for units in (n_control, n_treatment))
    worse = np.minimum(base * ratio, 1.0)
    if cell.shape == "clustered":
        bad = [_clustered(cell, shape, random) for _ in range(2)]
    elif cell.shape == "triples":
        bad = [
            3 * random.binomial(units // 3, rate, shape) for units, rate in ((n_control, base), (n_treatment, worse))
        ]
    else:
        bad = [random.binomial(n_control, base, shape), random.binomial(n_treatment, worse, shape)]
    if cell.invented:
        at = np.arange(shape[1]) == 10
        n_treatment, bad[1] = n_treatment + cell.invented * at, bad[1] + cell.invented * at
    return Draws(n_control, bad[0], n_treatment, bad[1], cell.weights, _stages(cell), cell.design_effect > 1)


def _units(cell: Cell) -> tuple[Counts, Counts]:
    total, looks = 2 * cell.units, cell.before + LOOKS
    shares = {"ramp": np.repeat([0.01, 0.05, 0.1, 0.25, 0.5, 0.75], LOOKS // 6), "five": np.full(LOOKS, 0.05)}
    treated = np.rint(total * shares.get(cell.shape, np.full(looks, cell.share))).astype(np.int64)
    return total - treated, treated


def _base(cell: Cell) -> Rates:
    base = np.full(cell.before + LOOKS, cell.base)
    if cell.shape == "ramp":
        return np.linspace(cell.base / 2, cell.base * 4, LOOKS)
    if cell.shape in {"incident", "outage"}:
        base[20:30] = 0.2 if cell.shape == "incident" else 0.5
    return base


def _ratio(cell: Cell) -> Rates:
    """The ratio at each look: 1 while all is healthy."""
    return np.where(np.arange(cell.before + LOOKS) < cell.before, 1.0, cell.ratio)


def _stages(cell: Cell) -> tuple[int, ...]:
    """The stage of each look: the last one begins after the healthy minutes, those before it are as long as each
    other."""
    earlier = max(1, cell.stages - 1)
    before = [1 + look * earlier // cell.before for look in range(cell.before)]
    return (*before, *[cell.stages] * LOOKS)


def _clustered(cell: Cell, shape: tuple[int, int], random: np.random.Generator) -> Counts:
    """Bad units of an arm where whoever goes wrong does so at five looks in a row."""
    fresh = random.poisson(cell.units * cell.base / 5, (shape[0], shape[1] + 4))
    return np.minimum(sum(fresh[:, begin : begin + shape[1]] for begin in range(5)), cell.units)
