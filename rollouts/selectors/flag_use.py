"""Who still uses a flag in every environment a person may look at, and how that goes down towards its end."""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from flags.models import Environment, Flag, ServiceOwner
from flags.selectors.residual import ResidualUse, burn_down, has_figures, residual_use
from flags.selectors.service_owners import NOBODYS, owners_of
from flags.telemetry.labels import ALL_AT_ONCE
from rollouts.deprecations.transitions import LIVE_STATES
from rollouts.deprecations.words import milestone_name
from rollouts.models import DeprecationTimeline
from rollouts.selectors.timelines.ground import definition_of

DAYS = 30
AHEAD_DAYS = 60
MOST_SERIES = 4
OTHERS = "other services"


@dataclass(frozen=True, slots=True)
class UseLine:
    """One service and version in one environment. `recent` counts seven days."""

    environment: Environment
    use: ResidualUse
    recent: int
    owner: ServiceOwner | None

    @property
    def is_service(self) -> bool:
        """Whether somebody could answer for it."""
        return self.use.service not in NOBODYS


@dataclass(frozen=True, slots=True)
class Mark:
    """A milestone of a running timeline in the chart."""

    at: datetime
    words: str
    is_past: bool


@dataclass(frozen=True, slots=True)
class FlagUseView:
    """The use of a flag: lines for the table, evaluations by service and day for the chart, milestones beside them.

    `silent` are environments that reported no evaluation of any flag: nothing is known there.
    """

    lines: tuple[UseLine, ...]
    days: tuple[date, ...]
    series: tuple[tuple[str, tuple[int, ...]], ...]
    marks: tuple[Mark, ...]
    silent: tuple[Environment, ...]

    @property
    def recent(self) -> int:
        """Evaluations in seven days."""
        return sum(line.recent for line in self.lines)

    @property
    def is_in_bulk(self) -> bool:
        """Whether clients that ask for all flags at once got it."""
        return any(line.use.service == ALL_AT_ONCE for line in self.lines)

    @property
    def unowned(self) -> list[str]:
        """Services nobody answers for, by name."""
        return sorted({line.use.service for line in self.lines if line.is_service and line.owner is None})


def flag_use(flag: Flag, environments: Sequence[Environment], *, now: datetime) -> FlagUseView:
    """The use of a flag in the last 30 days: four queries, and one for each environment without any."""
    today = now.astimezone(UTC).date()
    days = tuple(today - timedelta(days=back) for back in range(DAYS - 1, -1, -1))
    since = datetime.combine(days[0], datetime.min.time(), UTC)
    uses = residual_use([each.pk for each in environments], [flag.key], since=since, now=now)
    by_id = {each.pk: each for each in environments}
    owners = owners_of(flag.project_id, {use.service for use in uses})
    week = today - timedelta(days=6)
    used_in = {use.environment_id for use in uses}
    return FlagUseView(
        tuple(UseLine(by_id[use.environment_id], use, use.count_since(week), owners.get(use.service)) for use in uses),
        days,
        _series(uses, days),
        _marks(flag, by_id.keys(), now=now),
        tuple(each for each in environments if each.pk not in used_in and not has_figures(each.pk, since)),
    )


def _series(uses: Sequence[ResidualUse], days: Sequence[date]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """The busiest services by day, the others together."""
    found = [(name, tuple(by_day.get(day, 0) for day in days)) for name, by_day in burn_down(uses).items()]
    shown, rest = found[:MOST_SERIES], found[MOST_SERIES:]
    if rest:
        shown.append((OTHERS, tuple(sum(counts) for counts in zip(*(each for _, each in rest), strict=True))))
    return tuple(shown)


def _marks(flag: Flag, environment_ids: Collection[uuid.UUID], *, now: datetime) -> tuple[Mark, ...]:
    """Milestones of running timelines, from the first day of the chart until two months ahead."""
    timelines = DeprecationTimeline.objects.filter(
        flag=flag, environment__in=environment_ids, state__in=[state.value for state in LIVE_STATES]
    ).select_related("environment")
    found = []
    for timeline in timelines:
        for number, milestone in enumerate(definition_of(timeline).milestones, start=1):
            if now - timedelta(days=DAYS) <= milestone.at <= now + timedelta(days=AHEAD_DAYS):
                words = f"{milestone_name(milestone)} in {timeline.environment.name}"
                found.append(Mark(milestone.at, words, number <= timeline.milestone))
    return tuple(sorted(found, key=lambda mark: mark.at))
