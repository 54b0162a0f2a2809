"""Deprecated flags: what services are told from when on, and who is withdrawn before anything else is asked."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flags.evaluation import ErrorCode, Generation, Reason, Resolution, compile_snapshot
from flags.evaluation.bucketing import bucket
from flags.evaluation.explain import explain
from flags.evaluation.flags import FlagCompiler, window_instants
from flags.evaluation.instants import instant_text
from flags.evaluation.prerequisites import link
from flags.evaluation.segments import Segments
from tests.flags.evaluation.documents import (
    GOLD,
    HALF,
    NOW,
    ON,
    USER_1,
    child,
    document,
    needs,
    plain_snapshot,
    rule,
    snapshot_of,
)
from tests.flags.strategies import contexts, moments, snapshots

WHENCE = {"environment": "production", "revision": 7, "version": 4}
TOLD = {**WHENCE, "deprecated": True}
GONE = {**TOLD, "withdrawn": True}
ALL, LATER = 100_000, NOW + timedelta(minutes=30)
ON_FOR_ALL = {"rules": [rule(ON)]}


def ending(weight: int = 0, serves: str | None = "off", until: datetime | None = None, **fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"deprecated_at": instant_text(NOW - timedelta(days=1)), **fields}
    if weight:
        found["withdrawal"] = {"weight": weight, "serves": serves}
        if until is not None:
            found["withdrawal"]["until"] = instant_text(until)
    return {"deprecation": found}


def asked(stored: dict[str, Any], context: Any = USER_1, now: datetime = NOW, **options: Any) -> Resolution:
    """The resolution, after checking that both readings agree."""
    snapshot = plain_snapshot({"checkout": stored, "parent": document(enabled=False)}, **options)
    resolution = compile_snapshot(snapshot).evaluate("checkout", context, now)
    assert explain(snapshot, "checkout", context, now).resolution == resolution
    return resolution


@pytest.mark.parametrize(
    ("fields", "variant", "reason", "metadata"),
    [
        (ending() | ON_FOR_ALL, "on", Reason.TARGETING_MATCH, TOLD),
        (ending(ALL) | ON_FOR_ALL, "off", Reason.STATIC, GONE),
        (ending(ALL, "on"), "on", Reason.STATIC, GONE),
        (ending(ALL, None) | ON_FOR_ALL, None, Reason.DEFAULT, GONE),
        (ending(ALL, None, LATER) | ON_FOR_ALL, None, Reason.DEFAULT, GONE),
        (ending(ALL, "off", NOW) | ON_FOR_ALL, "on", Reason.TARGETING_MATCH, TOLD),
        (ending(99_999) | ON_FOR_ALL, "off", Reason.SPLIT, GONE),
        (ending(99_999, None) | ON_FOR_ALL, None, Reason.DEFAULT, GONE),
        (ending(1) | ON_FOR_ALL, "on", Reason.TARGETING_MATCH, TOLD),
        (ending(ALL, "on") | {"enabled": False}, "off", Reason.DISABLED, TOLD),
        (ending(ALL, "on") | {"prerequisites": [needs("parent")]}, "on", Reason.STATIC, GONE),
        (ending(1, "on") | {"prerequisites": [needs("parent")]}, "off", Reason.DISABLED, TOLD),
        (
            ending(ALL) | {"targets": [{"variant": "on", "keys": ["user-1"]}]},
            "off",
            Reason.STATIC,
            GONE,
        ),
        (
            ending(sunset_at="2027-06-01T00:00:00Z", successor="new", link="https://a.test/"),
            "off",
            Reason.STATIC,
            {**TOLD, "sunsetAt": "2027-06-01T00:00:00Z", "successor": "new"},
        ),
        (ending(ALL, deprecated_at=instant_text(LATER)), "off", Reason.STATIC, {**WHENCE, "withdrawn": True}),
        (ending(deprecated_at=instant_text(LATER), successor="new"), "off", Reason.STATIC, WHENCE),
        (ending(deprecated_at=instant_text(NOW)), "off", Reason.STATIC, TOLD),
    ],
)
def test_evaluate__deprecated_flag__answers_as_specified(
    fields: dict[str, Any], variant: str | None, reason: Reason, metadata: dict[str, Any]
) -> None:
    resolution = asked(document(**fields))

    assert (resolution.variant, resolution.reason) == (variant, reason)
    assert resolution.has_value is (variant is not None)
    assert resolution.metadata == metadata


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    "context", [{}, {"targetingKey": 5}, {"targetingKey": "\ud800"}, {"targetingKey": "x" * 1_025}]
)
def test_withdrawal__without_a_usable_key__takes_everybody_or_nobody(context: dict[str, Any], strict: bool) -> None:
    share, everybody = (document(**ending(weight), **ON_FOR_ALL) for weight in (99_999, ALL))
    assert asked(share, context, strict=strict).variant == "on"
    assert asked(everybody, context, strict=strict).variant == "off"


@pytest.mark.parametrize(("strict", "variant"), [(False, "off"), (True, "on")])
def test_withdrawal__empty_key__is_a_key_unless_strict(strict: bool, variant: str) -> None:
    assert asked(document(**ending(99_999), **ON_FOR_ALL), {"targetingKey": ""}, strict=strict).variant == variant


@pytest.mark.parametrize("generation", Generation)
def test_withdrawal__share_raised_in_steps__takes_the_first_buckets_of_the_flags_own_split(
    generation: Generation,
) -> None:
    keys = [f"user-{number}" for number in range(300)]
    places = {key: bucket(key, salt="checkout/", total=ALL, generation=generation) for key in keys}
    for weight in (1_000, 25_000, 50_000, 99_000):
        compiled = snapshot_of({"checkout": document(**ending(weight), **ON_FOR_ALL)}, generation=generation)
        gone = {key for key in keys if compiled.evaluate("checkout", {"targetingKey": key}, NOW).variant == "off"}
        assert gone == {key for key, place in places.items() if place < weight}


def test_brownout__ends_by_the_clock__without_compiling_again() -> None:
    compiled = snapshot_of({"checkout": document(**ending(ALL, "off", LATER), **ON_FOR_ALL)})
    instants = [LATER - timedelta(microseconds=1), LATER, LATER + timedelta(days=9)]
    assert [compiled.evaluate("checkout", {}, now).variant for now in instants] == ["off", "on", "on"]
    assert {id(compiled.evaluate("checkout", {}, now)) for now in instants} <= set(
        map(id, compiled.answers("checkout"))
    )
    assert LATER in window_instants(compiled.snapshot.flags.values())
    assert NOW - timedelta(days=1) in window_instants(compiled.snapshot.flags.values())


def test_archived_flag__for_services__does_not_exist() -> None:
    stored = {
        "checkout": document(**ending(is_archived=True)),
        "below": child(needs("checkout", "off")),
        "other": document(),
    }
    compiled = snapshot_of(stored)

    assert compiled.evaluate("checkout", USER_1, NOW).error_code is ErrorCode.FLAG_NOT_FOUND
    assert compiled.evaluate("below", USER_1, NOW).reason is Reason.DISABLED
    assert compiled.flag_keys == ("below", "other")
    assert compile_snapshot(plain_snapshot(stored), forced={"checkout": "on"}).ignored_forced == {"checkout": "on"}


@pytest.mark.parametrize(
    "broken",
    [{"deprecated_at": "soon"}, {}, [], {"deprecated_at": "2026-01-01T00:00:00Z", "withdrawal": {"weight": 0}}],
)
def test_evaluate__deprecation_nobody_can_read__fails_its_own_flag_only(broken: Any) -> None:
    compiled = snapshot_of({"checkout": document(deprecation=broken or [1]), "other": document()})
    assert compiled.evaluate("checkout", USER_1, NOW).error_code is ErrorCode.PARSE_ERROR
    assert compiled.evaluate("other", USER_1, NOW).variant == "off"


def test_prerequisite__brownout_of_the_parent__is_what_the_child_gets() -> None:
    compiled = snapshot_of(
        {"checkout": document(**ending(ALL, "off", LATER), **ON_FOR_ALL), "below": child(needs("checkout"))}
    )
    assert [compiled.evaluate("below", USER_1, now).variant for now in (NOW, LATER)] == ["off", "on"]


@pytest.mark.parametrize(
    "stored",
    [
        document(),
        document(enabled=False),
        document(rules=[rule(ON, GOLD)]),
        document(rules=[rule(HALF)]),
        document(rules=[rule(ON, starts_at="2026-01-01T00:00:00Z")]),
        document(targets=[{"variant": "on", "keys": ["a"]}], rules=[rule(HALF)]),
        child(needs("parent")),
    ],
)
def test_compile__flag_that_does_not_end__is_the_closure_it_always_was(stored: dict[str, Any]) -> None:
    snapshot = plain_snapshot(
        {"checkout": stored, "parent": document(rules=[rule(HALF)]), "ends": document(**ending(50_000))}
    )
    compiled = compile_snapshot(snapshot)
    flag = FlagCompiler(snapshot.flags["checkout"], snapshot=snapshot, segments=Segments({}))
    plain = link(flag, required=stored.get("prerequisites") or [], find=compiled._compiled.get, strict=False)

    found = compiled._compiled["checkout"].program
    wanted = plain.program
    if not stored["enabled"]:
        assert found.constant == flag.off()
        return
    assert (found.constant, _code(found.simple), _code(found.dependent)) == (
        wanted.constant,
        _code(wanted.simple),
        _code(wanted.dependent),
    )


def _code(closure: Any) -> Any:
    """The code of a closure and of all it calls, in order."""
    if closure is None:
        return None
    cells = [cell.cell_contents for cell in closure.__closure__ or ()]
    return closure.__code__, [_code(cell) for cell in cells if hasattr(cell, "__code__")]


@settings(max_examples=60)
@given(snapshot=snapshots(), context=contexts(), now=moments(), data=st.data())
def test_withdrawal__any_flag__serves_who_is_left_what_he_got_before(
    snapshot: Any, context: dict[str, Any], now: datetime, data: st.DataObject
) -> None:
    key = data.draw(st.sampled_from(sorted(snapshot.flags)))
    with_it = compile_snapshot(snapshot).evaluate(key, context, now)
    source = snapshot.flags[key]
    plain = {name: part for name, part in source.document.items() if name != "deprecation"}
    without = type(snapshot)(
        **{name: getattr(snapshot, name) for name in snapshot.__slots__}
        | {"flags": {**snapshot.flags, key: type(source)(source.value_type, plain, source.version)}}
    )
    before = compile_snapshot(without).evaluate(key, context, now)

    if not with_it.metadata.get("withdrawn") and with_it.error_code is not ErrorCode.FLAG_NOT_FOUND:
        assert (with_it.value, with_it.variant, with_it.reason) == (before.value, before.variant, before.reason)
