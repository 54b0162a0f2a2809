"""The evidence of a rollback: whether what was meant is really served, on the audit trail."""

import time
from collections.abc import Callable
from datetime import datetime
from functools import partial

from django.db import transaction

from audits import trail
from audits.actions import Action
from audits.context import Actor, correlation
from flags.changes import ChangeSet, document_digest
from flags.models import Environment
from flags.services.attempts import attempt
from rollouts.models import ChangeRequest
from rollouts.selectors.contents import kind_and_key
from rollouts.services.verifying import Verification, verify

Clock = Callable[[], float]
BACKWARD = frozenset({"rollback", "restore"})


def check_served(change_set: ChangeSet, environment: Environment, *, since: float, clock: Clock) -> Verification:
    """Compare what is served now with what a change set put there; `since` is when the clock was started."""
    expected = {kind_and_key(edit): document_digest(edit.document) for edit in change_set.edits}
    return verify(environment.pk, expected, seconds=clock() - since)


def record_check(
    verification: Verification,
    change_set: ChangeSet,
    environment: Environment,
    *,
    title: str,
    target: str,
    actor: Actor,
    now: datetime,
) -> None:
    """Say on the trail what a check found. A change of one flag is told with the flag."""
    keys = [key for kind, key in map(kind_and_key, change_set.edits) if kind == "flag"]
    trail.record(
        Action.ROLLBACK_VERIFIED if verification.is_good else Action.ROLLBACK_MISMATCH,
        actor=actor,
        target=trail.Target("environment", str(environment.pk), environment.key),
        now=now,
        project_id=environment.project_id,
        project_key=environment.project.key,
        environment_key=environment.key,
        flag_key=keys[0] if len(keys) == len(change_set.edits) == 1 else "",
        reason=title,
        data={
            "target": target,
            "checked": len(change_set.edits),
            "revision": verification.revision,
            "milliseconds": round(verification.seconds * 1000),
            "mismatches": list(verification.mismatches),
            "forced": list(verification.forced),
            "problem": verification.problem,
        },
    )


def check_once_committed(request: ChangeRequest, *, actor: Actor, now: datetime, clock: Clock = time.monotonic) -> None:
    """For a request that goes back and was just applied: look at what is served as soon as it is committed."""
    if request.source.get("kind") not in BACKWARD:
        return
    began, content, environment = clock(), request.content, request.environment
    title, target, thread = request.label, str(request.source.get("target", "")), request.correlation_id

    def check() -> None:
        verification = check_served(content, environment, since=began, clock=clock)
        with correlation(thread):
            attempt(
                partial(
                    record_check,
                    verification,
                    content,
                    environment,
                    title=title,
                    target=target,
                    actor=actor,
                    now=now,
                )
            )

    transaction.on_commit(check, robust=True)
