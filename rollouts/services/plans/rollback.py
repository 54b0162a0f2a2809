"""Going back: every flag of a plan in one change set, and afterwards a look at what is really served."""

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from django.db import transaction

from audits.actions import Action
from audits.context import Actor, ActorKind, correlation
from flags.changes import document_digest
from flags.services.attempts import attempt
from rollouts.models import GuardVerdict, PlanStep, RolloutPlan
from rollouts.plans.transitions import PlanAct
from rollouts.selectors.plans.ground import documents_at
from rollouts.services.plans.stages import reach_stage
from rollouts.services.plans.writing import ENGINE, record
from rollouts.services.verifying import Digests, verify

Clock = Callable[[], float]


def go_back(
    plan: RolloutPlan,
    *,
    to_stage: int,
    actor: Actor,
    reason: str,
    now: datetime,
    verdicts: Sequence[GuardVerdict] = (),
    evidence: Mapping[str, Any] | None = None,
    clock: Clock = time.monotonic,
) -> PlanStep:
    """Put the flags of a locked plan back to `to_stage`, 0 for how it was before, and look at what is served after it.

    Flags that somebody else changed meanwhile stay as they are, and the step names them. With `verdicts` the engine
    decides by itself, which it does once for a plan: the database refuses a second time.
    """
    began = clock()
    is_automatic = actor.kind is ActorKind.SYSTEM and bool(verdicts)
    kept = reach_stage(
        plan,
        PlanAct.ROLL_BACK,
        to_stage,
        actor=actor,
        now=now,
        reason=reason,
        verdict_ids=[str(verdict.pk) for verdict in verdicts],
        evidence={
            "verdict_ids": [str(verdict.pk) for verdict in verdicts],
            "sentences": [verdict.sentence for verdict in verdicts],
            **(evidence or {}),
        },
        automatic_reversals=plan.automatic_reversals + is_automatic,
        ended_at=None,
    )
    transaction.on_commit(partial(_look, plan, kept, began, actor=actor, now=now, clock=clock), robust=True)
    return kept


def verify_if_left(step_id: uuid.UUID, *, now: datetime, clock: Clock = time.monotonic) -> bool:
    """Look at what is served for a rollback whose process ended before it looked; whether somebody had to."""
    kept = PlanStep.objects.select_related("plan__environment__project", "plan__project").get(pk=step_id)
    _look(kept.plan, kept, clock(), actor=ENGINE, now=now, clock=clock)
    return True


def _look(plan: RolloutPlan, kept: PlanStep, began: float, *, actor: Actor, now: datetime, clock: Clock) -> None:
    expected = _expected(plan, kept)
    found = verify(plan.environment_id, expected, seconds=clock() - began)
    data = {
        "step": kept.sequence,
        "checked": len(expected),
        "revision": found.revision,
        "milliseconds": round((clock() - began) * 1000),
        "mismatches": list(found.mismatches),
        "forced": list(found.forced),
        "problem": found.problem,
    }
    action = Action.ROLLBACK_VERIFIED if found.is_good else Action.ROLLBACK_MISMATCH
    with correlation(kept.correlation_id):
        attempt(partial(record, action, plan, actor=actor, now=now, reason=kept.reason, **data))


def _expected(plan: RolloutPlan, kept: PlanStep) -> Digests:
    """What has to be served: the stage's documents of every flag that went back or was so already."""
    left_alone = set(kept.evidence["left_alone"])
    return {
        ("flag", key): document_digest(document)
        for key, document in documents_at(plan, kept.to_stage).items()
        if key not in left_alone and plan.written.get(key, {}).get("version")
    }
