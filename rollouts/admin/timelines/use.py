"""Who still evaluates a flag that ends: a column per day, and the services by name."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from flags.selectors.residual import ResidualUse, burn_down, has_figures, residual_use
from flags.telemetry.labels import ALL_AT_ONCE, said
from rollouts.models import DeprecationTimeline
from rollouts.plans.words import amount

DAYS = 28
WIDTH, HEIGHT = 560, 96
GAP = 3
# A column so low that nobody saw it would be read as nothing.
LOWEST = 2
MOST_SERVICES = 8


@dataclass(frozen=True, slots=True)
class DayColumn:
    """One day in the chart."""

    day: date
    count: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class ServiceLine:
    """One service: how often and when it evaluated the flag last."""

    name: str
    count: str
    last_at: datetime
    versions: str


@dataclass(frozen=True, slots=True)
class Use:
    """The use of a flag in an environment over four weeks. `has_figures` False: nothing was reported at all."""

    has_figures: bool
    sentence: str
    total: int = 0
    columns: Sequence[DayColumn] = ()
    services: Sequence[ServiceLine] = ()
    more: int = 0

    width = WIDTH
    height = HEIGHT

    @property
    def highest(self) -> str:
        """The most evaluations of a day, in words."""
        return amount(max((column.count for column in self.columns), default=0))


def use_of(timeline: DeprecationTimeline, *, now: datetime) -> Use:
    """The use of a timeline's flag where it ends: three queries."""
    today = now.astimezone(UTC).date()
    since = datetime.combine(today - timedelta(days=DAYS - 1), datetime.min.time(), UTC)
    place, key = timeline.environment, timeline.flag.key
    rows = residual_use([place.pk], [key], since=since, now=now)
    if not rows and not has_figures(place.pk, since):
        text = f"No service reported evaluations in {place.name} in the last {DAYS} days. Missing figures are not zero."
        return Use(False, text)
    services = burn_down(rows)
    days = [today - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]
    counts = [sum(by_day.get(day, 0) for by_day in services.values()) for day in days]
    lines = [_line(name, sum(by_day.values()), rows) for name, by_day in services.items()]
    return Use(
        True,
        _sentence(counts, services),
        sum(counts),
        _columns(days, counts),
        lines[:MOST_SERVICES],
        max(0, len(lines) - MOST_SERVICES),
    )


def _line(name: str, count: int, rows: Sequence[ResidualUse]) -> ServiceLine:
    own = [row for row in rows if row.service == name]
    versions = ", ".join(sorted({row.version for row in own if row.version})[:3])
    return ServiceLine(name, amount(count), max(row.last_at for row in own), versions)


def _sentence(counts: Sequence[int], services: Collection[str]) -> str:
    week, before = sum(counts[-7:]), sum(counts[-14:-7])
    if not sum(counts):
        return f"Nobody evaluated it in the last {DAYS} days."
    by = _who(services)
    lead = f"{amount(week)} evaluations in the last 7 days by {by}" if week else "No evaluation in the last 7 days"
    if not before:
        return f"{lead}."
    change = round(100 * (week - before) / before)
    if change == 0:
        return f"{lead}, as many as the week before."
    return f"{lead}, {abs(change):,} % {'more' if change > 0 else 'less'} than the week before."


def _who(services: Collection[str]) -> str:
    named = len(set(services) - {ALL_AT_ONCE})
    found = [] if not named else ["1 service" if named == 1 else f"{named} services"]
    return " and ".join([*found, *([said(ALL_AT_ONCE)] if ALL_AT_ONCE in services else [])])


def _columns(days: Sequence[date], counts: Sequence[int]) -> list[DayColumn]:
    width, highest = WIDTH / len(days), max(*counts, 1)
    found = []
    for place, (day, count) in enumerate(zip(days, counts, strict=True)):
        height = max(LOWEST, round(count * HEIGHT / highest, 1)) if count else 0
        x = round(place * width + GAP / 2, 1)
        found.append(DayColumn(day, count, x, round(HEIGHT - height, 1), round(width - GAP, 1), height))
    return found
