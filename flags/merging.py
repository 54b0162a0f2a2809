"""Pure: two changes of the same document put together where they do not meet, and named where they do."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from audits.integrity import canonical_json

_SCALARS = ("schema", "enabled", "client_visible", "off_variant", "default_variant", "salt", "condition", "deprecation")
_LISTS = {"rules": "id", "prerequisites": "flag", "variants": "name"}
# Fields that say nothing when they are empty, and are absent then.
_OPTIONAL = frozenset({"client_visible", "targets", "prerequisites", "deprecation"})
_WORDS = {
    "enabled": "the switch",
    "client_visible": "whether clients see it",
    "off_variant": "what OFF means",
    "default_variant": "what everyone else gets",
    "salt": "the salt",
    "schema": "the schema",
    "deprecation": "how the flag ends",
    "condition": "who belongs to it",
    "rules": "the order of the rules",
}
_KINDS = {"rules": "the rule", "variants": "the variant", "prerequisites": "the prerequisite"}
_TARGETS_NAMED = 3
_MISSING: Any = object()
Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Conflict:
    """One thing that both sides changed differently; a side without it has None.

    The path is a field, `rules.<id>`, `variants.<name>` or `prerequisites.<flag>`; `rules` is the order of the rules,
    as lists of ids, and `targets` all disputed keys with their variants.
    """

    path: str
    base: Any
    ours: Any
    theirs: Any

    @property
    def words(self) -> str:
        """What is disputed, in a few words: the rule “staff”."""
        if self.path == "targets":
            keys = list({**(self.ours or {}), **(self.theirs or {})})
            return f"the individual target{'s' if len(keys) > 1 else ''} {_named(keys)}"
        kind, _, name = self.path.partition(".")
        if not name:
            return _WORDS.get(kind, kind)
        item = self.ours or self.theirs or {}
        return f"{_KINDS[kind]} “{item.get('description') or name}”" if kind == "rules" else f"{_KINDS[kind]} “{name}”"


@dataclass(frozen=True, slots=True)
class Merge:
    """Both changes in one document, and what a person has to decide: there `document` holds our side, if not told."""

    document: Item
    conflicts: tuple[Conflict, ...]


@dataclass(slots=True)
class _Decisions:
    """Which side is taken where both changed, and what was disputed."""

    take_theirs: Collection[str]
    conflicts: list[Conflict] = field(default_factory=list)

    def pick(self, path: str, base: Any, ours: Any, theirs: Any) -> Any:
        if _same(ours, base):
            return theirs
        if _same(theirs, base) or _same(ours, theirs):
            return ours
        return self.dispute(path, base, ours, theirs)

    def dispute(self, path: str, base: Any, ours: Any, theirs: Any) -> Any:
        if all(conflict.path != path for conflict in self.conflicts):
            self.conflicts.append(
                Conflict(path, *(None if side is _MISSING else side for side in (base, ours, theirs)))
            )
        return theirs if path in self.take_theirs else ours


def merge_documents(
    base: Mapping[str, Any],
    ours: Mapping[str, Any],
    theirs: Mapping[str, Any],
    *,
    take_theirs: Collection[str] = (),
) -> Merge:
    """Return `ours` with what `theirs` changed against `base`. All are valid documents of one flag or one segment.

    An empty `base` is a document that did not exist. Where both changed the same thing, our side stays and the conflict
    is named; `take_theirs` holds the paths of conflicts in which somebody chose the other side. A variant that only one
    side took away stays while the other side's rules, targets or defaults serve it, and is a conflict. Without
    conflicts the result refers to variants it has; its size and what it means beside other flags is for validation.
    """
    decisions, merged = _Decisions(frozenset(take_theirs)), Item()
    for name in _SCALARS:
        sides = [document.get(name, _MISSING) for document in (base, ours, theirs)]
        merged[name] = decisions.pick(name, *sides)
    merged["targets"] = _merge_targets(decisions, *(document.get("targets", []) for document in (base, ours, theirs)))
    for name in _LISTS:
        lists = [document.get(name, []) for document in (base, ours, theirs)]
        merged[name] = _merge_list(name, decisions, *lists, needed=_served(merged) if name == "variants" else set())
    order = [*ours, *(name for name in theirs if name not in ours)]
    document = {name: merged[name] for name in order if _says_something(name, merged[name])}
    return Merge(document, tuple(decisions.conflicts))


def _says_something(name: str, value: Any) -> bool:
    return value is not _MISSING and (bool(value) or name not in _OPTIONAL)


def _same(a: Any, b: Any) -> bool:
    """Equality of JSON values: unlike `==` it tells true from 1 and 1 from 1.0."""
    if a is b:
        return True
    if a is _MISSING or b is _MISSING:
        return False
    if isinstance(a, str) and isinstance(b, str):
        return a == b
    return canonical_json(a) == canonical_json(b)


def _merge_list(
    name: str,
    decisions: _Decisions,
    base: Sequence[Item],
    ours: Sequence[Item],
    theirs: Sequence[Item],
    *,
    needed: Collection[str],
) -> list[Item]:
    """Item by item, each known by its key and taken as a whole."""
    old, our, their = ({item[_LISTS[name]]: item for item in items} for items in (base, ours, theirs))
    kept: dict[str, Item] = {}
    for key in {**our, **their}:
        path, sides = f"{name}.{key}", [items.get(key, _MISSING) for items in (old, our, their)]
        item = decisions.pick(path, *sides)
        if item is _MISSING and key in needed:
            decisions.dispute(path, *sides)
            item = our.get(key) or their[key]
        if item is not _MISSING:
            kept[key] = item
    orders = [[key for key in items if key in kept] for items in (old, our, their)]
    return [kept[key] for key in _merge_order(name, decisions, *orders)]


def _merge_order(
    name: str, decisions: _Decisions, base: Sequence[str], ours: Sequence[str], theirs: Sequence[str]
) -> list[str]:
    """All keys: those of both sides in the order of the side that moved them, the others behind their neighbours.

    The first rule that matches decides, so rules that both sides moved, or put at the same place, are a conflict.
    """
    shared = set(ours) & set(theirs)
    old, our, their = ([key for key in keys if key in shared] for keys in (base, ours, theirs))
    ours_leads = our == their or their == old
    is_disputed = not ours_leads and our != old
    before, after = _followers(ours, shared), _followers(theirs, shared)
    is_disputed |= any(before[anchor] and after[anchor] for anchor in before)
    lead = our if ours_leads or is_disputed else their
    if is_disputed and name == "rules":
        decisions.dispute("rules", list(base), list(ours), list(theirs))
        if "rules" in decisions.take_theirs:
            lead, before, after = their, after, before
    return [key for anchor in ("", *lead) for key in ([anchor] if anchor else []) + before[anchor] + after[anchor]]


def _followers(keys: Sequence[str], shared: Collection[str]) -> dict[str, list[str]]:
    """The keys that only this side has, by the shared key they stand behind; "" is the beginning."""
    followers: dict[str, list[str]] = {"": [], **{key: [] for key in shared}}
    anchor = ""
    for key in keys:
        if key in shared:
            anchor = key
        else:
            followers[anchor].append(key)
    return followers


def _merge_targets(
    decisions: _Decisions, base: Sequence[Item], ours: Sequence[Item], theirs: Sequence[Item]
) -> list[Item]:
    """Key by key, so that two people who name different ones never stand in each other's way."""
    if _same(ours, base) or _same(theirs, base):
        return list(theirs if _same(ours, base) else ours)
    old, our, their = (_targeted(items) for items in (base, ours, theirs))
    disputed = dict.fromkeys(
        key
        for key in {**our, **their}
        if len({our.get(key), their.get(key)}) == 2 and old.get(key) not in (our.get(key), their.get(key))
    )
    taken = our
    if disputed:
        decisions.dispute(
            "targets", *({key: side[key] for key in disputed if key in side} for side in (old, our, their))
        )
        taken = their if "targets" in decisions.take_theirs else our
    variants = dict.fromkeys(entry["variant"] for items in (ours, theirs) for entry in items)
    keys_of: dict[str, list[str]] = {variant: [] for variant in variants}
    for key in {**our, **their}:
        side = taken if key in disputed else their if our.get(key) == old.get(key) else our
        if key in side:
            keys_of[side[key]].append(key)
    return [{"variant": variant, "keys": keys} for variant, keys in keys_of.items() if keys]


def _targeted(items: Sequence[Item]) -> dict[str, str]:
    return {key: entry["variant"] for entry in items for key in entry["keys"]}


def _served(document: Mapping[str, Any]) -> set[str]:
    """The variants that a merged document serves to anybody."""
    served = {document["off_variant"], document["default_variant"]}
    served |= {entry["variant"] for entry in document["targets"]}
    if document["deprecation"] is not _MISSING:
        served.add((document["deprecation"].get("withdrawal") or {}).get("serves"))
    for rule in document["rules"]:
        serve = rule["serve"]
        served |= {part["variant"] for part in serve["split"]} if "split" in serve else {serve["variant"]}
    return served


def _named(keys: Sequence[str]) -> str:
    names = ", ".join(f"“{key}”" for key in keys[:_TARGETS_NAMED])
    return names if len(keys) <= _TARGETS_NAMED else f"{names} and {len(keys) - _TARGETS_NAMED} more"
