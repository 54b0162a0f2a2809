"""Erasing a person's name. The chain keeps an id that then means nobody; no hash changes."""

from datetime import datetime

from django.db import transaction

from audits.actions import Action
from audits.context import PERSON_TARGET, Actor, ActorKind
from audits.models import AuditActor, AuditEvent
from audits.trail import Target, record

ERASED_LABEL = "erased person"


@transaction.atomic
def erase_label(actor_id: str, *, actor: Actor, now: datetime, reason: str = "") -> AuditEvent:
    """Replace a person's name in the trail for good, and record that it was done. Later acts do not bring it back.

    The caller erases the person's own row. A second call changes nothing but is recorded as well.
    """
    AuditActor.objects.bulk_create(
        [AuditActor(kind=ActorKind.PERSON, id=actor_id, label=ERASED_LABEL, erased_at=now)],
        update_conflicts=True,
        unique_fields=["kind", "id"],
        update_fields=["label", "erased_at"],
    )
    target = Target(PERSON_TARGET, actor_id, ERASED_LABEL)
    return record(Action.AUDIT_PERSON_ERASED, actor=actor, target=target, now=now, reason=reason)
