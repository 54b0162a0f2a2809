"""Hypothesis strategies for environments before and after a change, among them many changes that tend to narrow."""

import copy
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from flags.changes import ChangeSet, ConfigEdit, SegmentEdit
from flags.documents import normalise_config
from flags.documents.lint_rules import comparisons
from flags.evaluation import FlagSource, Snapshot
from flags.evaluation.instants import parse_instant
from tests.flags.strategies import (
    TARGETING_KEYS,
    conditions,
    config_documents,
    moments,
    segment_documents,
    snapshots,
)
from tests.flags.strategies import (
    comparisons as comparison_nodes,
)

Document = dict[str, Any]


@st.composite
def changed_environments(draw: st.DrawFn) -> tuple[Snapshot, ChangeSet, Snapshot]:
    """An environment, a change set for it, and the environment once that is applied."""
    before = draw(snapshots())
    chosen = draw(st.lists(st.sampled_from(sorted(before.flags)), unique=True, min_size=1, max_size=2))
    edits: list[ConfigEdit | SegmentEdit] = []
    if before.segments and draw(st.integers(0, 2)) == 0:
        key = draw(st.sampled_from(sorted(before.segments)))
        edits.append(SegmentEdit(key, key, 1, draw(_segments(before.segments[key]))))
        chosen = chosen[:-1]
    flags, segments = dict(before.flags), dict(before.segments)
    for key in chosen:
        document = draw(_documents(before.flags[key]))
        flags[key] = replace(flags[key], document=document)
        if draw(st.integers(0, 15)) == 0:
            before = replace(before, flags={name: item for name, item in before.flags.items() if name != key})
        edits.append(ConfigEdit(key, 1, document))
    segments.update({edit.segment_key: edit.document for edit in edits if isinstance(edit, SegmentEdit)})
    return before, ChangeSet("e", tuple(edits)), replace(before, flags=flags, segments=segments)


def documents_of(snapshot: Snapshot) -> dict[str, Any]:
    """The config documents of a snapshot by flag key."""
    return {key: source.document for key, source in snapshot.flags.items()}


@st.composite
def _documents(draw: st.DrawFn, source: FlagSource) -> Document:
    if draw(st.integers(0, 9)) == 0:
        return draw(config_documents(source.value_type))
    document = copy.deepcopy(dict(source.document))
    for change in draw(st.lists(st.sampled_from(_CHANGES), min_size=1, max_size=3)):
        change(draw, document)
    return normalise_config(document, value_type=source.value_type)


@st.composite
def _segments(draw: st.DrawFn, document: Any) -> Document:
    if draw(st.integers(0, 4)) == 0:
        return draw(segment_documents())
    return {**document, "condition": _changed_condition(draw, document["condition"])}


def _changed_condition(draw: st.DrawFn, condition: Any) -> Any:
    """A condition that is narrower more often than not."""
    if condition is None:
        return draw(conditions())
    kinds = ["clause"] + [kind for kind in ("and", "or", "not") if kind in condition]
    if isinstance(condition.get("value"), list):
        kinds.append("list")
    if condition.get("operator") in ("before", "after") or isinstance(condition.get("value"), int | float):
        kinds.append("other")
    match draw(st.sampled_from(kinds)):
        case "clause":
            return {"and": [condition, draw(comparison_nodes())]}
        case "not":
            return {"not": _changed_condition(draw, condition["not"])}
        case "list":
            return {**condition, "value": condition["value"][:-1] or ["nobody"]}
        case "other":
            return {**condition, "operator": draw(st.sampled_from(_alike(condition["operator"])))}
        case group:
            parts = list(condition[group])
            place = draw(st.integers(0, len(parts) - 1))
            if len(parts) > 1 and draw(st.booleans()):
                del parts[place]
            else:
                parts[place] = _changed_condition(draw, parts[place])
            return {group: parts}


def _alike(operator: str) -> list[str]:
    numbers = ["number_equals", "less_than", "less_or_equal", "greater_than", "greater_or_equal"]
    return numbers if operator in numbers else ["before", "after"] if operator in ("before", "after") else [operator]


def _switch(draw: st.DrawFn, document: Document) -> None:
    document["enabled"] = draw(st.sampled_from([False, False, True]))


def _default(draw: st.DrawFn, document: Document) -> None:
    document["default_variant"] = document["off_variant"]


def _describe(draw: st.DrawFn, document: Document) -> None:
    for item in [*document["variants"], *document["rules"]]:
        item["description"] = "changed"


def _remove_rule(draw: st.DrawFn, document: Document) -> None:
    if document["rules"]:
        del document["rules"][draw(st.integers(0, len(document["rules"]) - 1))]


def _insert_rule(draw: st.DrawFn, document: Document) -> None:
    served = document["off_variant"] or document["variants"][0]["name"]
    rule = {"id": "inserted", "condition": draw(st.none() | conditions()), "serve": {"variant": served}}
    if all(item["id"] != "inserted" for item in document["rules"]):
        document["rules"].insert(draw(st.integers(0, len(document["rules"]))), rule)


def _reorder(draw: st.DrawFn, document: Document) -> None:
    document["rules"] = draw(st.permutations(document["rules"]))


def _condition(draw: st.DrawFn, document: Document) -> None:
    if document["rules"]:
        rule = draw(st.sampled_from(document["rules"]))
        rule["condition"] = _changed_condition(draw, rule["condition"])


def _serve_off(draw: st.DrawFn, document: Document) -> None:
    if document["rules"] and document["off_variant"]:
        rule = draw(st.sampled_from(document["rules"]))
        rule["serve"] = {"variant": document["off_variant"]}
        rule.pop("salt", None)
        rule.pop("bucket_by", None)


