"""The one stored form of a document, and the documents a flag starts with."""

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from flags.evaluation.instants import instant_text, parse_instant

from .deprecation import normalise_deprecation
from .schema import SCHEMA_VERSION, TARGETING_KEY, Document, is_integer

_STARTING_VARIANTS: dict[str, list[tuple[str, Any]]] = {
    "boolean": [("on", True), ("off", False)],
    "string": [("default", "")],
    "integer": [("default", 0)],
    "float": [("default", 0.0)],
    "object": [("default", {})],
}


def initial_document(flag_key: str, value_type: str, variants: Sequence[Mapping[str, Any]] | None = None) -> Document:
    """Return the document a flag starts with: switched off, and nobody is served anything new.

    The off and default variant is the one named "off", else the first. Raises ValueError for an unknown `value_type`.
    """
    if value_type not in _STARTING_VARIANTS:
        raise ValueError(f"Unknown value type {value_type!r}. Use one of {', '.join(_STARTING_VARIANTS)}.")
    chosen = [dict(v) for v in variants or ({"name": n, "value": v} for n, v in _STARTING_VARIANTS[value_type])]
    names = [variant.get("name") for variant in chosen]
    baseline = "off" if "off" in names else names[0]
    document = {
        "schema": SCHEMA_VERSION,
        "enabled": False,
        "off_variant": baseline,
        "variants": chosen,
        "default_variant": baseline,
        "salt": f"{flag_key}/",
        "rules": [],
    }
    return normalise_config(document, value_type=value_type)


def normalise_config(document: Mapping[str, Any], *, value_type: str | None = None, flag_key: str = "") -> Document:
    """Return a deep copy with every optional field filled in; what cannot be understood stays for the validator.

    Fields that came later (targets, prerequisites, visibility, windows, bucketing, deprecation) are left out where they
    say nothing instead, so that documents from before them keep their digest. With `value_type` "float" whole numbers
    become floats. With `flag_key` a missing salt becomes the usual one. Doing it twice changes nothing.
    """
    result: Document = _copied(document)
    if not isinstance(result, dict):
        return result
    result.setdefault("schema", SCHEMA_VERSION)
    result.setdefault("rules", [])
    if flag_key:
        result.setdefault("salt", f"{flag_key}/")
    for variant in _objects(result.get("variants")):
        variant.setdefault("description", "")
        if value_type == "float" and is_integer(variant.get("value")) and abs(variant["value"]) < 2**53:
            variant["value"] = float(variant["value"])
    _fill_rules(_objects(result["rules"]))
    _drop_silent(result)
    return result


def _drop_silent(document: dict[str, Any]) -> None:
    """Leave out what says nothing, and write instants in one way."""
    if isinstance(document.get("targets"), list):
        document["targets"] = [item for item in document["targets"] if not _is_without_keys(item)]
    _drop(document, targets=([], None), prerequisites=([], None), client_visible=(False, None), deprecation=(None,))
    if isinstance(document.get("deprecation"), dict):
        normalise_deprecation(document["deprecation"])
    for rule in _objects(document["rules"]):
        _drop(rule, starts_at=("", None), ends_at=("", None), salt=("", None), bucket_by=("", None, TARGETING_KEY))
        for field in ("starts_at", "ends_at"):
            instant = parse_instant(rule.get(field))
            if instant is not None:
                rule[field] = instant_text(instant)


def _is_without_keys(item: object) -> bool:
    return isinstance(item, dict) and item.get("keys") in ([], None) and item.keys() <= {"variant", "keys"}


def _drop(item: dict[str, Any], **silent: tuple[Any, ...]) -> None:
    for field, values in silent.items():
        # The type is compared too: 0 is not false here.
        if field in item and any(type(item[field]) is type(value) and item[field] == value for value in values):
            del item[field]


def normalise_segment(document: Mapping[str, Any]) -> Document:
    """Return a deep copy of a segment document with every optional field filled in."""
    result: Document = _copied(document)
    if not isinstance(result, dict):
        return result
    result.setdefault("schema", SCHEMA_VERSION)
    _fill_condition(result.get("condition"))
    return result


def _fill_rules(rules: list[dict[str, Any]]) -> None:
    taken = {rule["id"] for rule in rules if isinstance(rule.get("id"), str)}
    names = (name for number in count(1) if (name := f"r{number}") not in taken)
    for rule in rules:
        if "id" not in rule:
            rule["id"] = next(names)
        rule.setdefault("description", "")
        rule.setdefault("condition", None)
        _fill_condition(rule["condition"])


def _fill_condition(condition: object) -> None:
    pending = [condition]
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            pending.extend(item)
        elif isinstance(item, dict):
            if "attribute" in item:
                item.setdefault("value", None)
            pending.extend(item[group] for group in ("and", "or", "not") if group in item)


def _copied(value: Any) -> Any:
    """A deep copy without negative zeros, which PostgreSQL does not keep. Iterative: the depth is not known yet."""
    root: list[Any] = [value]
    pending: list[Any] = [root]
    while pending:
        holder = pending.pop()
        for key, item in list(holder.items() if isinstance(holder, dict) else enumerate(holder)):
            if isinstance(item, Mapping):
                holder[key] = dict(item)
                pending.append(holder[key])
            elif isinstance(item, list | tuple):
                holder[key] = list(item)
                pending.append(holder[key])
            elif isinstance(item, float) and item == 0:
                holder[key] = 0.0
    return root[0]


def _objects(items: object) -> list[dict[str, Any]]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def referenced_segments(document: Mapping[str, Any]) -> set[str]:
    """The keys of all segments that the rules of a config document, or the condition of a segment document, name.

    Directly: `references.segments_within` follows them further.
    """
    found: set[str] = set()
    pending: list[object] = [rule.get("condition") for rule in _objects(document.get("rules"))]
    pending.append(document.get("condition"))
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            pending.extend(item)
        elif isinstance(item, dict):
            if isinstance(item.get("segment"), str):
                found.add(item["segment"])
            pending.extend(item[group] for group in ("and", "or", "not") if group in item)
    return found
