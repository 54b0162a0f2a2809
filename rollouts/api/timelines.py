"""Reading deprecation timelines, for programs. Nothing is written here."""

import uuid
from typing import Any, cast

from django.contrib.auth.models import AbstractUser
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from flags.api.parameters import refuse_parameters
from flags.errors import NotFound
from rollouts.api.reading import (
    PEOPLE_TOO,
    REFUSALS_TO_PEOPLE,
    ReadingView,
    asked_for,
    decided,
    environment_of,
    history_of,
    listing,
    page_of,
    person,
    single,
)
from rollouts.api.timeline_shapes import TimelineDetailSerializer, TimelinePageSerializer
from rollouts.deprecations.codec import from_json
from rollouts.deprecations.definition import MilestoneKind, TimelineDefinition
from rollouts.deprecations.documents import number_of
from rollouts.deprecations.transitions import TimelineState
from rollouts.deprecations.words import milestone_sentence
from rollouts.models import DeprecationTimeline
from rollouts.selectors.timelines.api_reads import LIVE, TimelineFacts, timeline_facts, timeline_in, timelines_in
from rollouts.selectors.timelines.ground import definition_of, is_readable
from rollouts.selectors.timelines.reading import timeline_of

STATES = (LIVE, *(state.value for state in TimelineState))


class TimelinesView(ReadingView):
    """Timelines of the token's environment."""

    @listing(
        "timelines",
        "List deprecation timelines",
        TimelinePageSerializer,
        states=STATES,
        state="“live” is running, paused and undone.",
        flag="Only timelines that end the flag with this key.",
    )
    def get(self, request: Request) -> Response:
        """Answer with one page."""
        part = timelines_in(environment_of(request), **asked_for(request, STATES))
        return page_of(request, [_line(one) for one in part.timelines], part.next_number)


class TimelineView(ReadingView):
    """One timeline, for a token of its environment and for people who have a role there."""

    authentication_classes = PEOPLE_TOO

    @single(
        "timeline",
        "Read a deprecation timeline",
        "State, milestones with their dates, gates, residual use, and the steps that were taken.",
        TimelineDetailSerializer,
        answer="Everything about it, as of now.",
        missing="There is no such timeline where the caller may read.",
        refusals=REFUSALS_TO_PEOPLE,
    )
    def get(self, request: Request, timeline_id: uuid.UUID) -> Response:
        """Answer with the timeline."""
        refuse_parameters(request)
        return Response(shape_of(timeline_for(request, timeline_id)))


def timeline_for(request: Request, timeline_id: uuid.UUID) -> DeprecationTimeline:
    """A timeline that the caller may read. Raises NotFound."""
    if request.auth is None:
        return timeline_of(timeline_id, cast(AbstractUser, request.user))
    timeline = timeline_in(environment_of(request), timeline_id)
    if timeline is None:
        raise NotFound("There is no such timeline in the environment of this token.")
    return timeline


def shape_of(timeline: DeprecationTimeline) -> dict[str, Any]:
    """Everything about a timeline, as of now."""
    return _detail(timeline_facts(timeline, now=timezone.now()))


def _line(timeline: DeprecationTimeline) -> dict[str, Any]:
    definition = _read(timeline)
    return {
        "id": str(timeline.pk),
        "number": timeline.number,
        "state": timeline.state,
        "environment": timeline.environment.key,
        "flag": definition.flag_key if definition else timeline.flag.key,
        "successor": definition.successor if definition else "",
        "milestone": timeline.milestone,
        "milestones": len(definition.milestones) if definition else 0,
        "inBrownout": timeline.in_brownout,
        "sunsetAt": definition and definition.milestones[number_of(definition, MilestoneKind.SUNSET) - 1].at,
        "digest": timeline.digest,
        "changeRequest": timeline.request_id,
        "blockedCode": timeline.blocked_code,
        "createdBy": person(timeline.created_by),
        "createdAt": timeline.created_at,
        "startedAt": timeline.started_at,
        "endedAt": timeline.ended_at,
    }


def _read(timeline: DeprecationTimeline) -> TimelineDefinition | None:
    """What the timeline says; None where that cannot be read, so that it can be ended all the same."""
    return definition_of(timeline) if is_readable(timeline) else None


def _detail(found: TimelineFacts) -> dict[str, Any]:
    timeline, consents, reading = found.timeline, found.consents, found.reading
    return {
        **_line(timeline),
        "reason": timeline.reason,
        "attempt": timeline.attempt,
        "sequence": timeline.sequence,
        "reachedAt": timeline.reached_at,
        "blockedMessage": timeline.blocked_detail.get("message", ""),
        "definition": timeline.definition if isinstance(timeline.definition, dict) else {},
        "schedule": _schedule(found),
        **decided(reading.decision if reading else None),
        "residual": reading.facts.residual if reading else None,
        "approvals": {
            "required": consents.required,
            "missing": max(consents.required - len(consents.counted), 0),
            "counted": [{"id": one.id, "name": one.name} for one in consents.counted],
        },
        "steps": [
            {
                "sequence": one.sequence,
                "act": one.act,
                "fromMilestone": one.from_milestone,
                "toMilestone": one.to_milestone,
                "isAutomatic": one.is_automatic,
                "reason": one.reason,
                "revision": one.revision,
                "at": one.at,
            }
            for one in found.steps
        ],
        "history": history_of("timeline", timeline.pk),
    }


def _schedule(found: TimelineFacts) -> list[dict[str, Any]]:
    """Every milestone with its date, and when those ahead come at the earliest."""
    timeline, definition = found.timeline, _read(found.timeline)
    if definition is None:
        return []
    laid_down, ahead = from_json(timeline.definition).milestones, {one.number: one for one in found.ahead}
    return [
        {
            "number": number,
            "kind": milestone.kind.value,
            "at": milestone.at,
            "approvedAt": laid_down[number - 1].at,
            "minutes": milestone.minutes,
            "weight": milestone.weight,
            "isReached": number <= timeline.milestone,
            "earliestAt": ahead[number].earliest_at if number in ahead else None,
            "sentence": ahead[number].sentence if number in ahead else milestone_sentence(definition, number),
        }
        for number, milestone in enumerate(definition.milestones, 1)
    ]
