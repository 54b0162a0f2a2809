"""Moving people to the successor of a flag: the same people, variant by variant."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from flags.documents.schema import Document, quote, quoted, variant_names

from .codec import invalid

# What a successor takes over from the flag it replaces; the rest, such as its variants and who sees it, is its own.
_TAKEN_OVER = ("enabled", "salt", "rules", "off_variant", "default_variant", "targets", "prerequisites")


def mapping_problems(mapping: Mapping[str, str], names: list[str]) -> Iterator[tuple[str, str]]:
    """Path and sentence of what is wrong with a mapping of the variants `names`, whatever the successor has."""
    missing = [name for name in names if name not in mapping]
    unknown = [name for name in mapping if name not in names]
    if missing:
        yield "mapping", f"Say which variant of the successor stands for {quote(missing)}."
    for name in unknown:
        yield f"mapping.{name}", f"The flag has no variant {quoted(name)}. It has {quote(names)}."


def successor_problems(
    old: Mapping[str, Any], successor_document: Mapping[str, Any], mapping: Mapping[str, str], *, successor: str = ""
) -> list[tuple[str, str]]:
    """Path and sentence of why people cannot be moved to the successor by this mapping.

    With the key of the successor it is also refused where the old flag itself needs the successor.
    """
    problems = list(mapping_problems(mapping, variant_names(old)))
    theirs = variant_names(successor_document)
    for name, target in mapping.items():
        if target not in theirs:
            text = f"The successor has no variant {quoted(target)}. Choose one of {quote(theirs)}."
            problems.append((f"mapping.{name}", text))
    if successor and any(item["flag"] == successor for item in old.get("prerequisites") or ()):
        text = f"The flag needs its successor {quoted(successor)} itself. Remove that prerequisite first."
        problems.append(("successor", text))
    if not problems:
        problems += _torn(old, mapping)
    return problems


def successor_document(
    old: Mapping[str, Any], successor_document: Mapping[str, Any], mapping: Mapping[str, str]
) -> Document:
    """The successor's document that serves everybody `mapping[variant]` of what the old flag serves them.

    The salt is taken over with the rules, so buckets stay. What the old flag says of its end is not: people are moved
    before it is withdrawn from them. Raises InvalidTimeline where the mapping cannot do it.
    """
    problems = successor_problems(old, successor_document, mapping)
    if problems:
        raise invalid(problems)
    kept = {field: part for field, part in successor_document.items() if field not in _TAKEN_OVER}
    taken = {field: old[field] for field in _TAKEN_OVER if field in old}
    result: Document = deepcopy({**kept, **taken})
    for field in ("off_variant", "default_variant"):
        result[field] = None if old[field] is None else mapping[old[field]]
    for rule in result["rules"]:
        rule["serve"] = _served(rule["serve"], mapping)
    if "targets" in result:
        result["targets"] = _targets(result["targets"], mapping)
    return result


def _served(serve: Mapping[str, Any], mapping: Mapping[str, str]) -> dict[str, Any]:
    if "variant" in serve:
        return {"variant": mapping[serve["variant"]]}
    return {"split": [{"variant": name, "weight": weight} for name, weight in _shares(serve, mapping)]}


def _shares(serve: Mapping[str, Any], mapping: Mapping[str, str]) -> list[tuple[str, int]]:
    """The shares of a split in their order; neighbours that became the same variant are one, empty ones are none."""
    found: list[tuple[str, int]] = []
    for share in serve["split"]:
        name, weight = mapping[share["variant"]], share["weight"]
        if found and found[-1][0] == name:
            found[-1] = name, found[-1][1] + weight
        elif weight:
            found.append((name, weight))
    return found


def _targets(targets: list[dict[str, Any]], mapping: Mapping[str, str]) -> list[dict[str, Any]]:
    keys: dict[str, list[str]] = {}
    for item in targets:
        keys.setdefault(mapping[item["variant"]], []).extend(item["keys"])
    return [{"variant": variant, "keys": listed} for variant, listed in keys.items()]


def _torn(old: Mapping[str, Any], mapping: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Splits in which two shares with another one between them would become one: a split has one share of a variant."""
    for rule in old["rules"]:
        if "split" not in rule["serve"]:
            continue
        names = [name for name, _ in _shares(rule["serve"], mapping)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            text = (
                f"In the rule {quoted(rule['id'])} several shares that do not stand side by side would become "
                f"{quote(twice)}, so people would change their variant. Map them to different variants."
            )
            yield "mapping", text
