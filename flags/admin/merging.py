"""Two people changed the same config: put both changes together where they do not meet. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from audits.integrity import canonical_json

_SCALARS = ("schema", "enabled", "client_visible", "off_variant", "default_variant", "salt")
_WORDS = {
    "enabled": "the switch",
    "client_visible": "whether clients see it",
    "off_variant": "what OFF means",
    "default_variant": "what everyone else gets",
    "salt": "the salt",
    "schema": "the schema",
}
# Fields that say nothing when they are empty, and are absent then.
_OPTIONAL = frozenset({"client_visible", "targets", "prerequisites"})
_KINDS = {"rules": "the rule", "variants": "the variant", "prerequisites": "the prerequisite"}
_KEYS = {"rules": "id", "variants": "name", "prerequisites": "flag"}
_TARGETS_NAMED = 3
Item = dict[str, Any]


def merge(base: Mapping[str, Any], theirs: Mapping[str, Any], mine: Mapping[str, Any]) -> tuple[Item, list[str]]:
    """Return `mine` with what only `theirs` changed against `base`, and what both changed differently, in words.

    Where both changed the same thing, `mine` stays: the person sees the clash and decides. All are valid documents.
    """
    merged: Item = {}
    clashes: list[str] = []
    for field in _SCALARS:
        merged[field] = _pick(base.get(field), theirs.get(field), mine.get(field), _WORDS[field], clashes)
    for field in ("variants", "prerequisites", "targets", "rules"):
        old, their, my = (document.get(field, []) for document in (base, theirs, mine))
        if _same(my, old) or _same(their, old):
            merged[field] = their if _same(my, old) else my
        elif field == "targets":
            merged[field] = _merge_targets(old, their, my, clashes)
        else:
            merged[field] = _merge_list(old, their, my, field, clashes)
    order = [*mine, *(field for field in theirs if field not in mine)]
    return {key: merged[key] for key in order if key in merged and _says_something(key, merged[key])}, clashes


def _says_something(field: str, value: Any) -> bool:
    return bool(value) or field not in _OPTIONAL


def _same(a: Any, b: Any) -> bool:
    """Equality of JSON values: unlike `==` it tells true from 1 and 1 from 1.0."""
    if isinstance(a, str) and isinstance(b, str):
        return a == b
    return canonical_json(a) == canonical_json(b)


def _pick(base: Any, theirs: Any, mine: Any, words: str, clashes: list[str]) -> Any:
    if _same(mine, base):
        return theirs
    if not (_same(theirs, base) or _same(theirs, mine)):
        clashes.append(words)
    return mine


def _merge_list(
    base: Sequence[Item], theirs: Sequence[Item], mine: Sequence[Item], field: str, clashes: list[str]
) -> list[Item]:
    key = _KEYS[field]
    old, their, my = ({item[key]: item for item in items} for items in (base, theirs, mine))
    kept: dict[str, Item] = {}
    for name in [*their, *(name for name in my if name not in their)]:
        item = _pick(old.get(name), their.get(name), my.get(name), _words(field, name, my, their), clashes)
        if item is not None:
            kept[name] = item
    mine_kept_order = [name for name in my if name in old] == [name for name in old if name in my]
    first, second = (list(their), list(my)) if mine_kept_order else (list(my), list(their))
    return [kept[name] for name in _interleaved(first, second) if name in kept]


def _words(field: str, name: str, mine: Mapping[str, Item], theirs: Mapping[str, Item]) -> str:
    item = mine.get(name) or theirs.get(name) or {}
    return f"{_KINDS[field]} “{item.get('description') or name}”" if field == "rules" else f"{_KINDS[field]} “{name}”"


def _interleaved(first: Sequence[str], second: Sequence[str]) -> list[str]:
    """All names in the order of `first`; those only `second` has come after the neighbour they follow there."""
    result = list(first)
    for position, name in enumerate(second):
        if name in result:
            continue
        before = [other for other in second[:position] if other in result]
        result.insert(result.index(before[-1]) + 1 if before else 0, name)
    return result


def _merge_targets(
    base: Sequence[Item], theirs: Sequence[Item], mine: Sequence[Item], clashes: list[str]
) -> list[Item]:
    """Key by key, so that two people who name different ones never stand in each other's way."""
    old, their, my = (_targeted(items) for items in (base, theirs, mine))
    variants = dict.fromkeys(entry["variant"] for items in (mine, theirs) for entry in items)
    keys_of: dict[str, list[str]] = {variant: [] for variant in variants}
    disputed: list[str] = []
    for key in {**my, **their}:
        variant = _pick(old.get(key), their.get(key), my.get(key), key, disputed)
        if variant is not None:
            keys_of[variant].append(key)
    if disputed:
        clashes.append(f"the individual target{'s' if len(disputed) > 1 else ''} {_named(disputed)}")
    return [{"variant": variant, "keys": keys} for variant, keys in keys_of.items() if keys]


def _targeted(items: Sequence[Item]) -> dict[str, str]:
    return {key: entry["variant"] for entry in items for key in entry["keys"]}


def _named(keys: Sequence[str]) -> str:
    names = ", ".join(f"“{key}”" for key in keys[:_TARGETS_NAMED])
    return names if len(keys) <= _TARGETS_NAMED else f"{names} and {len(keys) - _TARGETS_NAMED} more"
