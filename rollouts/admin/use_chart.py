"""The burn-down of a flag's use as numbers for an SVG: a stacked column per day, and milestones as lines."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from rollouts.selectors.flag_use import FlagUseView, Mark

WIDTH, HEIGHT = 840, 150
GAP = 2.0
# A column so low that nobody saw it would be read as nothing.
LOWEST = 2.0


@dataclass(frozen=True, slots=True)
class Block:
    """What one service adds to a day's column; `tone` is its place among the series."""

    tone: int
    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True, slots=True)
class Line:
    """A milestone, or today."""

    x: float
    is_past: bool
    title: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything the template draws. `names` are the series in the order of their tones."""

    blocks: tuple[Block, ...]
    lines: tuple[Line, ...]
    today_x: float
    names: tuple[str, ...]
    first: date
    last: date
    highest: int

    width = WIDTH
    height = HEIGHT


def chart_of(view: FlagUseView) -> Chart | None:
    """The chart of a flag's use, as far ahead as its milestones go; None where nothing was evaluated."""
    if not view.series:
        return None
    last = max([view.days[-1], *(mark.at.astimezone(UTC).date() for mark in view.marks)])
    step = WIDTH / ((last - view.days[0]).days + 1)
    totals = [sum(counts) for counts in zip(*(counts for _, counts in view.series), strict=True)]
    highest = max(*totals, 1)
    return Chart(
        _blocks(view, step, highest),
        tuple(_line(mark, view.days[0], step) for mark in view.marks),
        round(len(view.days) * step, 1),
        tuple(name for name, _ in view.series),
        view.days[0],
        last,
        highest,
    )


def _blocks(view: FlagUseView, step: float, highest: int) -> tuple[Block, ...]:
    found = []
    for place, day in enumerate(view.days):
        top = float(HEIGHT)
        for tone, (name, counts) in enumerate(view.series):
            if not counts[place]:
                continue
            height = max(LOWEST, counts[place] * (HEIGHT - LOWEST * len(view.series)) / highest)
            top -= height
            title = f"{day:%d %B}: {name}, {counts[place]:,}"
            x = place * step + GAP / 2
            found.append(Block(tone, round(x, 1), round(top, 1), round(step - GAP, 1), round(height, 1), title))
    return tuple(found)


def _line(mark: Mark, first: date, step: float) -> Line:
    begins = datetime.combine(first, datetime.min.time(), UTC)
    x = (mark.at - begins) / timedelta(days=1) * step
    return Line(round(x, 1), mark.is_past, f"{mark.words}, {mark.at:%d %B %Y}")
