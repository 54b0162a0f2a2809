"""Plans that a freeze holds: whether it holds them still, asked for many at once instead of by trying to move each."""

import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from flags.models import Flag
from rollouts.models import CalendarWindow, FreezeException, Judgement, RolloutPlan
from rollouts.schedules import Window
from rollouts.selectors.calendar import FROZEN, ActiveFreeze, freezes_among

Tags = frozenset[str]


@dataclass(frozen=True, slots=True)
class _Calendar:
    """What the calendar says about many plans. `former` are the tags that flags had when a request was judged, `leave`
    the windows that content of a request need not mind now."""

    windows: Mapping[uuid.UUID, list[Window]]
    tags: Mapping[tuple[uuid.UUID, str], Tags]
    former: Mapping[tuple[uuid.UUID, str], set[Tags]]
    leave: Mapping[tuple[uuid.UUID, str], set[str]]


def still_frozen(plans: Collection[RolloutPlan], *, now: datetime) -> frozenset[uuid.UUID]:
    """Those of the plans whose last try met a freeze, or a closed allow window, that holds the same flags still and
    until the same time: four queries for any number of them, none where no plan is held so.

    Whatever has changed about it since is left to a try.
    """
    held = [plan for plan in plans if plan.blocked_code == FROZEN]
    if not held:
        return frozenset()
    calendar = _calendar_of(held, now=now)
    known: dict[tuple[uuid.UUID, frozenset[Tags]], list[ActiveFreeze]] = {}
    return frozenset(plan.pk for plan in held if _is_held_as_before(plan, calendar, known, now=now))


def _is_held_as_before(
    plan: RolloutPlan,
    calendar: _Calendar,
    known: dict[tuple[uuid.UUID, frozenset[Tags]], list[ActiveFreeze]],
    *,
    now: datetime,
) -> bool:
    """`known` remembers what holds flags with the same tags in the same environment."""
    tag_sets = _tag_sets(plan, calendar)
    place = plan.environment_id, tag_sets
    if place not in known:
        windows = calendar.windows.get(plan.project_id, [])
        known[place] = freezes_among(windows, str(plan.environment_id), tag_sets, now=now)
    leave: Collection[str] = ()
    if plan.request is not None:
        leave = calendar.leave.get((plan.request.pk, plan.request.digest), ())
    freezes = [freeze for freeze in known[place] if freeze.window_id not in leave]
    if not freezes:
        return False
    until = max(freeze.ends_at for freeze in freezes).isoformat()
    met = [{"id": freeze.window_id, "title": freeze.title, "kind": freeze.kind} for freeze in freezes]
    return bool((until, met) == (plan.blocked_detail.get("until"), plan.blocked_detail.get("windows")))


def _tag_sets(plan: RolloutPlan, calendar: _Calendar) -> frozenset[Tags]:
    """The tags that each flag which the plan would widen has now, and had when its request was judged."""
    found: set[Tags] = set()
    for key in _widened(plan):
        if (plan.project_id, key) in calendar.tags:
            found.add(calendar.tags[plan.project_id, key])
        if plan.request_id is not None:
            found |= calendar.former.get((plan.request_id, key), set())
    return frozenset(found)


def _widened(plan: RolloutPlan) -> list[str]:
    """The flags that the refused stage would have widened."""
    return [str(key) for key in plan.blocked_detail.get("flag_keys", ())]


def _calendar_of(plans: Collection[RolloutPlan], *, now: datetime) -> _Calendar:
    projects = {plan.project_id for plan in plans}
    requests = {plan.request_id for plan in plans if plan.request_id is not None}
    keys = {key for plan in plans for key in _widened(plan)}
    windows: dict[uuid.UUID, list[Window]] = defaultdict(list)
    for row in CalendarWindow.objects.filter(project__in=projects, removed_at=None):
        windows[row.project_id].append(row.as_window())
    flags = Flag.objects.filter(project__in=projects, key__in=keys).values_list("project_id", "key", "tags")
    tags = {(project_id, key): frozenset(map(str, given)) for project_id, key, given in flags}
    former: dict[tuple[uuid.UUID, str], set[Tags]] = defaultdict(set)
    for request_id, facts in Judgement.objects.filter(request__in=requests).values_list("request_id", "facts"):
        for flag in facts["flags"]:
            former[request_id, flag["key"]].add(frozenset(flag["tags"]))
    leave: dict[tuple[uuid.UUID, str], set[str]] = defaultdict(set)
    granted = FreezeException.objects.filter(
        request__in=requests, is_granted=True, covers_from__lte=now, covers_until__gt=now
    )
    for request_id, digest, window_id in granted.values_list("request_id", "digest", "window_id"):
        leave[request_id, digest].add(str(window_id))
    return _Calendar(windows, tags, former, leave)
