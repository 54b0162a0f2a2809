"""Requests whose effect was taken back."""

import uuid
from datetime import datetime

from audits.actions import Action
from audits.context import Actor
from flags.changes import change_digest
from rollouts.models import ChangeRequest
from rollouts.services.rollback_checks import check_once_committed
from rollouts.services.writing import lock_request, move, record
from rollouts.transitions import Act, is_possible


def mark_rolled_back(request_id: uuid.UUID, *, actor: Actor, now: datetime, reason: str) -> None:
    """Say that what an applied request changed is undone, in the transaction that undoes it."""
    request = lock_request(request_id)
    origin = request.current_state
    move(request, Act.ROLL_BACK)
    record(Action.CHANGE_REQUEST_ROLLED_BACK, request, actor=actor, now=now, origin=origin, reason=reason)


def finish_rollback(request: ChangeRequest, *, actor: Actor, now: datetime) -> None:
    """After `request` was applied: what it was drafted to undo is rolled back, if the draft stayed as it was.

    Whatever became of the draft: a request that goes back is checked against what is served once it is committed.
    """
    check_once_committed(request, actor=actor, now=now)
    source = request.source
    if source.get("what") != "request" or source.get("digest") != change_digest(request.content, apply_at=None):
        return
    undone = ChangeRequest.objects.filter(pk=source["request_id"], environment=request.environment).first()
    if source.get("is_whole") and undone is not None and is_possible(undone.current_state, Act.ROLL_BACK):
        mark_rolled_back(undone.pk, actor=actor, now=now, reason=request.label)
