"""Reading rollout plans, for programs. Nothing is written here."""

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
from rollouts.api.plan_shapes import PlanDetailSerializer, PlanPageSerializer
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
from rollouts.models import RolloutPlan
from rollouts.plans.transitions import PlanState
from rollouts.selectors.plans.api_reads import LIVE, PlanFacts, plan_facts, plans_in

STATES = (LIVE, *(state.value for state in PlanState))


class PlansView(ReadingView):
    """Plans of the token's environment."""

    @extend_schema(
        operation_id="plans",
        summary="List rollout plans",
        description="Those of the environment the token belongs to, newest first.",
        tags=["Management"],
        parameters=[
            OpenApiParameter("state", str, enum=STATES, description="“live” is running, paused and rolled back."),
            OpenApiParameter("flag", str, description="Only plans that change the flag with this key."),
            OpenApiParameter("cursor", str, description="From `next` of the page before."),
            OpenApiParameter("page_size", int, description=f"1 to {LARGEST_PAGE}; {PAGE_SIZE} unless given."),
        ],
        responses={
            200: OpenApiResponse(PlanPageSerializer, description="A page."),
            **problems({**REFUSALS, 400: "A parameter cannot be used; nothing was read."}),
        },
    )
    def get(self, request: Request) -> Response:
        """Answer with one page."""
        asked = _parameters(request)
        part = plans_in(cast(TokenFacts, request.auth).environment_id, **asked)
        return Response(
            {"results": [_line(one) for one in part.plans], "next": next_address(request, part.next_number)}
        )


class PlanView(ReadingView):
    """One plan."""

    @extend_schema(
        operation_id="plan",
        summary="Read a rollout plan",
        description="State, stages, gates, guards with their verdicts, and the steps that were taken.",
        tags=["Management"],
        responses={
            200: OpenApiResponse(PlanDetailSerializer, description="Everything about it, as of now."),
            **problems({**REFUSALS, 404: "There is no such plan in the token's environment."}),
        },
    )
    def get(self, request: Request, plan_id: uuid.UUID) -> Response:
        """Answer with the plan."""
        environment_id = cast(TokenFacts, request.auth).environment_id
        found = plan_facts(environment_id, plan_id, now=timezone.now())
        if found is None:
            raise NotFound("There is no such plan in the environment of this token.")
        return Response(_detail(found))


def _parameters(request: Request) -> dict[str, Any]:
    """The arguments of `plans_in`. Raises InvalidInput for what it does not know."""
    given = request.query_params
    refuse_unknown(request, ("state", "flag", "cursor", "page_size"))
    state, flag_key = given.get("state", ""), given.get("flag", "")
    if "state" in given and state not in STATES:
        raise problem("state", f"Choose one of: {', '.join(STATES)}.")
    refuse_no_key(request, "flag")
    size = whole_number(request, "page_size", largest=LARGEST_PAGE) or PAGE_SIZE
    below = whole_number(request, "cursor", largest=2**31 - 1)
    return {"state": state, "flag_key": flag_key, "below": below, "size": size}


def _line(plan: RolloutPlan) -> dict[str, Any]:
    stages = plan.definition["stages"]
    return {
        "id": str(plan.pk),
        "number": plan.number,
        "title": plan.title,
        "state": plan.state,
        "environment": plan.environment.key,
        "flags": plan.definition["flags"],
        "strategy": plan.definition["strategy"],
        "stage": plan.stage,
        "stages": len(stages),
        "stageName": stages[plan.stage - 1]["name"] if plan.stage else "",
        "digest": plan.digest,
        "changeRequest": plan.request_id,
        "blockedCode": plan.blocked_code,
        "createdBy": person(plan.created_by),
        "createdAt": plan.created_at,
        "startedAt": plan.started_at,
        "endedAt": plan.ended_at,
    }


def _detail(found: PlanFacts) -> dict[str, Any]:
    plan, consents = found.plan, found.consents
    decision = found.reading.decision if found.reading else None
    history = urlencode({"target_type": "plan", "target_id": str(plan.pk)})
    return {
        **_line(plan),
        "reason": plan.reason,
        "attempt": plan.attempt,
        "goodStage": plan.good_stage,
        "sequence": plan.sequence,
        "stageEnteredAt": plan.stage_entered_at,
        "blockedMessage": plan.blocked_detail.get("message", ""),
        "definition": plan.definition,
        "next": decision and {"move": decision.move.value, "sentence": decision.sentence},
        "gates": [
            {"name": gate.name, "isMet": gate.is_met, "sentence": gate.sentence, "dueAt": gate.due_at}
            for gate in (decision.gates if decision else ())
        ],
        "approvals": {
            "required": consents.required,
            "missing": consents.missing,
            "counted": [{"id": one.id, "name": one.name} for one in consents.counted],
        },
        **_evidence(found),
        "history": f"{reverse('audit-events')}?{history}",
    }


def _evidence(found: PlanFacts) -> dict[str, Any]:
    return {
        "guards": [
            {
                "metric": one.spec.metric,
                "name": one.spec.name,
                "outcome": one.judgement.outcome.value,
                "sentence": one.judgement.sentence,
                "sampledAt": one.watch.sampled_at,
            }
            for one in found.guards
        ],
        "verdicts": [
            {
                "id": str(one.pk),
                "metric": one.metric,
                "attempt": one.attempt,
                "stage": one.stage,
                "outcome": one.outcome,
                "action": one.action,
                "sentence": one.sentence,
                "at": one.at,
            }
            for one in found.verdicts
        ],
        "steps": [
            {
                "sequence": one.sequence,
                "attempt": one.attempt,
                "act": one.act,
                "fromStage": one.from_stage,
                "toStage": one.to_stage,
                "isAutomatic": one.is_automatic,
                "reason": one.reason,
                "revision": one.revision,
                "at": one.at,
            }
            for one in found.steps
        ],
    }
