"""Which flags need which: parents with what they serve now, and the flags that depend on one."""

import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from flags.documents import summarise
from flags.models import Environment, Flag, FlagConfig

NOT_SET_UP = "not set up"
PlaceKey = tuple[uuid.UUID, str]
Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Parent:
    """A flag that others may need: its variants, the ones it may serve now, and its state in a few words."""

    flag_id: uuid.UUID
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


def offered_parents(flag: Flag, environment: Environment) -> list[Parent]:
    """The other flags of the project with what they serve in an environment, by name: two queries."""
    documents = dict(FlagConfig.objects.filter(environment=environment).values_list("flag__key", "document"))
    flags = Flag.objects.filter(project=flag.project_id).exclude(pk=flag.pk).order_by("name", "key")
    rows = flags.values_list("pk", "key", "name")
    return [_parent(flag_id, key, name, documents.get(key)) for flag_id, key, name in rows]


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


def needs_by_place(documents: Mapping[PlaceKey, Document], project_id: uuid.UUID) -> dict[PlaceKey, list[Need]]:
    """The prerequisites of configs by environment and flag key, with their parents' present state: two queries."""
    wanted = {place: list(document.get("prerequisites", ())) for place, document in documents.items()}
    parent_keys = {item["flag"] for items in wanted.values() for item in items}
    environment_ids = {place[0] for place, items in wanted.items() if items}
    flags = {row[1]: row for row in _flags(project_id, parent_keys)}
    served = _served(environment_ids, parent_keys)
    return {
        place: [_need(item, flags.get(item["flag"]), served.get((place[0], item["flag"]))) for item in items]
        for place, items in wanted.items()
    }


def _flags(project_id: uuid.UUID, keys: Collection[str]) -> Iterable[tuple[uuid.UUID, str, str]]:
    return Flag.objects.filter(project=project_id, key__in=keys).values_list("pk", "key", "name")


def _served(environment_ids: Collection[uuid.UUID], keys: Collection[str]) -> dict[PlaceKey, dict[str, Any]]:
    configs = FlagConfig.objects.filter(environment__in=environment_ids, flag__key__in=keys)
    rows = configs.values_list("environment_id", "flag__key", "document")
    return {(environment_id, key): document for environment_id, key, document in rows}


def _need(item: Document, flag: tuple[uuid.UUID, str, str] | None, document: Document | None) -> Need:
    flag_id, key, name = flag or (uuid.UUID(int=0), item["flag"], item["flag"])
    parent = _parent(flag_id, key, name, document)
    return Need(parent, " or ".join(item["variants"]), parent.serves.isdisjoint(item["variants"]))


def _parent(flag_id: uuid.UUID, key: str, name: str, document: Document | None) -> Parent:
    if document is None:
        return Parent(flag_id, key, name)
    headline = summarise(document).headline
    variants = tuple(variant["name"] for variant in document["variants"])
    return Parent(flag_id, key, name, headline[:1].lower() + headline[1:], variants, may_serve(document))


def may_serve(document: Document) -> frozenset[str]:
    """The variants that a config may serve to somebody, as it is now and whatever it needs itself."""
    if not document["enabled"]:
        return frozenset({document["off_variant"]} - {None})
    found = {entry["variant"] for entry in document.get("targets", ())}
    for rule in document["rules"]:
        serve = rule["serve"]
        if "split" in serve:
            found |= {share["variant"] for share in serve["split"] if share["weight"]}
            continue
        found.add(serve["variant"])
        if rule["condition"] is None and not rule.keys() & {"starts_at", "ends_at"}:
            return frozenset(found)
    return frozenset((found | {document["default_variant"]}) - {None})
