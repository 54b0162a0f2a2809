"""Lines over time as SVG: one per variant, their boundary, and what is missing as a gap with words."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from django.utils import timezone
from django.utils.formats import date_format

WIDTH, HEIGHT = 640, 200
LEFT, RIGHT, TOP, BOTTOM = 52, 10, 14, 28
_TICKS = 4
_LEAST_SPAN = 1e-9
_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)

Point = tuple[datetime, float | None]


@dataclass(frozen=True, slots=True)
class Series:
    """One line: what it is called, its class in the style sheet, and its points; None is a gap, never zero."""

    name: str
    look: str
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class Line:
    """A series as it is drawn: a path with gaps, and single points that no path would show."""

    name: str
    look: str
    path: str
    dots: Sequence[tuple[float, float]]
    last: float | None


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time from one place to another."""

    x: float
    width: float
    words: str

    @property
    def middle(self) -> float:
        """Where its words stand."""
        return round(self.x + self.width / 2, 1)


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on an axis with its words."""

    at: float
    words: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything that is drawn. `marks` are instants with words, such as where a stage began."""

    lines: Sequence[Line]
    gaps: Sequence[Span]
    marks: Sequence[Tick]
    across: Sequence[Tick]
    up: Sequence[Tick]

    width = WIDTH
    height = HEIGHT
    left = LEFT
    right = WIDTH - RIGHT
    top = TOP
    bottom = HEIGHT - BOTTOM
    words_at = HEIGHT - 8
    plot_height = HEIGHT - BOTTOM - TOP
    middle = (TOP + HEIGHT - BOTTOM) // 2


def chart_of(
    series: Sequence[Series],
    *,
    marks: Iterable[tuple[datetime, str]] = (),
    gaps: Iterable[tuple[datetime, datetime, str]] = (),
) -> Chart | None:
    """The chart of shares at the same instants; None where there is too little to draw. `gaps` say what is missing."""
    instants = sorted({at for line in series for at, _ in line.points})
    values = [value for line in series for _, value in line.points if value is not None]
    if len(instants) < 2 or not values:
        return None
    start, end = instants[0], instants[-1]
    highest = _nice(max(*values, _LEAST_SPAN))
    return Chart(
        lines=[_line(one, start, end, highest) for one in series],
        gaps=[
            _span(max(since, start), min(until, end), words, start, end) for since, until, words in gaps if since < end
        ],
        marks=[Tick(_x(at, start, end), words) for at, words in marks if start <= at <= end],
        across=_across(start, end),
        up=[Tick(_y(value, highest), rate_words(value)) for value in _steps(highest)],
    )


def rate_words(value: float | None) -> str:
    """A share as the axis and the table say it."""
    return "no data" if value is None else f"{100 * value:.3g} %"


def _x(at: datetime, start: datetime, end: datetime) -> float:
    share = (at - start) / (end - start)
    return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)


def _y(value: float, highest: float) -> float:
    return round(HEIGHT - BOTTOM - min(1.0, value / highest) * (HEIGHT - TOP - BOTTOM), 1)


def _nice(highest: float) -> float:
    """The next round number above, so that ticks can be read."""
    unit = 1.0
    while unit > highest:
        unit /= 10
    while unit * 10 < highest:
        unit *= 10
    return next(unit * step for step in _NICE if unit * step >= highest)


def _line(series: Series, start: datetime, end: datetime, highest: float) -> Line:
    path, dots, last = [], [], None
    for is_known, group in groupby(series.points, key=lambda point: point[1] is not None):
        if not is_known:
            continue
        places = [(_x(at, start, end), _y(value, highest)) for at, value in group if value is not None]
        if len(places) == 1:
            dots += places
        else:
            path.append("M" + "L".join(f"{x} {y}" for x, y in places))
        last = places[-1][1]
    return Line(series.name, series.look, "".join(path), dots, last)


def _span(since: datetime, until: datetime, words: str, start: datetime, end: datetime) -> Span:
    x = _x(since, start, end)
    return Span(x, round(_x(until, start, end) - x, 1), words)


def _across(start: datetime, end: datetime) -> list[Tick]:
    pattern = "H:i" if (end - start).days < 1 else "j M, H:i"
    places = [start, start + (end - start) / 2, end]
    return [Tick(_x(at, start, end), date_format(timezone.localtime(at), pattern)) for at in places]


def _steps(highest: float) -> list[float]:
    return [highest * step / _TICKS for step in range(_TICKS + 1)]
