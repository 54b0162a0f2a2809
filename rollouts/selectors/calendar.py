"""The calendar as it is: what holds changes back now, who has leave, and everything a month shows."""

import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.db.models import Q

from flags.directions import Direction, Movement
from flags.models import Environment, Flag
from rollouts.models import CalendarWindow, ChangeRequest, FreezeException, Judgement
from rollouts.schedules import Hold, Window, holds, occurrences
from rollouts.selectors.calendar_kinds import CalendarEntry
from rollouts.selectors.plan_calendar import plan_stages
from rollouts.selectors.timeline_calendar import timeline_milestones
from rollouts.transitions import AWAITING_STATES

FROZEN = "frozen"


@dataclass(frozen=True, slots=True)
class ActiveFreeze:
    """What holds a widening change back: a freeze, or an allow window that is closed until `ends_at`."""

    window_id: str
    kind: Literal["freeze", "allow"]
    title: str
    reason: str
    starts_at: datetime
    ends_at: datetime

    @property
    def is_freeze(self) -> bool:
        """Whether a freeze runs; otherwise no allow window is open."""
        return self.kind == "freeze"


Source = Callable[[Sequence[Environment], datetime, datetime], Iterable[CalendarEntry]]


def windows_of(project_id: uuid.UUID) -> list[Window]:
    """Every window of a project that was not removed: one query."""
    rows = CalendarWindow.objects.filter(project=project_id, removed_at=None)
    return [row.as_window() for row in rows]


def freezes_at(environment: Environment, *, flag_tags: Collection[str], now: datetime) -> list[ActiveFreeze]:
    """What holds a widening change to one flag with these tags back, the longest first: one query."""
    return freezes_for(environment, [flag_tags], now=now)


def freezes_for(environment: Environment, tag_sets: Iterable[Collection[str]], *, now: datetime) -> list[ActiveFreeze]:
    """The same for a change to several flags, each with its own tags: allow windows are asked flag by flag."""
    return freezes_among(windows_of(environment.project_id), str(environment.pk), tag_sets, now=now)


def freezes_among(
    windows: Sequence[Window], environment_id: str, tag_sets: Iterable[Collection[str]], *, now: datetime
) -> list[ActiveFreeze]:
    """The same where the windows of the project were read already."""
    if not windows:
        return []
    found: dict[tuple[str, bool], Hold] = {}
    for tags in {frozenset(tags) for tags in tag_sets}:
        for hold in holds(windows, environment_id, tags, now):
            key = (hold.window.id, hold.is_freeze)
            if key not in found or hold.ends_at > found[key].ends_at:
                found[key] = hold
    return sorted((_active(hold) for hold in found.values()), key=lambda one: (one.ends_at, one.title), reverse=True)


def freezes_on_keys(
    environment: Environment,
    flag_keys: Collection[str],
    *,
    now: datetime,
    request_id: uuid.UUID | str | None = None,
) -> list[ActiveFreeze]:
    """What holds a change back that widens these flags: two queries, or three.

    For a request the tags that its flags had at submit count as well as those of now.
    """
    if not flag_keys:
        return []
    rows = Flag.objects.filter(project=environment.project_id, key__in=flag_keys).values_list("tags", flat=True)
    tag_sets = [[str(tag) for tag in tags] for tags in rows]
    if request_id is not None:
        tag_sets += _former_tags(uuid.UUID(str(request_id)), flag_keys)
    return freezes_for(environment, tag_sets, now=now)


def _former_tags(request_id: uuid.UUID, flag_keys: Collection[str]) -> list[list[str]]:
    rows = Judgement.objects.filter(request=request_id).values_list("facts", flat=True)
    return [flag["tags"] for facts in rows for flag in facts["flags"] if flag["key"] in flag_keys]


def widened_keys(movement: Movement) -> list[str]:
    """The flags that a change widens, directly or through others."""
    return sorted(flag.flag_key for flag in movement.flags if flag.direction is Direction.WIDENS)


def excused_windows(request_id: uuid.UUID | str, *, digest: str, now: datetime) -> frozenset[str]:
    """The windows that exactly this content of a request has leave from now: one query."""
    rows = FreezeException.objects.filter(
        request=uuid.UUID(str(request_id)), digest=digest, is_granted=True, covers_from__lte=now, covers_until__gt=now
    )
    return frozenset(str(window_id) for window_id in rows.values_list("window_id", flat=True))