def _weights(draw: st.DrawFn, document: Document) -> None:
    """Move weight from one share to another; towards off where off is in the split."""
    for rule in document["rules"]:
        shares = rule["serve"].get("split", [])
        if len(shares) < 2:
            continue
        off = [share for share in shares if share["variant"] == document["off_variant"]]
        chance = draw(st.integers(0, 3))
        target = off[0] if off and chance else draw(st.sampled_from(shares))
        source = draw(st.sampled_from(shares))
        amount = draw(st.integers(0, source["weight"]))
        source["weight"] -= amount
        target["weight"] += amount


def _window(draw: st.DrawFn, document: Document) -> None:
    for rule in document["rules"]:
        starts_at, ends_at = parse_instant(rule.get("starts_at")), parse_instant(rule.get("ends_at"))
        if draw(st.booleans()):
            continue
        moment = draw(moments())
        if (starts_at is None or moment > starts_at) and (ends_at is None or moment <= ends_at):
            rule["ends_at"] = moment.isoformat()
        elif ends_at is None or moment < ends_at - timedelta(days=1):
            rule["starts_at"] = moment.isoformat()


def _targets(draw: st.DrawFn, document: Document) -> None:
    targets = document.get("targets", [])
    if targets and draw(st.booleans()):
        targets.pop()
    elif not targets and document["off_variant"]:
        document["targets"] = [{"variant": document["off_variant"], "keys": [TARGETING_KEYS[0]]}]


def _prerequisites(draw: st.DrawFn, document: Document) -> None:
    items = document.get("prerequisites", [])
    if items and draw(st.integers(0, 2)) == 0:
        items.pop()
    elif items and len(items[0]["variants"]) > 1:
        items[0]["variants"].pop()
    elif not items:
        document["prerequisites"] = [{"flag": "checkout", "variants": ["on", "blue", "off"]}]


def _value(draw: st.DrawFn, document: Document) -> None:
    first, last = document["variants"][0], document["variants"][-1]
    last["value"] = copy.deepcopy(first["value"])


def _visible(draw: st.DrawFn, document: Document) -> None:
    document["client_visible"] = not document.get("client_visible", False)


def _withdraw(draw: st.DrawFn, document: Document) -> None:
    """Begin a withdrawal, change it or end it; more often than not it serves what the flag serves switched off."""
    found = document.setdefault("deprecation", {"deprecated_at": "2026-01-01T00:00:00Z"})
    if "withdrawal" in found and draw(st.integers(0, 3)) == 0:
        del found["withdrawal"]
        return
    names = [None, *(variant["name"] for variant in document["variants"])]
    serves = draw(st.sampled_from(names)) if draw(st.integers(0, 3)) == 0 else document["off_variant"]
    found["withdrawal"] = {"weight": draw(st.sampled_from([20_000, 70_000, 100_000])), "serves": serves}
    if draw(st.booleans()):
        found["withdrawal"]["until"] = draw(moments()).isoformat()


def _archive(draw: st.DrawFn, document: Document) -> None:
    found = document.setdefault("deprecation", {"deprecated_at": "2026-01-01T00:00:00Z"})
    found["is_archived"] = not found.get("is_archived", False)


def _announce(draw: st.DrawFn, document: Document) -> None:
    found = document.setdefault("deprecation", {})
    found.update(deprecated_at=draw(moments()).isoformat(), successor="other", link="https://example.org/")
    found.pop("sunset_at", None)


_CHANGES: list[Callable[[st.DrawFn, Document], None]] = [
    _switch, _default, _default, _describe, _remove_rule, _insert_rule, _reorder, _condition, _condition, _serve_off,
    _weights, _weights, _window, _targets, _prerequisites, _value, _visible,
    _withdraw, _withdraw, _archive, _announce,
]  # fmt: skip


def contexts_near(before: Snapshot, after: Snapshot, *, seed: int, amount: int) -> Iterator[dict[str, Any]]:
    """Contexts that conditions of both environments speak of: what they compare with, and what is next to it."""
    chance = random.Random(seed)
    named: dict[str, list[Any]] = {}
    for leaf in _leaves(before, after):
        values = leaf["value"] if isinstance(leaf["value"], list) else [leaf["value"]]
        named.setdefault(leaf["attribute"], []).extend(near for value in values for near in _near(value))
    keys = [*TARGETING_KEYS, "", None, 7]
    for number in range(amount):
        context = {name: chance.choice(values) for name, values in sorted(named.items()) if chance.random() < 0.7}
        if chance.random() < 0.6 or "targetingKey" not in context:
            context["targetingKey"] = chance.choice(keys) if chance.random() < 0.3 else f"customer-{seed}-{number}"
        yield {name: value for name, value in context.items() if value is not None}


def _leaves(before: Snapshot, after: Snapshot) -> Iterator[Any]:
    for snapshot in (before, after):
        for source in snapshot.flags.values():
            for rule in source.document["rules"]:
                yield from (leaf for leaf, _ in comparisons(rule["condition"], ""))
                if "bucket_by" in rule:
                    yield {"attribute": rule["bucket_by"], "value": ["a", "b", "c", "d", "e", 3]}
        for document in snapshot.segments.values():
            yield from (leaf for leaf, _ in comparisons(document["condition"], ""))


def _near(value: Any) -> list[Any]:
    if isinstance(value, bool) or value is None:
        return [True, False, 1, "true"]
    if isinstance(value, int | float):
        return [value, value + 1, value - 1, str(value)]
    return [value, f"{value}a", f"a{value}", value[:-1], f"{value}.1", value[:1]]
