"""How much an evaluation does, counted instead of timed."""

from datetime import datetime
from typing import Any

import pytest

from flags.evaluation import ErrorCode, Generation, Reason
from tests.flags.evaluation.documents import (
    GOLD,
    HALF,
    NOW,
    ON,
    CountingText,
    child,
    document,
    needs,
    rule,
    segment,
    snapshot_of,
)

MANY = [f"key-{number}" for number in range(10_000)]


class _CountingKey(str):
    """A targeting key that counts how often it is turned into bytes, which hashing begins with."""

    encoded = 0

    def encode(self, *args: Any, **kwargs: Any) -> bytes:
        _CountingKey.encoded += 1
        return super().encode(*args, **kwargs)


@pytest.mark.parametrize(
    "stored",
    [
        document(targets=[{"variant": "on", "keys": MANY}]),
        document(rules=[rule(ON, {"attribute": "targetingKey", "operator": "in", "value": MANY})]),
    ],
    ids=["targets", "list"],
)
@pytest.mark.parametrize("key", ["key-7", "key-9999", "nobody"])
def test_long_lists__any_key__are_looked_up_and_not_walked(stored: dict[str, Any], key: str) -> None:
    compiled = snapshot_of({"checkout": stored})
    CountingText.compared = 0
    answer = compiled.evaluate("checkout", {"targetingKey": CountingText(key)}, NOW)
    assert answer.variant == ("off" if key == "nobody" else "on")
    # One for the hit, and perhaps a few whose hashes collide in the table.
    assert CountingText.compared <= 5


@pytest.mark.parametrize("generation", Generation)
@pytest.mark.parametrize(
    ("fields", "context", "hashes"),
    [
        ({"rules": [rule(HALF)]}, {}, 1),
        ({"rules": [rule(HALF, GOLD)]}, {"plan": "gold"}, 1),
        ({"rules": [rule(HALF, GOLD)]}, {}, 0),
        ({"rules": [rule(ON), rule(HALF)]}, {}, 0),
        ({"rules": [rule(ON, GOLD), rule(HALF)]}, {"plan": "gold"}, 0),
        ({"enabled": False, "rules": [rule(HALF)]}, {}, 0),
        ({"targets": [{"variant": "on", "keys": ["user-1"]}], "rules": [rule(HALF)]}, {}, 0),
        ({"rules": [rule(HALF, {"not": {"segment": "missing"}})]}, {}, 1),
        ({"rules": [rule(HALF, {"segment": "missing"})]}, {}, 0),
        ({"prerequisites": [needs("gold")], "rules": [rule(HALF)]}, {}, 0),
        ({"prerequisites": [needs("gold")], "rules": [rule(HALF)]}, {"plan": "gold"}, 1),
    ],
)
def test_hash__any_flag__is_taken_only_where_a_split_is_reached(
    fields: dict[str, Any], context: dict[str, Any], hashes: int, generation: Generation
) -> None:
    documents = {"checkout": document(**fields), "gold": document(rules=[rule(ON, GOLD)])}
    compiled = snapshot_of(documents, generation=generation)
    _CountingKey.encoded = 0
    compiled.evaluate("checkout", context | {"targetingKey": _CountingKey("user-1")}, NOW)
    assert _CountingKey.encoded == hashes


def test_clock__flags_without_windows__is_not_looked_at() -> None:
    windowed = document(rules=[rule(ON, starts_at="2026-01-01T00:00:00Z")])
    documents = {"plain": document(rules=[rule(ON, GOLD)]), "child": child(needs("plain")), "windowed": windowed}
    compiled = snapshot_of(documents)
    no_clock: Any = object()

    assert compiled.evaluate("plain", {"plan": "gold"}, no_clock).variant == "on"
    assert compiled.evaluate("child", {"plan": "gold"}, no_clock).variant == "on"
    for now in (no_clock, datetime(2026, 11, 21)):  # noqa: DTZ001 - what nobody should pass does not raise either
        assert compiled.evaluate("windowed", {}, now).error_code is ErrorCode.GENERAL
        answers = compiled.evaluate_all({"plan": "gold"}, now)
        assert [answers[key].variant for key in documents] == ["on", "on", None]


