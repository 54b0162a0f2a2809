"""What every act on a release train shares: the lock, the conditional write, the audit event.

A train is locked after environment and plan. Acts on a train lock no environment, so nobody waits in a circle.
"""

import uuid
from datetime import datetime
from typing import Any

from django.db.models import F

from audits import trail
from audits.actions import Action
from audits.context import Actor
from flags.errors import NotFound
from flags.services.tickets import governed_write
from rollouts.errors import ConcurrentUpdate, TrainMovedOn
from rollouts.models import ReleaseTrain
from rollouts.plans.trains import TrainAct, next_train_state


def lock_train(train_id: uuid.UUID, *, seen: int | None = None) -> ReleaseTrain:
    """The train, locked until the transaction ends. Raises NotFound, TrainMovedOn where it is not as it was seen."""
    rows = ReleaseTrain.objects.select_for_update(of=("self",), no_key=True).select_related("project")
    train = rows.filter(pk=train_id).first()
    if train is None:
        raise NotFound("This train does not exist. It may have been mistyped.", train_id=str(train_id))
    if seen is not None and seen != train.lock_version:
        raise TrainMovedOn(
            f"Somebody acted on the train “{train.title}” since the page was opened: it is "
            f"{train.current_state.label.lower()} now. Nothing was done. Reload the page and decide again."
        )
    return train


def write(train: ReleaseTrain, act: TrainAct, **fields: Any) -> None:
    """Write what `act` leads to, provided nobody wrote since the train was read. Raises InvalidTrainTransition."""
    target = next_train_state(train.current_state, act)
    _update(train, state=target.value, **fields)


def note(train: ReleaseTrain, refused: dict[str, str]) -> None:
    """Keep why plans could not be started or taken back; nothing is written where that was said already."""
    if train.refused != refused:
        _update(train, refused=refused)


def record(train: ReleaseTrain, action: Action, *, actor: Actor, now: datetime, reason: str = "", **data: Any) -> None:
    """Write the audit event of an act on `train`."""
    trail.record(
        action,
        actor=actor,
        target=trail.Target("train", str(train.pk), train.title),
        now=now,
        project_id=train.project_id,
        project_key=train.project.key,
        reason=reason,
        data=data,
    )


def _update(train: ReleaseTrain, **fields: Any) -> None:
    as_read = ReleaseTrain.objects.filter(pk=train.pk, state=train.state, lock_version=train.lock_version)
    with governed_write(train.project_id):
        if as_read.update(lock_version=F("lock_version") + 1, **fields) != 1:
            raise ConcurrentUpdate("Somebody else acted on this train at the same moment. Reload the page.")
    train.lock_version += 1
    for name, value in fields.items():
        setattr(train, name, value)
