"""Reads about timelines that pages and the API share."""

import uuid

from django.contrib.auth.models import AbstractUser, AnonymousUser
from django.db.models import QuerySet

from flags import permissions
from flags.errors import NotFound
from flags.models import Environment, Flag
from rollouts.deprecations.transitions import LIVE_STATES, TimelineAct, TimelineState
from rollouts.models import DeprecationTimeline, TimelineStep
from rollouts.selectors.timelines.consents import MilestoneConsents, milestone_consents
from rollouts.selectors.timelines.facts import Reading, ahead_of, reading_of
from rollouts.selectors.timelines.ground import definition_of
from rollouts.selectors.timelines.rights import PossibleAct, possible_acts

__all__ = [
    "MilestoneConsents",
    "PossibleAct",
    "Reading",
    "ahead_of",
    "definition_of",
    "left_to_do",
    "live_timeline_of",
    "milestone_consents",
    "possible_acts",
    "reading_of",
    "timeline_of",
    "visible_timelines",
]

_RELATED = ("environment__project", "project", "flag", "request", "created_by")


def visible_timelines(user: AbstractUser | AnonymousUser) -> QuerySet[DeprecationTimeline]:
    """Timelines in environments the person may look at, newest first, with what their labels need."""
    rows = DeprecationTimeline.objects.filter(environment__in=permissions.visible_environments(user))
    return rows.select_related(*_RELATED).order_by("-created_at", "-number")


def timeline_of(timeline_id: uuid.UUID, user: AbstractUser | AnonymousUser | None = None) -> DeprecationTimeline:
    """The timeline; with `user` only where that person may look at it. Raises NotFound."""
    rows = DeprecationTimeline.objects.select_related(*_RELATED)
    if user is not None:
        rows = rows.filter(environment__in=permissions.visible_environments(user))
    timeline = rows.filter(pk=timeline_id).first()
    if timeline is None:
        raise NotFound(
            "There is no such timeline, or you have no role in its environment.", timeline_id=str(timeline_id)
        )
    return timeline


def left_to_do(timeline: DeprecationTimeline) -> str:
    """What the last way back did not simply put as it was, and what is to be done about it; empty for nothing.

    One query, none where the timeline was neither undone nor ended.
    """
    acts = {TimelineState.UNDONE: TimelineAct.UNDO, TimelineState.ENDED: TimelineAct.END}
    act = acts.get(timeline.current_state)
    if act is None:
        return ""
    steps = TimelineStep.objects.filter(timeline=timeline, act=act.value).order_by("-sequence")
    evidence = steps.values_list("evidence", flat=True).first() or {}
    return str(evidence.get("what_to_do") or "")


def live_timeline_of(flag: Flag, environment: Environment) -> DeprecationTimeline | None:
    """The timeline that is at work on a flag in an environment, None for none."""
    live = [state.value for state in LIVE_STATES]
    return DeprecationTimeline.objects.filter(flag=flag, environment=environment, state__in=live).first()