@pytest.mark.parametrize(
    "condition",
    [
        {"and": [{"segment": "missing"}, GOLD]},
        {"or": [{"and": [GOLD, {"segment": "missing"}]}, {"segment": "missing"}]},
        {"not": {"or": [GOLD, {"not": {"segment": "missing"}}]}},
        {"segment": "empty"},
    ],
)
def test_constants__conditions_that_never_hold__are_not_asked(condition: dict[str, Any]) -> None:
    segments = {"empty": segment({"and": [GOLD, {"segment": "missing"}]})}
    compiled = snapshot_of({"checkout": document(rules=[rule(ON, condition)])}, segments=segments)
    CountingText.compared = 0
    assert compiled.evaluate("checkout", {"plan": CountingText("gold")}, NOW).reason is Reason.DEFAULT
    assert CountingText.compared == 0


def test_constants__parents_that_always_answer_the_same__are_not_asked() -> None:
    documents = {
        "always": document(rules=[rule(ON, {"not": {"segment": "missing"}}), rule({"variant": "off"}, GOLD)]),
        "met": child(needs("always")),
        "unmet": child(needs("always", "off"), needs("asked")),
        "asked": document(rules=[rule(ON, GOLD)]),
    }
    compiled = snapshot_of(documents)
    CountingText.compared = 0
    for key, variant in (("always", "on"), ("met", "on"), ("unmet", "off")):
        assert compiled.evaluate(key, {"plan": CountingText("gold")}, NOW).variant == variant
    assert CountingText.compared == 0


def test_groups__dear_comparison_written_first__is_asked_last() -> None:
    dear = {"attribute": "signed_up_at", "operator": "before", "value": "2026-01-01T00:00:00Z"}
    compiled = snapshot_of({"checkout": document(rules=[rule(ON, {"and": [dear, GOLD]})])})
    read: list[str] = []

    class Reading(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            read.append(key)
            return super().get(key, default)

    evaluator = compiled._simple["checkout"]
    evaluator(Reading(plan="free"))
    assert read == ["plan"]


def test_bulk__many_flags_of_one_parent__ask_it_once() -> None:
    children = {f"child-{n}": child(needs("parent"), client_visible=True) for n in range(50)}
    compiled = snapshot_of(children | {"parent": document(rules=[rule(ON, GOLD)])})
    for client_only in (False, True):
        CountingText.compared = 0
        answers = compiled.evaluate_all({"plan": CountingText("gold")}, NOW, client_only=client_only)
        assert {answer.variant for answer in answers.values()} == {"on"}
        assert len(answers) == (50 if client_only else 51)
        assert CountingText.compared == 1


def _chain(name: str, length: int) -> dict[str, Any]:
    links = {f"{name}-{n}": child(needs(f"{name}-{n - 1}")) for n in range(1, length)}
    return {f"{name}-0": document(rules=[rule(ON, GOLD)])} | links


@pytest.mark.parametrize("number", [1, 64, 65, 66, 130, 199])
def test_deep_prerequisites__other_chains_beside_them__are_not_asked(number: int) -> None:
    compiled = snapshot_of({key: flag for name in "abcdefgh" for key, flag in _chain(name, 200).items()})
    CountingText.compared = 0
    assert compiled.evaluate(f"a-{number}", {"plan": CountingText("gold")}, NOW).variant == "on"
    assert CountingText.compared <= 2


@pytest.mark.parametrize("skipped", [0, 1, 63])
def test_deep_prerequisites__way_that_leaves_out_every_64th_step__is_asked_without_recursion(skipped: int) -> None:
    side = [n for n in range(1, 2_000) if n % 64 != skipped]
    ladder = {
        f"side-{n}": child(needs(f"a-{n - 1}"), *([needs(f"side-{former}")] if former else []))
        for former, n in zip([0, *side], side, strict=False)
    }
    compiled = snapshot_of(_chain("a", 2_000) | ladder)
    assert compiled.evaluate(f"side-{side[-1]}", {"plan": "gold"}, NOW).variant == "on"
