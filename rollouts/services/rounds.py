"""Keeping what reviewers were asked about, round by round, and what each person saw last."""

import uuid
from datetime import datetime

from audits.context import Actor
from flags import permissions
from flags.services.attempts import attempt
from flags.services.tickets import governed_write
from rollouts.models import ChangeRequest, Look, RequestRound
from rollouts.services.writing import lock_request, require_person
from rollouts.transitions import Act


def keep_round(request: ChangeRequest, act: Act, *, actor: Actor, now: datetime) -> None:
    """Store the content that reviewers are asked about from now on. Whoever made it has seen it."""
    author_id = require_person(actor)
    with governed_write(request.environment_id):
        RequestRound.objects.create(
            request=request,
            environment=request.environment,
            round=request.round,
            digest=request.digest,
            change_set=request.change_set,
            apply_at=request.apply_at,
            author_id=author_id,
            occasion=act.value,
            created_at=now,
        )
    _look(request, author_id, digest=request.digest, round=request.round, now=now)


def look_at_request(request_id: uuid.UUID, *, actor: Actor, digest: str, now: datetime) -> None:
    """Remember that a person saw the content with `digest`; one that was never under review is passed over.

    A page that was opened before another one never takes a later look back. Needs the right to look.
    """

    def act() -> None:
        request = lock_request(request_id)
        permissions.require(actor, permissions.VIEW, request.environment)
        person_id = require_person(actor)
        kept = RequestRound.objects.filter(request=request, digest=digest).first()
        if kept is not None:
            _look(request, person_id, digest=digest, round=kept.round, now=now)

    attempt(act)


def _look(request: ChangeRequest, person_id: uuid.UUID, *, digest: str, round: int, now: datetime) -> None:
    look = Look.objects.filter(request=request, person_id=person_id).first()
    if look is None:
        Look.objects.create(request=request, person_id=person_id, digest=digest, round=round, seen_at=now)
    elif look.round <= round:
        look.digest, look.round, look.seen_at = digest, round, now
        look.save()