def is_still_frozen(request: ChangeRequest, *, now: datetime) -> bool:
    """Whether a request that a freeze held back is held back still; others never are."""
    if request.blocked_code != FROZEN:
        return False
    keys = [str(key) for key in request.blocked_detail.get("flag_keys", ())]
    excused = excused_windows(request.pk, digest=request.digest, now=now)
    freezes = freezes_on_keys(request.environment, keys, now=now, request_id=request.pk)
    return any(freeze.window_id not in excused for freeze in freezes)


def exceptions_of(request: ChangeRequest) -> list[FreezeException]:
    """Every exception that was asked for a request, the oldest first: one query."""
    rows = FreezeException.objects.filter(request=request).select_related("window", "asked_by", "decided_by")
    return list(rows)


def calendar_entries(
    environments: Sequence[Environment], starts_at: datetime, ends_at: datetime
) -> list[CalendarEntry]:
    """Everything in [starts_at, ends_at) about these environments, in order: a few queries of each source."""
    found = [entry for source in SOURCES for entry in source(environments, starts_at, ends_at)]
    return sorted(found, key=lambda entry: (entry.starts_at, entry.ends_at, entry.title))


def _windows(environments: Sequence[Environment], starts_at: datetime, ends_at: datetime) -> Iterable[CalendarEntry]:
    places: dict[uuid.UUID, set[uuid.UUID]] = {}
    for environment in environments:
        places.setdefault(environment.project_id, set()).add(environment.pk)
    for row in CalendarWindow.objects.filter(project__in=places, removed_at=None):
        window, seen = row.as_window(), places[row.project_id]
        concerned = frozenset(place for place in seen if not window.environments or str(place) in window.environments)
        if not concerned:
            continue
        for one in occurrences(window, starts_at, ends_at):
            yield CalendarEntry(
                kind=window.kind,
                title=window.title,
                text=window.reason,
                starts_at=one.starts_at,
                ends_at=one.ends_at,
                environment_ids=concerned,
                route="admin:rollouts_calendarwindow_change",
                arguments=(row.pk,),
                tags=tuple(sorted(window.tags)),
            )


def _requests(environments: Sequence[Environment], starts_at: datetime, ends_at: datetime) -> Iterable[CalendarEntry]:
    rows = ChangeRequest.objects.filter(
        Q(apply_at__gte=starts_at, apply_at__lt=ends_at),
        environment__in=environments,
        state__in=[state.value for state in AWAITING_STATES],
    )
    for row in rows.select_related("environment"):
        words = "approved" if row.state == "approved" else "in review"
        yield CalendarEntry(
            kind="request",
            title=row.label,
            text=f"{row.environment.name}, {words}",
            starts_at=row.apply_at or starts_at,
            ends_at=row.apply_at or starts_at,
            environment_ids=frozenset([row.environment_id]),
            route="admin:rollouts_changerequest_change",
            arguments=(row.pk,),
        )


# What a month shows; each asks a constant number of queries.
SOURCES: tuple[Source, ...] = (_windows, _requests, plan_stages, timeline_milestones)


def _active(hold: Hold) -> ActiveFreeze:
    window = hold.window
    return ActiveFreeze(window.id, window.kind, window.title, window.reason, hold.starts_at, hold.ends_at)


@dataclass(frozen=True, slots=True)
class Standing:
    """One environment right now: what holds everything back, and what holds only flags with certain tags back."""

    environment: Environment
    holds: tuple[ActiveFreeze, ...]
    tagged: tuple[tuple[ActiveFreeze, tuple[str, ...]], ...]


def standings(project_id: uuid.UUID, environments: Sequence[Environment], *, now: datetime) -> list[Standing]:
    """Where each environment of a project stands: one query."""
    windows = windows_of(project_id)
    found = []
    for environment in environments:
        place = str(environment.pk)
        general = tuple(_active(hold) for hold in holds(windows, place, (), now))
        of_tags = [hold for window in windows if window.tags for hold in holds([window], place, window.tags, now)]
        tagged = tuple((_active(hold), tuple(sorted(hold.window.tags))) for hold in of_tags)
        found.append(Standing(environment, general, tagged))
    return found
