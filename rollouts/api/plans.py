"""Reading rollout plans, for programs. Nothing is written here."""

import uuid
from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from flags.api.parameters import refuse_parameters
from flags.errors import NotFound
from rollouts.api.plan_shapes import PlanDetailSerializer, PlanPageSerializer
from rollouts.api.reading import (
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
from rollouts.models import RolloutPlan
from rollouts.plans.transitions import PlanState
from rollouts.selectors.plans.api_reads import LIVE, PlanFacts, plan_facts, plans_in

STATES = (LIVE, *(state.value for state in PlanState))


class PlansView(ReadingView):
    """Plans of the token's environment."""

    @listing(
        "plans",
        "List rollout plans",
        PlanPageSerializer,
        states=STATES,
        state="“live” is running, paused and rolled back.",
        flag="Only plans that change the flag with this key.",
    )
    def get(self, request: Request) -> Response:
        """Answer with one page."""
        part = plans_in(environment_of(request), **asked_for(request, STATES))
        return page_of(request, [_line(one) for one in part.plans], part.next_number)


class PlanView(ReadingView):
    """One plan."""

    @single(
        "plan",
        "Read a rollout plan",
        "State, stages, gates, guards with their verdicts, and the steps that were taken.",
        PlanDetailSerializer,
        answer="Everything about it, as of now.",
        missing="There is no such plan in the token's environment.",
    )
    def get(self, request: Request, plan_id: uuid.UUID) -> Response:
        """Answer with the plan."""
        refuse_parameters(request)
        found = plan_facts(environment_of(request), plan_id, now=timezone.now())
        if found is None:
            raise NotFound("There is no such plan in the environment of this token.")
        return Response(_detail(found))


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
    return {
        **_line(plan),
        "reason": plan.reason,
        "attempt": plan.attempt,
        "goodStage": plan.good_stage,
        "sequence": plan.sequence,
        "stageEnteredAt": plan.stage_entered_at,
        "blockedMessage": plan.blocked_detail.get("message", ""),
        "definition": plan.definition,
        **decided(found.reading.decision if found.reading else None),
        "approvals": {
            "required": consents.required,
            "missing": consents.missing,
            "counted": [{"id": one.id, "name": one.name} for one in consents.counted],
        },
        **_evidence(found),
        "history": history_of("plan", plan.pk),
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
