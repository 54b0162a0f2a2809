"""Reading deprecation timelines, for programs. Nothing is written here."""

import uuid
from typing import Any, cast
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from audits.api.problems import problems
from flags.errors import NotFound
from flags.services.keys import problem
from flags.snapshots import TokenFacts
from rollouts.api.reading import (
    LARGEST_PAGE,
    PAGE_SIZE,
    REFUSALS,
    ReadingView,
    next_address,
    person,
    refuse_no_key,
    refuse_unknown,
    whole_number,
)
from rollouts.api.timeline_shapes import TimelineDetailSerializer, TimelinePageSerializer
from rollouts.deprecations.codec import from_json
from rollouts.deprecations.definition import MilestoneKind
from rollouts.deprecations.documents import number_of
from rollouts.deprecations.transitions import TimelineState
from rollouts.deprecations.words import milestone_sentence
from rollouts.models import DeprecationTimeline
from rollouts.selectors.timelines.api_reads import LIVE, TimelineFacts, timeline_facts, timelines_in
from rollouts.selectors.timelines.reading import definition_of

STATES = (LIVE, *(state.value for state in TimelineState))


class TimelinesView(ReadingView):
    """Timelines of the token's environment."""

    @extend_schema(
        operation_id="timelines",
        summary="List deprecation timelines",
        description="Those of the environment the token belongs to, newest first.",
        tags=["Management"],
        parameters=[
            OpenApiParameter("state", str, enum=STATES, description="“live” is running, paused and undone."),
            OpenApiParameter("flag", str, description="Only timelines that end the flag with this key."),
            OpenApiParameter("cursor", str, description="From `next` of the page before."),
            OpenApiParameter("page_size", int, description=f"1 to {LARGEST_PAGE}; {PAGE_SIZE} unless given."),
        ],
        responses={
            200: OpenApiResponse(TimelinePageSerializer, description="A page."),
            **problems({**REFUSALS, 400: "A parameter cannot be used; nothing was read."}),
        },
    )
    def get(self, request: Request) -> Response:
        """Answer with one page."""
        asked = _parameters(request)
        part = timelines_in(cast(TokenFacts, request.auth).environment_id, **asked)
        return Response(
            {"results": [_line(one) for one in part.timelines], "next": next_address(request, part.next_number)}
        )


class TimelineView(ReadingView):
    """One timeline."""

    @extend_schema(
        operation_id="timeline",
        summary="Read a deprecation timeline",
        description="State, milestones with their dates, gates, residual use, and the steps that were taken.",
        tags=["Management"],
        responses={
            200: OpenApiResponse(TimelineDetailSerializer, description="Everything about it, as of now."),
            **problems({**REFUSALS, 404: "There is no such timeline in the token's environment."}),
        },
    )
    def get(self, request: Request, timeline_id: uuid.UUID) -> Response:
        """Answer with the timeline."""
        environment_id = cast(TokenFacts, request.auth).environment_id
        found = timeline_facts(environment_id, timeline_id, now=timezone.now())
        if found is None:
            raise NotFound("There is no such timeline in the environment of this token.")
        return Response(_detail(found))


def _parameters(request: Request) -> dict[str, Any]:
    """The arguments of `timelines_in`. Raises InvalidInput for what it does not know."""
    given = request.query_params
    refuse_unknown(request, ("state", "flag", "cursor", "page_size"))
    state, flag_key = given.get("state", ""), given.get("flag", "")
    if "state" in given and state not in STATES:
        raise problem("state", f"Choose one of: {', '.join(STATES)}.")
    refuse_no_key(request, "flag")
    size = whole_number(request, "page_size", largest=LARGEST_PAGE) or PAGE_SIZE
    below = whole_number(request, "cursor", largest=2**31 - 1)
    return {"state": state, "flag_key": flag_key, "below": below, "size": size}


def _line(timeline: DeprecationTimeline) -> dict[str, Any]:
    definition = definition_of(timeline)
    sunset = definition.milestones[number_of(definition, MilestoneKind.SUNSET) - 1]
    return {
        "id": str(timeline.pk),
        "number": timeline.number,
        "state": timeline.state,
        "environment": timeline.environment.key,
        "flag": definition.flag_key,
        "successor": definition.successor,
        "milestone": timeline.milestone,
        "milestones": len(definition.milestones),
        "inBrownout": timeline.in_brownout,
        "sunsetAt": sunset.at,
        "digest": timeline.digest,
        "changeRequest": timeline.request_id,
        "blockedCode": timeline.blocked_code,
        "createdBy": person(timeline.created_by),
        "createdAt": timeline.created_at,
        "startedAt": timeline.started_at,
        "endedAt": timeline.ended_at,
    }


def _detail(found: TimelineFacts) -> dict[str, Any]:
    timeline, consents, reading = found.timeline, found.consents, found.reading
    decision = reading.decision if reading else None
    history = urlencode({"target_type": "timeline", "target_id": str(timeline.pk)})
    return {
        **_line(timeline),
        "reason": timeline.reason,
        "attempt": timeline.attempt,
        "sequence": timeline.sequence,
        "reachedAt": timeline.reached_at,
        "blockedMessage": timeline.blocked_detail.get("message", ""),
        "definition": timeline.definition,
        "schedule": _schedule(found),
        "next": decision and {"move": decision.move.value, "sentence": decision.sentence},
        "gates": [
            {"name": gate.name, "isMet": gate.is_met, "sentence": gate.sentence, "dueAt": gate.due_at}
            for gate in (decision.gates if decision else ())
        ],
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
        "history": f"{reverse('audit-events')}?{history}",
    }


def _schedule(found: TimelineFacts) -> list[dict[str, Any]]:
    """Every milestone with its date, and when those ahead come at the earliest."""
    timeline, definition = found.timeline, definition_of(found.timeline)
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
