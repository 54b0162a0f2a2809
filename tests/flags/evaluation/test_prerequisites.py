"""Prerequisites: what meets them, circles, long chains, and how often anything is asked."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flags.evaluation import ErrorCode, Reason, Snapshot, compile_snapshot
from flags.evaluation.deprecations import is_archived
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
    snapshot_of,
    split,
)
from tests.flags.strategies import contexts, moments, snapshots

GOLD_ONLY = document(rules=[rule(ON, GOLD)])
CUSTOMER = {"plan": "gold", "targetingKey": "user-1"}


@pytest.mark.parametrize(
    ("parent", "variants", "is_met"),
    [
        (document(rules=[rule(ON)]), ("on",), True),
        (document(rules=[rule(ON)]), ("off",), False),
        (document(rules=[rule(ON)]), ("off", "on"), True),
        (document(rules=[rule(ON)]), ("blue",), False),
        (GOLD_ONLY, ("on",), True),
        (GOLD_ONLY, ("off",), False),
        (document(), ("off",), True),
        (document(enabled=False), ("on",), False),
        (document(enabled=False, off_variant="on"), ("on",), True),
        (document(enabled=False, off_variant=None), ("on", "off"), False),
        (document(default_variant=None), ("on", "off"), False),
        (document(rules=[rule(split(("on", 100_000)))]), ("on",), True),
        (document(rules=[rule(ON, {"not": GOLD})]), ("on",), False),
        (document(targets=[{"variant": "on", "keys": ["user-1"]}]), ("on",), True),
        (None, ("on",), False),
        ({}, ("on", "off"), False),
    ],
)
def test_prerequisite__parent_in_every_state__is_met_by_the_variant_it_serves(
    parent: Any, variants: tuple[str, ...], is_met: bool
) -> None:
    parents = {} if parent is None else {"parent": parent}
    compiled = snapshot_of({"child": child(needs("parent", *variants)), **parents})

    for answer in (compiled.evaluate("child", CUSTOMER, NOW), compiled.evaluate_all(CUSTOMER, NOW)["child"]):
        expected = ("on", Reason.TARGETING_MATCH) if is_met else ("off", Reason.DISABLED)
        assert (answer.variant, answer.reason, answer.error_code) == (*expected, None)


@pytest.mark.parametrize(
    ("fields", "variant", "reason"),
    [
        ({"enabled": False}, "off", Reason.DISABLED),
        ({"off_variant": None}, None, Reason.DISABLED),
        ({"off_variant": "on"}, "on", Reason.DISABLED),
        ({"targets": [{"variant": "on", "keys": ["user-1"]}]}, "off", Reason.DISABLED),
    ],
)
def test_prerequisite__not_met__is_as_if_switched_off(
    fields: dict[str, Any], variant: str | None, reason: Reason
) -> None:
    compiled = snapshot_of({"parent": GOLD_ONLY, "child": child(needs("parent")) | fields})
    answer = compiled.evaluate("child", {"targetingKey": "user-1"}, NOW)
    assert (answer.variant, answer.reason, answer.has_value) == (variant, reason, variant is not None)


def test_prerequisites__several__must_all_hold() -> None:
    silver = document(rules=[rule(ON, {"attribute": "country", "operator": "equals", "value": "no"})])
    compiled = snapshot_of({"a": GOLD_ONLY, "b": silver, "child": child(needs("a"), needs("b"))})
    answers = [
        compiled.evaluate("child", {"plan": plan, "country": country}, NOW).variant
        for plan in ("gold", "free")
        for country in ("no", "se")
    ]
    assert answers == ["on", "off", "off", "off"]


@pytest.mark.parametrize("length", [1, 2, 3, 5, 200])
def test_circle__of_any_length__switches_off_its_members_and_what_leads_into_it(length: int) -> None:
    circle = {f"flag-{n}": child(needs(f"flag-{(n + 1) % length}", "on", "off")) for n in range(length)}
    compiled = snapshot_of(
        {
            "above": child(needs("flag-0", "on", "off")),
            **circle,
            "beside": GOLD_ONLY,
        }
    )

    answers = compiled.evaluate_all(CUSTOMER, NOW)

    assert {answers[key].reason for key in ("above", *circle)} == {Reason.DISABLED}
    assert {compiled.evaluate(key, CUSTOMER, NOW).variant for key in ("above", *circle)} == {"off"}
    assert answers["beside"].variant == "on"


@pytest.mark.parametrize("length", [2, 3, 5])
def test_circle__with_a_member_switched_off_or_forced__is_none(length: int) -> None:
    circle = {f"flag-{n}": child(needs(f"flag-{(n + 1) % length}")) for n in range(length)}
    opened = circle | {"flag-0": circle["flag-0"] | {"enabled": False, "off_variant": "on"}}

    for compiled in (snapshot_of(opened), snapshot_of(circle).with_forced({"flag-0": "on"})):
        answers = compiled.evaluate_all(CUSTOMER, NOW)
        assert [answers[key].variant for key in circle] == ["on"] * length
        assert answers["flag-1"].reason is Reason.TARGETING_MATCH


@pytest.mark.parametrize("base", [GOLD_ONLY, document(rules=[rule(ON)])], ids=["open", "folded"])
def test_chain__of_3000_flags__is_answered_without_recursion(base: dict[str, Any]) -> None:
    chain = {f"flag-{n}": child(needs(f"flag-{n - 1}"), client_visible=n % 500 == 0) for n in range(3_000, 0, -1)}
    compiled = snapshot_of({**chain, "flag-0": base})

    assert compiled.evaluate("flag-3000", CUSTOMER, NOW).variant == "on"
    assert {answer.variant for answer in compiled.evaluate_all(CUSTOMER, NOW).values()} == {"on"}
    visible = compiled.evaluate_all(CUSTOMER, NOW, client_only=True)
    assert visible.keys() == compiled.client_flag_keys == {f"flag-{n}" for n in range(500, 3_001, 500)}
    assert {answer.variant for answer in visible.values()} == {"on"}


def test_shared_parents__twenty_at_each_of_ten_levels__are_asked_once() -> None:
    # Asking every parent anew would be 20 ** 10 comparisons.
    levels = {f"flag-0-{n}": GOLD_ONLY for n in range(20)}
    for level in range(1, 11):
        parents = [needs(f"flag-{level - 1}-{n}") for n in range(20)]
        levels |= {f"flag-{level}-{n}": child(*parents) for n in range(20)}
    compiled = snapshot_of(levels)

    CountingText.compared = 0
    assert compiled.evaluate("flag-10-0", {"plan": CountingText("gold")}, NOW).variant == "on"
    assert CountingText.compared == 20
    assert {answer.variant for answer in compiled.evaluate_all({"plan": CountingText("gold")}, NOW).values()} == {"on"}
    assert CountingText.compared == 40


@pytest.mark.parametrize(
    ("strict", "context", "code", "reason"),
    [
        (True, {}, ErrorCode.TARGETING_KEY_MISSING, Reason.ERROR),
        (True, {"targetingKey": "user-1"}, None, None),
        (False, {}, None, Reason.DISABLED),
    ],
)
def test_strict__parent_without_targeting_key__leaves_the_child_without_one(
    strict: bool, context: dict[str, Any], code: ErrorCode | None, reason: Reason | None
) -> None:
    documents = {"parent": document(rules=[rule(HALF)]), "child": child(needs("parent"))}
    answer = snapshot_of(documents, strict=strict).evaluate("child", context, NOW)
    assert answer.error_code is code
    assert reason is None or answer.reason is reason


def test_strict__another_prerequisite_not_met_anyway__is_switched_off() -> None:
    documents = {"split": document(rules=[rule(HALF)]), "gold": GOLD_ONLY}
    for order in (("split", "gold"), ("gold", "split")):
        compiled = snapshot_of(documents | {"child": child(*map(needs, order))}, strict=True)
        assert compiled.evaluate("child", {}, NOW).reason is Reason.DISABLED
        assert compiled.evaluate("child", {"plan": "gold"}, NOW).error_code is ErrorCode.TARGETING_KEY_MISSING


@pytest.mark.parametrize(
    "prerequisites",
    [5, [5], [{}], [{"flag": "gold"}], [{"flag": [], "variants": ["on"]}], [{"flag": "gold", "variants": None}]],
    ids=repr,
)
def test_prerequisites__unreadable__fail_their_own_flag_only(prerequisites: Any) -> None:
    compiled = snapshot_of({"gold": GOLD_ONLY, "broken": document(prerequisites=prerequisites)})
    answers = compiled.evaluate_all(CUSTOMER, NOW)
    assert answers["broken"].error_code is ErrorCode.PARSE_ERROR
    assert answers["gold"].variant == "on"


@settings(max_examples=50)
@given(data=st.data(), snapshot=snapshots(), context=contexts(), now=moments())
def test_evaluate_all__any_environment__gives_the_announced_objects_in_order(
    data: st.DataObject, snapshot: Snapshot, context: dict[str, Any], now: Any
) -> None:
    compiled = compile_snapshot(snapshot)

    answers = compiled.evaluate_all(context, now)

    assert list(answers) == [key for key, source in snapshot.flags.items() if not is_archived(source.document)]
    for key, answer in answers.items():
        assert compiled.evaluate(key, context, now) is answer
        assert any(answer is announced for announced in compiled.answers(key))
    visible = [key for key in answers if snapshot.flags[key].document.get("client_visible")]
    assert compiled.evaluate_all(context, now, client_only=True) == {key: answers[key] for key in visible}
