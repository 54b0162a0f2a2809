"""What changed between two documents, in plain sentences. Pure; `flags.changes` re-exports it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from audits.integrity import canonical_json

from .contrast import condition_notes, listed_notes, told_apart
from .documents import (
    describe_condition,
    describe_rule,
    describe_serve,
    normalise_config,
    percent,
    rule_label,
    summarise,
)
from .documents.deprecation_words import ARCHIVED, TOLD_FIELDS, describe_withdrawal, told_words
from .documents.normalise import normalise_segment
from .documents.schema import TARGETING_KEY, named, quoted
from .documents.words import describe_bucketing, describe_prerequisite, instant_words, shown

Kind = Literal["added", "removed", "changed"]
Item = Mapping[str, Any]
_Numbered = Mapping[str, tuple[int, Item]]


@dataclass(frozen=True, slots=True)
class Difference:
    """One change: where, of what kind, in words, and the values before and after."""

    path: str
    kind: Kind
    sentence: str
    before: Any
    after: Any


def diff_configs(before: Item | None, after: Item) -> list[Difference]:
    """Return what changes from one valid config document to another; empty if, and only if, they mean the same.

    `before` None means that the flag was not set up yet: then everything is new.
    """
    new = normalise_config(after)
    if before is None:
        return _first_config(new)
    old = normalise_config(before)
    if _same(old, new):
        return []
    found = [
        *_switches(old, new),
        *_variants(old["variants"], new["variants"]),
        *_prerequisites(old.get("prerequisites", []), new.get("prerequisites", [])),
        *_targets(old.get("targets", []), new.get("targets", [])),
        *_rules(old["rules"], new["rules"]),
        *_endings(old.get("deprecation", {}), new.get("deprecation", {})),
    ]
    return found or [Difference("", "changed", "The document changed in its technical form only.", old, new)]


def diff_segments(before: Item | None, after: Item) -> list[Difference]:
    """Return what changes from one valid segment document to another; empty if, and only if, they mean the same."""
    new = normalise_segment(after)
    who = describe_condition(new["condition"])
    if before is None:
        return [Difference("condition", "added", f"New segment: {who}", None, new["condition"])]
    old = normalise_segment(before)
    if _same(old, new):
        return []
    sentence = f"Members: {_conditions(old['condition'], new['condition'])}"
    return [Difference("condition", "changed", sentence, old["condition"], new["condition"])]


def recorded_sentences(before: Item | None, after: Item) -> list[str]:
    """What changes, for a record that is kept for good: it names nobody, since nobody could be taken out of it again.

    Individual targets are counted. Targeting keys in conditions get numbers, which mean nothing outside this record.
    """
    return [item.sentence for item in recorded_differences(before, after)]


def recorded_differences(before: Item | None, after: Item) -> list[Difference]:
    """What changes, in sentences that name nobody, as `recorded_sentences` says."""
    numbers: dict[str, str] = {}
    old = None if before is None else _without_names(before, numbers)
    new = _without_names(after, numbers)
    found = diff_segments(old, new) if "condition" in new else diff_configs(old, new)
    return [replace(item, sentence=_counted(item)) if item.path.startswith("targets.") else item for item in found]


def _counted(difference: Difference) -> str:
    was, becomes = set(difference.before or ()), set(difference.after or ())
    moves = [(len(becomes - was), "added"), (len(was - becomes), "removed")]
    words = ", ".join(f"{count} {verb}" for count, verb in moves if count) or "the same in another order"
    return f"Individual targets for {quoted(difference.path.removeprefix('targets.'))}: {words} ({len(becomes)} in all)"


def _without_names(document: Item, numbers: dict[str, str]) -> Item:
    if "condition" in document:
        return {**document, "condition": _numbered(document["condition"], numbers)}
    rules = [{**rule, "condition": _numbered(rule.get("condition"), numbers)} for rule in document.get("rules", ())]
    return {**document, "rules": rules}


def _numbered(node: Any, numbers: dict[str, str]) -> Any:
    """A condition, or part of one, with a number for each targeting key; the same for the same key."""
    if isinstance(node, list):
        return [_numbered(part, numbers) for part in node]
    if not isinstance(node, Mapping):
        return node
    if node.get("attribute") != TARGETING_KEY or node.get("operator") not in _NAMING:
        return {field: _numbered(part, numbers) for field, part in node.items()}
    value = node.get("value")
    keys = [
        numbers.setdefault(key, f"key {len(numbers) + 1}") if isinstance(key, str) else key
        for key in (value if isinstance(value, list) else [value])
    ]
    return {**node, "value": keys if isinstance(value, list) else keys[0]}


_NAMING = frozenset({"equals", "not_equals", "in", "not_in"})


def _conditions(old: Item | None, new: Item | None) -> str:
    before, after = told_apart(old, new, describe_condition)
    notes = condition_notes(old, new)
    return f"{before} → {after}" + (f" ({'; '.join(notes)})" if notes else "")


def _texts(old: Any, new: Any) -> str:
    return " → ".join(told_apart(old, new, shown))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(named, names))


def _same(a: Any, b: Any) -> bool:
    """Equality of JSON values: unlike `==` it tells true from 1 and 1 from 1.0."""
    return canonical_json(a) == canonical_json(b)


def _first_config(new: Item) -> list[Difference]:
    start = Difference("", "added", f"First configuration here. {summarise(new).sentence}", None, new)
    found = [start, *_visibility({}, new), *_variants([], new["variants"])]
    found += [*_prerequisites([], new.get("prerequisites", [])), *_targets([], new.get("targets", []))]
    return [*found, *_rules([], new["rules"]), *_endings({}, new.get("deprecation", {}))]


def _endings(old: Item, new: Item) -> list[Difference]:
    was, becomes = ({field: item[field] for field in TOLD_FIELDS if field in item} for item in (old, new))
    found = []
    if not _same(was, becomes):
        words = f"Services are told that it is deprecated {told_words(becomes)}" if becomes else ""
        gone = "Services are no longer told that it is deprecated"
        found.append(
            _ending("deprecation", words, gone, told_words(was) if was else "", (was or None, becomes or None))
        )
    sides = old.get("withdrawal"), new.get("withdrawal")
    if not _same(*sides):
        before, after = (describe_withdrawal(side) if side else "" for side in sides)
        found.append(_ending("deprecation.withdrawal", after, "No longer withdrawn", before, sides))
    is_archived = old.get("is_archived", False), new.get("is_archived", False)
    if is_archived[0] != is_archived[1]:
        words = ARCHIVED if is_archived[1] else "No longer archived: services get this flag again"
        found.append(Difference("deprecation.is_archived", "changed", words, *is_archived))
    return found


def _ending(path: str, words: str, gone: str, former: str, sides: tuple[Any, Any]) -> Difference:
    """One part of the end of a flag: `words` say what it becomes, `gone` that it is there no more."""
    kind: Kind = "added" if not former else "changed" if words else "removed"
    before = f" (before: {former})" if former else ""
    return Difference(path, kind, f"{words or gone}{before}", *sides)


def _switches(old: Item, new: Item) -> list[Difference]:
    found = []
    if old["enabled"] != new["enabled"]:
        words = "Switched on" if new["enabled"] else "Switched off"
        found.append(Difference("enabled", "changed", words, old["enabled"], new["enabled"]))
    for field, label, absent in (
        ("default_variant", "Default variant", "code default"),
        ("off_variant", "When switched off", "code default"),
        ("salt", "Salt (everyone is assigned anew)", ""),
        ("schema", "Document schema", ""),
    ):
        if not _same(old[field], new[field]):
            was, becomes = (absent if value is None else named(str(value)) for value in (old[field], new[field]))
            sentence = f"{label}: {was} → {becomes}"
            found.append(Difference(field, "changed", sentence, old[field], new[field]))
    return found + _visibility(old, new)


def _visibility(old: Item, new: Item) -> list[Difference]:
    was, becomes = old.get("client_visible", False), new.get("client_visible", False)
    if was == becomes:
        return []
    words = "Clients can now see this flag" if becomes else "Clients no longer see this flag"
    return [Difference("client_visible", "changed", words, was, becomes)]


def _prerequisites(old: Sequence[Item], new: Sequence[Item]) -> list[Difference]:
    was, becomes = ({item["flag"]: item for item in items} for items in (old, new))
    found = []
    for flag in [*was, *(flag for flag in becomes if flag not in was)]:
        before, after = was.get(flag), becomes.get(flag)
        if _same(before, after):
            continue
        kind: Kind = "added" if before is None else "removed" if after is None else "changed"
        words = f"Prerequisite {kind}: {describe_prerequisite(after or before or {})}"
        if before and after:
            words = f"{words} (before: {describe_prerequisite(before)})"
        found.append(Difference(f"prerequisites.{flag}", kind, words, before, after))
    if found or list(was) == list(becomes):
        return found
    words = f"Prerequisites listed in another order: {_listed(was)} → {_listed(becomes)}"
    return [Difference("prerequisites", "changed", words, list(was), list(becomes))]


def _targets(old: Sequence[Item], new: Sequence[Item]) -> list[Difference]:
    was, becomes = ({item["variant"]: item["keys"] for item in items} for items in (old, new))
    found = []
    for variant in [*becomes, *(variant for variant in was if variant not in becomes)]:
        before, after = was.get(variant), becomes.get(variant)
        if before == after:
            continue
        kind: Kind = "added" if before is None else "removed" if after is None else "changed"
        words = f"Individual targets: {listed_notes(before or [], after or [], variant=variant)}"
        found.append(Difference(f"targets.{variant}", kind, words, before, after))
    if found or list(was) == list(becomes):
        return found
    words = f"Individual targets listed in another order: {_listed(was)} → {_listed(becomes)}"
    return [Difference("targets", "changed", words, list(was), list(becomes))]


def _variants(old: Sequence[Item], new: Sequence[Item]) -> list[Difference]:
    was, becomes = ({variant["name"]: variant for variant in variants} for variants in (old, new))
    found = []
    for name, variant in was.items():
        if name not in becomes:
            words = f"Variant {quoted(name)} removed"
            found.append(Difference(f"variants.{name}", "removed", words, variant, None))
    for name, variant in becomes.items():
        if name not in was:
            words = f"Variant {quoted(name)} added: {shown(variant['value'])}"
            found.append(Difference(f"variants.{name}", "added", words, None, variant))
        else:
            found += _variant(name, was[name], variant)
    return found or _variant_order(list(was), list(becomes))


def _variant(name: str, old: Item, new: Item) -> list[Difference]:
    found = []
    if not _same(old["value"], new["value"]):
        words = f"Variant {quoted(name)}: value {_texts(old['value'], new['value'])}"
        found.append(Difference(f"variants.{name}.value", "changed", words, old["value"], new["value"]))
    if old["description"] != new["description"]:
        words = f"Variant {quoted(name)}: description {_texts(old['description'], new['description'])}"
        change = Difference(f"variants.{name}.description", "changed", words, old["description"], new["description"])
        found.append(change)
    return found


def _variant_order(old: list[str], new: list[str]) -> list[Difference]:
    if old == new:
        return []
    words = f"Variants listed in another order: {_listed(old)} → {_listed(new)}"
    return [Difference("variants", "changed", words, old, new)]


def _rules(old: Sequence[Item], new: Sequence[Item]) -> list[Difference]:
    was = {rule["id"]: (number, rule) for number, rule in enumerate(old, start=1)}
    becomes = {rule["id"]: (number, rule) for number, rule in enumerate(new, start=1)}
    found = []
    for rule_id, (number, rule) in was.items():
        if rule_id not in becomes:
            words = f"Rule {number} {rule_label(rule)} removed. It was: {describe_rule(rule)}"
            found.append(Difference(f"rules[{number - 1}]", "removed", words, rule, None))
    moved = _moved(
        [rule_id for rule_id in was if rule_id in becomes], [rule_id for rule_id in becomes if rule_id in was]
    )
    for rule_id, (number, rule) in becomes.items():
        if rule_id not in was:
            words = f"Rule {number} {rule_label(rule)} added. {describe_rule(rule)}"
            found.append(Difference(f"rules[{number - 1}]", "added", words, None, rule))
            continue
        former = was[rule_id][1]
        if rule_id in moved:
            found.append(_move(rule_id, was, becomes, moved))
        found += _rule(f"Rule {number} {rule_label(former)}", f"rules[{number - 1}]", former, rule)
    return found


def _move(rule_id: str, was: _Numbered, becomes: _Numbered, moved: set[str]) -> Difference:
    (from_number, rule), number = was[rule_id], becomes[rule_id][0]
    words = f"Rule {from_number} {rule_label(rule)} moved"
    path = f"rules[{number - 1}]"
    if from_number != number:
        return Difference(path, "changed", f"{words} to position {number}", from_number, number)
    # Others were added or removed around it, so that the number alone hides the move.
    for other, (other_number, passed) in was.items():
        if other in moved or other not in becomes:
            continue
        ahead = number < other_number, number < becomes[other][0]
        if ahead[0] != ahead[1]:
            sides = [f"{'ahead of' if is_ahead else 'behind'} {rule_label(passed)}" for is_ahead in ahead]
            return Difference(path, "changed", f"{words} {sides[1]}", *sides)
    raise AssertionError("A rule that passed none that stayed has not moved.")


def _moved(old: list[str], new: list[str]) -> set[str]:
    """The fewest ids that must move to turn one order into the other: all outside a longest common subsequence."""
    place = {rule_id: index for index, rule_id in enumerate(old)}
    best: list[list[str]] = []
    for rule_id in new:
        shorter = [kept for kept in best if place[kept[-1]] < place[rule_id]]
        best.append([*_longest(shorter), rule_id])
    return set(new) - set(_longest(best))


def _longest(lists: list[list[str]]) -> list[str]:
    # Of two equally good answers the one that calls the rule moved up, not the one pushed down.
    return max(reversed(lists), key=len) if lists else []


def _rule(label: str, path: str, old: Item, new: Item) -> list[Difference]:
    found = []
    if old["description"] != new["description"]:
        words = f"{label}: description {_texts(old['description'], new['description'])}"
        change = Difference(f"{path}.description", "changed", words, old["description"], new["description"])
        found.append(change)
    if not _same(old["condition"], new["condition"]):
        words = f"{label}: for {_conditions(old['condition'], new['condition'])}"
        found.append(Difference(f"{path}.condition", "changed", words, old["condition"], new["condition"]))
    if not _same(old["serve"], new["serve"]):
        words = f"{label}: {_serve(old['serve'], new['serve'])}"
        found.append(Difference(f"{path}.serve", "changed", words, old["serve"], new["serve"]))
    return found + _windows(label, path, old, new) + _bucketing(label, path, old, new)


def _windows(label: str, path: str, old: Item, new: Item) -> list[Difference]:
    found = []
    for field, verb, gone in (
        ("starts_at", "starts", "no longer waits for a start"),
        ("ends_at", "ends", "no longer ends"),
    ):
        before, after = old.get(field), new.get(field)
        if before == after:
            continue
        words = f"{verb} {instant_words(after)}" if after is not None else gone
        if before is not None:
            words = f"{words} (before: {instant_words(before)})"
        found.append(Difference(f"{path}.{field}", "changed", f"{label} {words}", before, after))
    return found


def _bucketing(label: str, path: str, old: Item, new: Item) -> list[Difference]:
    found = []
    if old.get("bucket_by") != new.get("bucket_by"):
        before, after = describe_bucketing(old), describe_bucketing(new)
        words = f"{label} splits by {after} instead of {before} (this reassigns people)"
        found.append(Difference(f"{path}.bucket_by", "changed", words, old.get("bucket_by"), new.get("bucket_by")))
    if old.get("salt") != new.get("salt"):
        was, becomes = (
            f"the salt {quoted(rule['salt'])}" if "salt" in rule else "the flag's salt" for rule in (old, new)
        )
        words = f"{label} splits with {becomes} instead of {was} (this reassigns people)"
        found.append(Difference(f"{path}.salt", "changed", words, old.get("salt"), new.get("salt")))
    return found


def _serve(old: Item, new: Item) -> str:
    if "split" not in old or "split" not in new:
        return f"serves {describe_serve(old)} → {describe_serve(new)}"
    was, becomes = ({share["variant"]: share["weight"] for share in serve["split"]} for serve in (old, new))
    changed = [
        f"{name} {percent(was.get(name, 0))} → {percent(becomes.get(name, 0))}"
        for name in [*becomes, *(name for name in was if name not in becomes)]
        if was.get(name, 0) != becomes.get(name, 0)
    ]
    if not changed or [name for name in was if name in becomes] != [name for name in becomes if name in was]:
        return f"split {describe_serve(old)} → {describe_serve(new)} (people may be assigned anew)"
    # With two shares the second only mirrors the first.
    return changed[0] if len(becomes) == 2 and list(was) == list(becomes) else ", ".join(changed)
