"""Writing one version of a governed document together with its history row."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from audits.context import Actor, current_correlation_id
from flags.changes import document_digest
from flags.errors import StaleChange
from flags.models import FlagConfig, Segment
from flags.permissions import person_of

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractUser


@dataclass(frozen=True, slots=True)
class Author:
    """Who writes versions, looked up once for all that one act writes."""

    actor: Actor
    person: "AbstractUser | None"

    @classmethod
    def of(cls, actor: Actor) -> Self:
        """The author behind an actor: one query."""
        return cls(actor, person_of(actor))


def write_version(
    row: FlagConfig | Segment, document: dict[str, object], *, author: Author, now: datetime, reason: str
) -> None:
    """Store `document` as the next version of `row`: version 1 for a row that is not in the database yet.

    Needs an open apply ticket. Raises StaleChange when somebody else wrote a version since `row` was read.
    """
    is_new = row._state.adding
    base_version = 0 if is_new else row.version
    row.document, row.digest = document, document_digest(document)
    row.version, row.updated_at = base_version + 1, now
    model: Any = type(row)
    if is_new:
        model.objects.bulk_create([row])
    elif not _advance(row, base_version):
        raise StaleChange("Somebody changed this a moment ago. Look at the current version and try again.")
    actor = author.actor
    facts = {"actor_kind": actor.kind.value, "actor_id": actor.id, "correlation_id": current_correlation_id()}
    model.history.bulk_history_create(
        [row],
        update=not is_new,
        default_user=author.person,
        default_change_reason=reason,
        default_date=now,
        custom_historical_attrs=facts,
    )


def _advance(row: FlagConfig | Segment, base_version: int) -> bool:
    fields = {name: getattr(row, name) for name in ("document", "digest", "version", "updated_at")}
    if isinstance(row, Segment):
        fields["name"] = row.name
    return bool(type(row)._default_manager.filter(pk=row.pk, version=base_version).update(**fields))
