"""`record()`: the only writer of audit events."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import CharField

from audits.actions import Action
from audits.context import PERSON_TARGET, Actor, ActorKind, current_correlation_id
from audits.errors import ChainMoved, InvalidEvidence, OutsideTransaction
from audits.integrity import FACTS, GENESIS_HASH, JSON, canonical_json, event_hash
from audits.models import AuditActor, AuditChain, AuditEvent

SITE_CHAIN = "site"
# SQLite does not enforce the lengths of columns.
_LONGEST = {field.name: field.max_length for field in AuditEvent._meta.concrete_fields if isinstance(field, CharField)}


@dataclass(frozen=True, slots=True)
class Target:
    """What an act was done to. The label is what people called it at that moment.

    A person has the type `person` and the user's id; the name is kept outside the chain and may be left empty.
    """

    type: str
    id: str
    label: str


def record(
    action: Action,
    *,
    actor: Actor,
    target: Target,
    now: datetime,
    project_id: UUID | None = None,
    project_key: str = "",
    environment_key: str = "",
    flag_key: str = "",
    reason: str = "",
    data: Mapping[str, JSON] | None = None,
) -> AuditEvent:
    """Append one event to the chain of its project (or of the site), in the transaction of the act it proves.

    Raises OutsideTransaction when there is none, InvalidEvidence for text that cannot be stored. Names of people do not
    belong in `data` or in labels of other things: those are hashed and stay for ever. Holds the chain's lock until
    commit, so it comes last in a transaction.
    """
    if not transaction.get_connection().in_atomic_block:
        raise OutsideTransaction(
            f"{action} was to be recorded outside a transaction, so the act and its evidence could part. "
            "Nothing was written. Call record() inside the transaction.atomic() block of the act."
        )
    event = AuditEvent(
        chain=str(project_id) if project_id else SITE_CHAIN,
        occurred_at=_instant(now),
        action=Action(action).value,
        actor_kind=ActorKind(actor.kind).value,
        actor_id=actor.id,
        via=actor.via,
        correlation_id=current_correlation_id(),
        project_key=project_key,
        environment_key=environment_key,
        flag_key=flag_key,
        target_type=target.type,
        target_id=str(target.id),
        target_label="" if target.type == PERSON_TARGET else target.label,
        reason=reason,
        data=_text_of(data),
    )
    _check_columns(event, names={"actor_label": actor.label, "target_label": target.label})
    _append(event)
    event.actor_label, event.target_name = actor.label, target.label
    _remember(event.actor_kind, actor.id, actor.label)
    if target.type == PERSON_TARGET:
        _remember(ActorKind.PERSON, str(target.id), target.label)
    return event


def _append(event: AuditEvent) -> None:
    """Number, hash and insert the event under the chain's lock, then move the head: the order the triggers ask for."""
    head = _locked_head(event.chain)
    event.sequence, event.previous_hash = head.sequence + 1, head.head_hash
    event.hash = event_hash(event.previous_hash, event.facts())
    event.save(force_insert=True)
    # SQLite has no row locks: the condition, not the lock, is what keeps two writers apart there.
    moved = AuditChain.objects.filter(chain=event.chain, sequence=head.sequence, head_hash=head.head_hash).update(
        sequence=event.sequence, head_hash=event.hash
    )
    if moved != 1:
        raise ChainMoved("Another act was recorded at the same moment, so this one was not carried out. Try it again.")


def _locked_head(chain: str) -> AuditChain:
    locked = AuditChain.objects.select_for_update().filter(chain=chain)
    head = locked.first()
    if head is None:
        # Two transactions may both begin the chain; the loser waits here and then reads the winner's row.
        AuditChain.objects.bulk_create([AuditChain(chain=chain, head_hash=GENESIS_HASH)], ignore_conflicts=True)
        head = locked.get()
    return head


def _remember(kind: str, actor_id: str, label: str) -> None:
    """Keep the newest name of an actor. One read in the usual case; an erased name stays erased."""
    if not label:
        return
    known = AuditActor.objects.filter(kind=kind, id=actor_id).first()
    if known is None:
        AuditActor.objects.bulk_create([AuditActor(kind=kind, id=actor_id, label=label)], ignore_conflicts=True)
    elif known.erased_at is None and known.label != label:
        AuditActor.objects.filter(kind=kind, id=actor_id, erased_at=None).update(label=label)


def _instant(now: datetime) -> datetime:
    if now.tzinfo is None:
        raise InvalidEvidence("The time of an act needs a time zone; pass an aware instant.", column="occurred_at")
    return now


def _text_of(data: Mapping[str, JSON] | None) -> str:
    try:
        text = canonical_json(dict(data or {})).decode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidEvidence(
            f"The details of this act cannot be recorded, so it was not carried out: {_plain(error)}.", column="data"
        ) from None
    # Keys that are not text would change when read back, and the event would prove something else than it says.
    if canonical_json(json.loads(text)).decode() != text:
        raise InvalidEvidence("The details of this act cannot be recorded: every key must be text.", column="data")
    return text


def _plain(error: Exception) -> str:
    return "a text in it is not valid Unicode" if isinstance(error, UnicodeError) else str(error)


def _check_columns(event: AuditEvent, *, names: Mapping[str, str]) -> None:
    """Refuse what one of the two databases would refuse or cut, before anything is written."""
    texts = {name: value for name in FACTS if isinstance(value := getattr(event, name), str)}
    for name, value in {**texts, **names}.items():
        problem = _text_problem(value, longest=_LONGEST.get(name))
        if problem is not None:
            raise InvalidEvidence(
                f"The {name.replace('_', ' ')} {problem}, so the act was not carried out. Change it and try again.",
                column=name,
            )
    if not event.actor_id:
        raise InvalidEvidence("An act needs an actor, so it was not carried out. Sign in again.", column="actor_id")


def _text_problem(value: str, *, longest: int | None) -> str | None:
    if longest is not None and len(value) > longest:
        return f"is longer than {longest} characters"
    if "\x00" in value:
        return "holds a NUL character"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "is not valid Unicode"
    return None
