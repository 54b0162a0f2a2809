"""What every act on a change request shares: locks in one order, the conditional write, the audit event.

The environment row is locked before the request, by every act, so that no two acts wait for each other in a circle. The
locks save retries; that exactly one act wins rests on the conditional UPDATE, which holds where row locks are ignored.
"""

import uuid
from datetime import datetime
from typing import Any

from django.db.models import F

from audits import trail
from audits.actions import Action
from audits.context import Actor, ActorKind
from flags.changes import ChangeSet, ConfigEdit
from flags.errors import NotFound, PermissionMissing
from flags.services.locks import lock_environment
from flags.services.tickets import governed_write
from rollouts.errors import ConcurrentUpdate
from rollouts.models import BundleMember, ChangeRequest
from rollouts.transitions import Act, RequestState, next_state


def lock_request(request_id: uuid.UUID) -> ChangeRequest:
    """The request with its environment and project, both rows locked until the transaction ends. Raises NotFound.

    What happens to a request of a bundle concerns them all: their environments are locked first, in one order.
    """
    rows = ChangeRequest.objects.filter(pk=request_id)
    environment_id = rows.values_list("environment_id", flat=True).first()
    if environment_id is None:
        raise NotFound("This change request does not exist. It may have been mistyped.", request_id=str(request_id))
    together = BundleMember.objects.filter(bundle__members__request=request_id)
    ids = {environment_id, *together.values_list("environment_id", flat=True)}
    environment = {other_id: lock_environment(other_id) for other_id in sorted(ids)}[environment_id]
    # A lock that lets others refer to the row: foreign keys are checked at commit, when they may hold the chain's lock.
    request = rows.select_for_update(of=("self",), no_key=True).get()
    request.environment, request.project = environment, environment.project
    return request


def move(request: ChangeRequest, act: Act, **fields: Any) -> None:
    """Write what `act` leads to, provided nobody wrote since `request` was read.

    Raises InvalidTransition where the state does not allow the act and ConcurrentUpdate for the loser of a race.
    """
    target = next_state(request.current_state, act)
    as_read = ChangeRequest.objects.filter(pk=request.pk, state=request.state, lock_version=request.lock_version)
    with governed_write(request.environment_id):
        written = as_read.update(state=target.value, lock_version=F("lock_version") + 1, **fields)
    if written != 1:
        raise ConcurrentUpdate(f"Somebody else acted on #{request.number} at the same moment. Reload the page.")
    request.state, request.lock_version = target.value, request.lock_version + 1
    for name, value in fields.items():
        setattr(request, name, value)


def record(
    action: Action,
    request: ChangeRequest,
    *,
    actor: Actor,
    now: datetime,
    origin: RequestState | None,
    reason: str = "",
    **data: Any,
) -> None:
    """Write the audit event of an act on `request`; `origin` is the state before it."""
    keys = flag_keys(request.content)
    trail.record(
        action,
        actor=actor,
        target=trail.Target("change_request", str(request.pk), request.label),
        now=now,
        project_id=request.project_id,
        project_key=request.project.key,
        environment_key=request.environment.key,
        flag_key=keys[0] if len(keys) == 1 else "",
        reason=reason,
        data={
            "number": request.number,
            "digest": request.digest,
            "round": request.round,
            "from_state": origin.value if origin else None,
            "to_state": request.state,
            "apply_at": instant(request.apply_at),
            "flag_keys": keys,
            **data,
        },
    )


def require_person(actor: Actor) -> uuid.UUID:
    """The id of the person who acts. Raises PermissionMissing for services and rules of the system.

    Whether the account is active is for the permission to say, which every act needs as well.
    """
    if actor.kind is not ActorKind.PERSON:
        raise PermissionMissing("Only people do this. Sign in and try again.", actor=actor.id)
    return uuid.UUID(actor.id)


def flag_keys(change_set: ChangeSet) -> list[str]:
    """The keys of the flags a change set touches."""
    return sorted(edit.flag_key for edit in change_set.edits if isinstance(edit, ConfigEdit))


def instant(moment: datetime | None) -> str | None:
    """An instant as the trail stores it."""
    return moment.isoformat() if moment else None
