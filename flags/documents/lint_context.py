"""Findings about attributes, about what end users can forge, and about prerequisites."""

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from .findings import AttributeFacts, Finding, Surroundings
from .lint_rules import comparisons
from .references import flags_above, segment_places, segments_within
from .schema import TARGETING_KEY, is_number, quoted
from .serving import variants_served
from .words import describe_prerequisite

Node = Mapping[str, Any]
_TEXTS = frozenset({"text", "version", "instant"})
_TYPE_WORDS = {
    "text": "text",
    "number": "a number",
    "boolean": "true or false",
    "version": "a version",
    "instant": "a date and time",
}


def attribute_findings(document: Node, around: Surroundings) -> Iterator[Finding]:
    """Attributes nobody has declared or used before, and those used as another type than declared. Each once."""
    told: set[tuple[str, str]] = set()
    for name, types, path in _uses(document):
        if name == TARGETING_KEY:
            continue
        facts = around.attributes.get(name)
        if facts is None and name not in around.known_attributes and ("unknown", name) not in told:
            told.add(("unknown", name))
            yield _unknown(name, path, around)
        elif facts is not None and facts.value_type not in types and ("type", name) not in told:
            told.add(("type", name))
            message = (
                f"{quoted(name)} is declared as {_TYPE_WORDS.get(facts.value_type, facts.value_type)}, but is compared "
                f"with {' or '.join(_TYPE_WORDS[kind] for kind in sorted(types, key=list(_TYPE_WORDS).index))} here."
            )
            advice = "Compare it with a value of its type, or correct its declaration."
            yield Finding("attribute_type", "warning", path, message, advice)


def _uses(document: Node) -> Iterator[tuple[str, Collection[str], str]]:
    """Every attribute used: name, types that fit the use, path."""
    for leaf, path in comparisons(document.get("condition"), "condition"):
        yield leaf["attribute"], _types(leaf), f"{path}.attribute"
    for index, rule in enumerate(document.get("rules", ())):
        for leaf, path in comparisons(rule["condition"], f"rules[{index}].condition"):
            yield leaf["attribute"], _types(leaf), f"{path}.attribute"
        if "bucket_by" in rule:
            yield rule["bucket_by"], _TEXTS, f"rules[{index}].bucket_by"


def attributes_used(document: Node) -> set[str]:
    """The attributes that a config or segment document names itself, the targeting key left out."""
    rules = document.get("rules", ())
    conditions = [document.get("condition"), *(rule["condition"] for rule in rules)]
    found = {leaf["attribute"] for condition in conditions for leaf, _ in comparisons(condition, "")}
    found |= {rule["bucket_by"] for rule in rules if "bucket_by" in rule}
    return found - {TARGETING_KEY}


def _types(leaf: Node) -> Collection[str]:
    operator, value = leaf["operator"], leaf.get("value")
    if operator in ("is_set", "is_not_set"):
        return frozenset(_TYPE_WORDS)
    if operator in ("is_true", "is_false") or isinstance(value, bool):
        return frozenset({"boolean"})
    if operator.startswith("version_"):
        return frozenset({"version"})
    if operator in ("before", "after"):
        return frozenset({"instant"})
    values = value if isinstance(value, list) else [value]
    numbers = any(is_number(item) for item in values)
    texts = any(isinstance(item, str) for item in values)
    return (_TEXTS if texts else frozenset()) | ({"number"} if numbers else frozenset())


def _unknown(name: str, path: str, around: Surroundings) -> Finding:
    close = get_close_matches(name, sorted({*around.attributes, *around.known_attributes}), n=1, cutoff=0.75)
    message = f"{quoted(name)} is not declared in this project and no other flag or segment uses it."
    if close:
        return Finding("attribute_unknown", "warning", path, message, f"Did you mean {quoted(close[0])}?")
    advice = "Make sure that your services send it under this name, and declare it."
    return Finding("attribute_unknown", "warning" if around.attributes else "note", path, message, advice)


def exposure_findings(flag_key: str, document: Node, around: Surroundings) -> Iterator[Finding]:
    """What an end user can find out or gain through a client-visible flag by sending other attributes."""
    if not document.get("client_visible"):
        return
    for path, name, way in _forgeable(document, around):
        reason = "grants access" if name in around.attributes else "is not declared as harmless"
        message = (
            f"Clients see this flag, and it goes by {quoted(name)}{way}, which {reason}: "
            "an end user who sends another value gets another answer."
        )
        advice = "Hide the flag from clients and let a service decide, or declare that the attribute grants nothing."
        yield Finding("client_forgeable", "warning", path, message, advice)
    for index, item in enumerate(document.get("prerequisites", ())):
        for parent in [item["flag"], *sorted(flags_above(item["flag"], around.configs) - {item["flag"], flag_key})]:
            found = next(_forgeable(around.configs.get(parent, {}), around), None)
            if found:
                message = (
                    f"Clients see this flag, and its prerequisite {quoted(parent)} goes by "
                    f"{quoted(found[1])}{found[2]}, which an end user can forge."
                )
                advice = "Hide this flag from clients, or let the prerequisite go by what only services know."
                yield Finding("client_forgeable_parent", "warning", f"prerequisites[{index}]", message, advice)
                break


def _forgeable(document: Node, around: Surroundings) -> Iterator[tuple[str, str, str]]:
    """Path, attribute and way (in words) of every attribute that an end user gains by forging. Each attribute once."""
    told: set[str] = set()
    for path, name, way in _goes_by(document, around):
        if name not in told and name != TARGETING_KEY and _grants(name, around.attributes):
            told.add(name)
            yield path, name, way


def _goes_by(document: Node, around: Surroundings) -> Iterator[tuple[str, str, str]]:
    for index, rule in enumerate(document.get("rules", ())):
        path = f"rules[{index}].condition"
        for leaf, where in comparisons(rule["condition"], path):
            yield f"{where}.attribute", leaf["attribute"], ""
        for where, key in segment_places({"condition": rule["condition"]}):
            for inner, name in _within(key, around):
                yield where.replace("condition", path, 1), name, f" through the segment {quoted(inner)}"
        if "bucket_by" in rule:
            yield f"rules[{index}].bucket_by", rule["bucket_by"], ""


def _within(key: str, around: Surroundings) -> list[tuple[str, str]]:
    """The attributes that decide on a segment, each with the segment that names it."""
    if key not in around.opened:
        around.opened[key] = [
            (inner, name)
            for inner in sorted(segments_within([key], around.segments))
            for name in sorted(attributes_used(around.segments.get(inner, {})))
        ]
    return around.opened[key]


def _grants(name: str, attributes: Mapping[str, AttributeFacts]) -> bool:
    return name not in attributes or attributes[name].grants_access


def prerequisite_findings(document: Node, around: Surroundings) -> Iterator[Finding]:
    """Prerequisites that no evaluation can meet, as their flags are configured now."""
    for index, item in enumerate(document.get("prerequisites", ())):
        if item["flag"] not in around.configs:
            continue
        parent = around.configs[item["flag"]]
        if set(item["variants"]) & variants_served(item["flag"], around.configs, now=around.now, known=around.possible):
            continue
        why = "is switched off" if not parent["enabled"] else "never does as it is configured"
        message = f"{describe_prerequisite(item)}, but it {why}: this flag behaves as switched off for everyone."
        advice = f"Change {quoted(item['flag'])} in the same change, or wait with this flag until it does."
        yield Finding("prerequisite_never_met", "warning", f"prerequisites[{index}]", message, advice)
