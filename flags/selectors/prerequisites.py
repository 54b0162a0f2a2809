"""Which flags need which: parents with what they serve now, and the flags that depend on one."""

import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from flags.documents import summarise
from flags.documents.serving import variants_served
from flags.models import Environment, Flag, FlagConfig

NOT_SET_UP = "not set up"
PlaceKey = tuple[uuid.UUID, str]
Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Parent:
    """A flag that others may need: its variants, the ones it may serve now, and its state in a few words.

    There is no `flag_id` where there is no such flag.
    """

    flag_id: uuid.UUID | None
    key: str
    name: str
    state: str = NOT_SET_UP
    variants: tuple[str, ...] = ()
    serves: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Need:
    """A prerequisite beside its parent's present state. `is_unmet`: the parent serves none of what is wanted now."""

    parent: Parent
    wanted: str
    is_unmet: bool


@dataclass(frozen=True, slots=True)
class Dependent:
    """A flag that has another one as its prerequisite."""

    flag_id: uuid.UUID
    key: str
    name: str


def offered_parents(flag: Flag, environment: Environment, *, now: datetime) -> list[Parent]:
    """The other flags of the project, but archived ones, with what they serve here, by name: two queries."""
    documents = dict(FlagConfig.objects.filter(environment=environment).values_list("flag__key", "document"))
    flags = Flag.objects.filter(project=flag.project_id, archived_at=None).exclude(pk=flag.pk).order_by("name", "key")
    rows = flags.values_list("pk", "key", "name")
    known: dict[str, set[str]] = {}
    return [_parent(flag_id, key, name, documents, known, now) for flag_id, key, name in rows]


def dependents_by_place(environment_ids: Collection[uuid.UUID]) -> dict[PlaceKey, list[Dependent]]:
    """The flags that need a flag, by environment and that flag's key: one query, for configs with prerequisites."""
    configs = FlagConfig.objects.filter(environment__in=environment_ids, document__has_key="prerequisites")
    rows = configs.order_by("flag__name").values_list(
        "environment_id", "flag_id", "flag__key", "flag__name", "document__prerequisites"
    )
    found: dict[PlaceKey, list[Dependent]] = {}
    for environment_id, flag_id, key, name, prerequisites in rows:
        for item in prerequisites:
            found.setdefault((environment_id, item["flag"]), []).append(Dependent(flag_id, key, name))
    return found


def needs_by_place(
    documents: Mapping[PlaceKey, Document], project_id: uuid.UUID, *, now: datetime
) -> dict[PlaceKey, list[Need]]:
    """The prerequisites of configs by environment and flag key, with their parents' present state.

    Two queries; four where parents have prerequisites themselves, however long the chains are.
    """
    wanted = {place: list(document.get("prerequisites", ())) for place, document in documents.items()}
    parent_keys = {item["flag"] for items in wanted.values() for item in items}
    environment_ids = {place[0] for place, items in wanted.items() if items}
    flags = {row[1]: row for row in _flags(project_id, parent_keys)}
    ancestry = _ancestry(environment_ids, parent_keys)
    known: dict[uuid.UUID, dict[str, set[str]]] = {}
    return {
        place: [
            _need(item, flags.get(item["flag"]), ancestry.get(place[0], {}), known.setdefault(place[0], {}), now)
            for item in items
        ]
        for place, items in wanted.items()
    }


def _flags(project_id: uuid.UUID, keys: Collection[str]) -> Iterable[tuple[uuid.UUID, str, str]]:
    return Flag.objects.filter(project=project_id, key__in=keys).values_list("pk", "key", "name")


def _ancestry(environment_ids: Collection[uuid.UUID], keys: Collection[str]) -> dict[uuid.UUID, dict[str, Document]]:
    """The configs of flags and of what those need in turn, by environment and key."""
    rows = FlagConfig.objects.filter(environment__in=environment_ids)
    found: dict[uuid.UUID, dict[str, Document]] = {}
    _gather(found, rows.filter(flag__key__in=keys))
    if not any("prerequisites" in document for group in found.values() for document in group.values()):
        return found
    _gather(found, rows.filter(document__has_key="prerequisites"))
    needed = {
        item["flag"]
        for group in found.values()
        for document in group.values()
        for item in document.get("prerequisites", ())
    }
    missing = needed.difference(keys)
    if missing:
        _gather(found, rows.filter(flag__key__in=missing))
    return found


def _gather(found: dict[uuid.UUID, dict[str, Document]], rows: QuerySet[FlagConfig]) -> None:
    for environment_id, key, document in rows.values_list("environment_id", "flag__key", "document"):
        found.setdefault(environment_id, {})[key] = document


def _need(
    item: Document,
    flag: tuple[uuid.UUID, str, str] | None,
    documents: Mapping[str, Document],
    known: dict[str, set[str]],
    now: datetime,
) -> Need:
    flag_id, key, name = flag or (None, item["flag"], item["flag"])
    parent = _parent(flag_id, key, name, documents, known, now)
    return Need(parent, " or ".join(item["variants"]), parent.serves.isdisjoint(item["variants"]))


def _parent(
    flag_id: uuid.UUID | None,
    key: str,
    name: str,
    documents: Mapping[str, Document],
    known: dict[str, set[str]],
    now: datetime,
) -> Parent:
    document = documents.get(key)
    if document is None:
        return Parent(flag_id, key, name)
    headline = summarise(document).headline
    variants = tuple(variant["name"] for variant in document["variants"])
    serves = frozenset(variants_served(key, documents, now=now, known=known))
    return Parent(flag_id, key, name, headline[:1].lower() + headline[1:], variants, serves)
