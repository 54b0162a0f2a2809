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
    runs with one by look 3.
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
    Cell("people who stay bad for 5 looks", "alarm", 0.05, shape="clustered", is_advisory=True),
    Cell("x1.5 by the end", "power", 0.8, ratio=1.5),
    Cell("x2", "median", 8, ratio=2.0),
    Cell("x5", "p90", 8, ratio=5.0),
    Cell("x20", "by_3", 0.99, ratio=20.0),
    Cell("x3 with 60 units per look", "power", 0.8, ratio=3.0, units=60),
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

    def rows(self, run: int) -> list[tuple[int, int, int, int]]:
        """The minutes of one run."""
        columns = (self.n_control, self.x_control, self.n_treatment, self.x_treatment)
        return list(zip(*(column[run].tolist() for column in columns), strict=True))


def drawn(cell: Cell, runs: int, random: np.random.Generator) -> Draws:
    """That many runs of a cell."""
    n_control, n_treatment = _units(cell)
    base = _base(cell)
    shape = (runs, LOOKS)
    if cell.shape == "clustered":
        bad = [_clustered(cell, shape, random) for _ in range(2)]
    else:
        worse = np.minimum(base * cell.ratio, 1.0)
        bad = [random.binomial(n_control, base, shape), random.binomial(n_treatment, worse, shape)]
    return Draws(np.broadcast_to(n_control, shape), bad[0], np.broadcast_to(n_treatment, shape), bad[1])


def _units(cell: Cell) -> tuple[Counts, Counts]:
    total = 2 * cell.units
    shares = {"ramp": np.repeat([0.01, 0.05, 0.1, 0.25, 0.5, 0.75], LOOKS // 6), "five": np.full(LOOKS, 0.05)}
    share = shares.get(cell.shape, np.full(LOOKS, 0.5))
    treated = np.rint(total * share).astype(np.int64)
    return total - treated, treated


def _base(cell: Cell) -> Rates:
    base = np.full(LOOKS, cell.base)
    if cell.shape == "ramp":
        return np.linspace(cell.base / 2, cell.base * 4, LOOKS)
    if cell.shape == "incident":
        base[20:30] = 0.2
    return base


def _clustered(cell: Cell, shape: tuple[int, int], random: np.random.Generator) -> Counts:
    """Bad units of an arm where whoever goes wrong does so at five looks in a row."""
    fresh = random.poisson(cell.units * cell.base / 5, (shape[0], shape[1] + 4))
    return np.minimum(sum(fresh[:, begin : begin + shape[1]] for begin in range(5)), cell.units)
