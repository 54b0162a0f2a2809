"""Events and chains for the tests of the trail."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction

from audits.actions import Action
from audits.context import Actor, correlation
from audits.integrity import FACTS, GENESIS_HASH, Head, event_hash, instant_text
from audits.models import AuditChain, AuditEvent
from audits.scope import Scope
from audits.trail import Target, record

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
STOREFRONT = UUID("11111111-1111-4111-8111-111111111111")
BACKOFFICE = UUID("22222222-2222-4222-8222-222222222222")
CHAIN = str(STOREFRONT)
BEN = Actor.system("ben")
PROJECTS = {"storefront": STOREFRONT, "backoffice": BACKOFFICE}


def person(actor_id: str, name: str, via: str = "admin") -> Actor:
    """An actor of the kind person without a row in the user table."""
    return Actor(kind=Actor.person(_User(actor_id, name)).kind, id=actor_id, label=name, via=via)


def note(action: Action = Action.FLAG_UPDATED, *, project: str = "storefront", **given: Any) -> AuditEvent:
    """Record one event in its own transaction; whatever is not given has a plain value."""
    values: dict[str, Any] = {
        "actor": person("ben", "Ben Okafor"),
        "target": Target("flag", "f1", "checkout-redesign"),
        "now": NOW,
        "project_key": project,
        "project_id": PROJECTS.get(project),
        "data": {"version": 1},
    }
    act = given.pop("act", None)
    with correlation(act), transaction.atomic():
        return record(action, **{**values, **given})


def note_many(count: int, **given: Any) -> list[AuditEvent]:
    """Record several events, a second apart."""
    each = [{"now": NOW + timedelta(seconds=number), "data": {"number": number}} for number in range(count)]
    return [note(**{**values, **given}) for values in each]


def forged_chain(length: int) -> tuple[list[dict[str, Any]], Head]:
    """A sound chain as rows in memory, with its head."""
    rows: list[dict[str, Any]] = []
    last_hash = GENESIS_HASH
    for number in range(1, length + 1):
        row: dict[str, Any] = {name: f"{name} {number}" for name in FACTS}
        row |= {"id": str(uuid4()), "chain": CHAIN, "sequence": number, "correlation_id": str(uuid4())}
        row |= {"occurred_at": instant_text(NOW + timedelta(seconds=number)), "data": f'{{"number":{number}}}'}
        rows.append(seal(row, last_hash))
        last_hash = row["hash"]
    return rows, Head(length, last_hash)


def seal(row: dict[str, Any], previous_hash: str) -> dict[str, Any]:
    """Give a row the hashes it should have."""
    row["previous_hash"] = previous_hash
    row["hash"] = event_hash(previous_hash, {name: row[name] for name in FACTS})
    return row


def head_of(chain: str = CHAIN) -> AuditChain:
    """The stored head of a chain."""
    return AuditChain.objects.get(pk=chain)


class _User:
    def __init__(self, pk: str, name: str) -> None:
        self.pk, self.name = pk, name

    def get_full_name(self) -> str:
        return self.name

    def get_username(self) -> str:
        return self.name


# Rules for `settings.AUDIT_SCOPE`.
def everything(request: Any) -> Scope:
    """All of the trail, for anybody who is signed in."""
    return Scope(project_keys=None)


def nothing(request: Any) -> Scope:
    """No part of the trail."""
    return Scope()


def only_storefront(request: Any) -> Scope:
    """One project."""
    return Scope(project_keys=frozenset({"storefront"}))


def only_storefront_staging(request: Any) -> Scope:
    """One project, and of its environments only staging: a person with a role there."""
    return Scope(project_keys=frozenset({"storefront"}), environments=frozenset({("storefront", "staging")}))


def staging_token(request: Any) -> Scope:
    """One environment: a service token."""
    reader = Actor.service("token-1", "Auditor's script")
    return Scope(project_keys=frozenset({"storefront"}), environment_key="staging", reader=reader)


def places_of(events: Iterable[Mapping[str, Any]]) -> set[tuple[str, str]]:
    """Pairs of project and environment in a page of the API."""
    return {(event["project"], event["environment"]) for event in events}
