"""Everything that ends or rolls out in a stretch of time, flag by flag, for who releases."""

import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

from flags.documents.deprecation import deprecation_of
from flags.models import Environment, Flag, FlagConfig
from rollouts.deprecations.transitions import ENDED_STATES, LIVE_STATES, TimelineState
from rollouts.models import CalendarWindow, DeprecationTimeline, PlanFlag
from rollouts.plans.transitions import LIVE_STATES as LIVE_PLAN_STATES
from rollouts.plans.transitions import PlanState
from rollouts.schedules import Window, occurrences
from rollouts.selectors.timelines.ground import is_readable

MOST_FLAGS = 60


@dataclass(frozen=True, slots=True)
class LoneSunset:
    """A sunset that a config names without a timeline behind it."""

    flag: Flag
    environment: Environment
    sunset_at: datetime


@dataclass(frozen=True, slots=True)
class Freeze:
    """A freeze that runs in a stretch of time, in these environments; `tags` empty is for every flag."""

    title: str
    starts_at: datetime
    ends_at: datetime
    window_id: uuid.UUID
    environment_ids: frozenset[uuid.UUID]
    tags: frozenset[str]

    def concerns(self, flag: Flag, environment_id: uuid.UUID) -> bool:
        """Whether it holds changes of a flag in an environment."""
        return environment_id in self.environment_ids and (not self.tags or bool(self.tags & set(flag.tags)))


@dataclass(frozen=True, slots=True)
class Endings:
    """What a stretch of time holds. `plans` are flags of plans with their plan."""

    timelines: Sequence[DeprecationTimeline]
    plans: Sequence[PlanFlag]
    sunsets: Sequence[LoneSunset]
    freezes: Sequence[Freeze]


def endings_between(
    environments: Sequence[Environment],
    starts_at: datetime,
    ends_at: datetime,
    *,
    owner: str = "",
    with_plans: bool = True,
) -> Endings:
    """What ends, rolls out and freezes in these environments: four queries. `owner` is the id of a person or team."""
    timelines = readable(_timelines(environments, starts_at, ends_at, owner))
    taken = {(one.flag_id, one.environment_id) for one in timelines}
    plans = list(_plans(environments, starts_at, ends_at, owner)) if with_plans else []
    return Endings(
        timelines, plans, _lone_sunsets(environments, owner, taken), freezes_of(environments, starts_at, ends_at)
    )


def readable(rows: Iterable[DeprecationTimeline]) -> list[DeprecationTimeline]:
    """Those of these timelines that lists can show; one whose definition cannot be read says so on its own page."""
    return [timeline for timeline in rows if is_readable(timeline)]


def _timelines(
    environments: Sequence[Environment], starts_at: datetime, ends_at: datetime, owner: str
) -> QuerySet[DeprecationTimeline]:
    """Timelines at work or prepared, and those that came to their end in the time."""
    standing = [state.value for state in (*LIVE_STATES, TimelineState.DRAFT, TimelineState.PROPOSED)]
    ended = Q(state__in=[state.value for state in ENDED_STATES], ended_at__gte=starts_at, created_at__lt=ends_at)
    rows = DeprecationTimeline.objects.filter(Q(state__in=standing) | ended, environment__in=environments)
    related = rows.filter(_owned("flag__", owner)).select_related("flag__owner", "flag__owner_team", "environment")
    return related.order_by("flag__name", "created_at")


def _plans(
    environments: Sequence[Environment], starts_at: datetime, ends_at: datetime, owner: str
) -> QuerySet[PlanFlag]:
    live = Q(plan__state__in=[state.value for state in LIVE_PLAN_STATES], plan__started_at__lt=ends_at)
    completed = Q(plan__state=PlanState.COMPLETED.value, plan__ended_at__gte=starts_at, plan__started_at__lt=ends_at)
    rows = PlanFlag.objects.filter(live | completed, environment__in=environments).filter(_owned("flag__", owner))
    related = rows.select_related("plan", "flag__owner", "flag__owner_team").defer("plan__documents", "plan__base")
    return related.order_by("flag__name", "plan__started_at")


def _lone_sunsets(
    environments: Sequence[Environment], owner: str, taken: Collection[tuple[uuid.UUID, uuid.UUID]]
) -> list[LoneSunset]:
    rows = FlagConfig.objects.filter(environment__in=environments, document__has_key="deprecation")
    found = []
    for row in rows.filter(_owned("flag__", owner)).select_related("flag__owner", "flag__owner_team", "environment"):
        deprecation = deprecation_of(row.document)
        if deprecation is None or deprecation.sunset_at is None or (row.flag_id, row.environment_id) in taken:
            continue
        found.append(LoneSunset(row.flag, row.environment, deprecation.sunset_at))
    return found


def _owned(prefix: str, owner: str) -> Q:
    if not owner:
        return Q()
    try:
        wanted = uuid.UUID(owner)
    except ValueError:
        return Q(pk=None)
    return Q(**{f"{prefix}owner": wanted}) | Q(**{f"{prefix}owner_team": wanted})


def freezes_among(
    windows: Sequence[tuple[uuid.UUID, Window]],
    environments: Sequence[Environment],
    starts_at: datetime,
    ends_at: datetime,
) -> list[Freeze]:
    """Every run of these freezes in the time, with the environments it concerns."""
    found = []
    for window_id, window in windows:
        places = frozenset(
            one.pk for one in environments if not window.environments or str(one.pk) in window.environments
        )
        if window.kind != "freeze" or not places:
            continue
        for run in occurrences(window, starts_at, ends_at):
            found.append(Freeze(window.title, run.starts_at, run.ends_at, window_id, places, frozenset(window.tags)))
    return sorted(found, key=lambda one: (one.starts_at, one.title))


def freezes_of(environments: Sequence[Environment], starts_at: datetime, ends_at: datetime) -> list[Freeze]:
    """Every run of a freeze in these environments in [starts_at, ends_at): one query."""
    projects = {one.project_id for one in environments}
    rows = CalendarWindow.objects.filter(project__in=projects, removed_at=None)
    by_project: dict[uuid.UUID, list[tuple[uuid.UUID, Window]]] = {}
    for row in rows:
        by_project.setdefault(row.project_id, []).append((row.pk, row.as_window()))
    found = []
    for project_id, windows in by_project.items():
        places = [one for one in environments if one.project_id == project_id]
        found += freezes_among(windows, places, starts_at, ends_at)
    return sorted(found, key=lambda one: (one.starts_at, one.title))
