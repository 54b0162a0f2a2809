"""Which way a change moves exposure: sound for whatever documents there are, and useful for everyday changes."""

import copy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audits.integrity import canonical_json
from flags.changes import ChangeSet, ConfigEdit, SegmentEdit
from flags.directions import Direction, Movement, movement_of
from flags.documents import initial_document, normalise_config, normalise_segment
from flags.evaluation import ErrorCode, FlagSource, Generation, Resolution, Snapshot, compile_snapshot
from tests.flags.changed_environments import changed_environments, contexts_near, documents_of
from tests.flags.strategies import moments

NEUTRAL, NARROWS, WIDENS = Direction.NEUTRAL, Direction.NARROWS, Direction.WIDENS
EXAMPLES, CONTEXTS = 60, 50


def served(answer: Resolution) -> tuple[Any, ...]:
    """What an application gets: a flag that is not set up and a code default are the same to it."""
    if answer.error_code in (None, ErrorCode.FLAG_NOT_FOUND):
        return answer.variant, canonical_json(answer.value)
    return "error", answer.error_code


def off_value(snapshot: Snapshot, key: str) -> bytes:
    source = snapshot.flags.get(key)
    name = source.document["off_variant"] if source else None
    values = {item["name"]: item["value"] for item in source.document["variants"]} if source else {}
    value: Any = values.get(name)
    return canonical_json(float(value) if source and source.value_type == "float" and name else value)


def violations(before: Snapshot, change_set: ChangeSet, after: Snapshot, seed: int, now: Any) -> tuple[Movement, list]:
    """Answers that contradict what the movement says of their flag."""
    movement = movement_of(change_set, configs=documents_of(before), segments=before.segments)
    said = {flag.flag_key: flag.direction for flag in movement.flags}
    old, new = compile_snapshot(before), compile_snapshot(after)
    found = []
    for context in contexts_near(before, after, seed=seed, amount=CONTEXTS):
        for key in after.flags:
            direction = said.get(key, NEUTRAL)
            one, other = old.evaluate(key, context, now), new.evaluate(key, context, now)
            if direction is WIDENS or served(one) == served(other):
                continue
            is_off = canonical_json(other.value) == off_value(before, key) and other.error_code is None
            if direction is NEUTRAL or not (is_off or other.error_code):
                found.append((key, direction, context, one, other))
    kept = [key for key, way in said.items() if way is not WIDENS and off_value(before, key) != off_value(after, key)]
    return movement, found + kept


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(changed_environments(), st.integers(0, 10**6), moments())
def test_movement_of__whatever_narrows__exposes_nobody_anew(changed, seed, now):
    before, change_set, after = changed

    _, found = violations(before, change_set, after, seed, now)

    assert found == []


def switched_on(snapshot: Snapshot, key: str) -> Snapshot:
    source = snapshot.flags.get(key)
    if source is None:
        return snapshot
    flags = {**snapshot.flags, key: replace(source, document={**source.document, "enabled": True})}
    return replace(snapshot, flags=flags)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(changed_environments(), st.integers(0, 10**6), moments())
def test_movement_of__applied_at_once_then_switched_on__exposes_nobody_anew(changed, seed, now):
    """Whoever switches a flag on after a change at once shows no more than by switching it on before."""
    before, change_set, after = changed
    flags = movement_of(change_set, configs=documents_of(before), segments=before.segments).flags
    if any(flag.hurdle for flag in flags):
        return
    for edit in change_set.edits:
        if not isinstance(edit, ConfigEdit) or is_only_switched(before, edit):
            continue
        sides = [compile_snapshot(switched_on(side, edit.flag_key)) for side in (before, after)]
        for context in contexts_near(before, after, seed=seed, amount=CONTEXTS):
            one, other = (side.evaluate(edit.flag_key, context, now) for side in sides)
            is_off = canonical_json(other.value) == off_value(before, edit.flag_key) and other.error_code is None
            assert served(one) == served(other) or is_off or other.error_code, (edit, context, one, other)


def is_only_switched(before: Snapshot, edit: ConfigEdit) -> bool:
    source = before.flags.get(edit.flag_key)
    return source is not None and {**source.document, "enabled": True} == {**edit.document, "enabled": True}


GOLD = {"attribute": "plan", "operator": "equals", "value": "gold"}
NORDIC = {"attribute": "country", "operator": "in", "value": ["NO", "SE", "DK"]}
ADULT = {"attribute": "age", "operator": "greater_or_equal", "value": 18}
STAFF = {"segment": "staff"}
SEGMENTS = {
    "staff": {"schema": 1, "condition": {"attribute": "email", "operator": "ends_with", "value": "@shop.test"}},
    "vip": {"schema": 1, "condition": {"or": [STAFF, GOLD]}},
}


def on(condition: Any = None, **fields: Any) -> dict[str, Any]:
    return {"id": "r1", "condition": condition, "serve": {"variant": "on"}} | fields


def share(weight: int, condition: Any = None, **fields: Any) -> dict[str, Any]:
    shares = [{"variant": "on", "weight": weight}, {"variant": "off", "weight": 100_000 - weight}]
    return {"id": "r1", "condition": condition, "serve": {"split": shares}} | fields


def flag(*rules: Any, **fields: Any) -> dict[str, Any]:
    document = initial_document("checkout", "boolean") | {"enabled": True, "rules": list(rules)} | fields
    return normalise_config(copy.deepcopy(document), value_type="boolean")


def targets(**keys: list[str]) -> list[dict[str, Any]]:
    return [{"variant": variant, "keys": list(names)} for variant, names in keys.items()]


NEEDS = [{"flag": "parent", "variants": ["on"]}]
NEEDS_OFF = [{"flag": "parent", "variants": ["off"]}]
OFF_ALWAYS = flag(enabled=False)
WINDOW = {"starts_at": "2026-01-01T00:00:00Z", "ends_at": "2026-06-01T00:00:00Z"}
SHARED = share(10_000)
TESTER = flag(SHARED, targets=targets(on=["a"]))
FREE_OFF = {"id": "r2", "condition": {**GOLD, "value": "free"}, "serve": {"variant": "off"}}
ON_IS_FALSE = [{"name": "on", "value": False}, {"name": "off", "value": False}]
SOME, TO_OFF = "Individual targets: Some who get ", "Some who get “on” get “off” instead, nobody anything new."
BLUE = [{"name": name, "value": name == "on" or name == "blue", "description": ""} for name in ("on", "off", "blue")]


def ends(weight: int = 0, serves: str | None = "off", until: str | None = None, **told: Any) -> dict[str, Any]:
    found = {"deprecated_at": "2026-01-01T00:00:00Z", **told}
    if weight:
        found["withdrawal"] = {"weight": weight, "serves": serves, "until": until}
    return {"deprecation": found}


MARCH, JUNE = "2026-03-01T00:00:00Z", "2026-06-01T00:00:00Z"
QUARTER, HALF_GONE, GONE = ends(25_000), ends(50_000), ends(100_000)
BROWNOUT = ends(100_000, "off", MARCH)
CODE_DEFAULT_OFF = {"off_variant": None, "default_variant": None}
UNKNOWN, WITHDRAWN = ends(100_000, None), "Withdrawal: Some who get “on” get “off” instead, nobody anything new."
RESTORED = "Withdrawal: Some who get “off” would get “on”."
SAME = "Nobody is served anything else."

ENDINGS = [
    ("announced", flag(on()), flag(on(), **ends(sunset_at=JUNE, successor="new")), NEUTRAL, SAME),
    (
        "dates moved",
        flag(on(), **ends(sunset_at=MARCH)),
        flag(on(), **ends(sunset_at=JUNE, link="https://a.test")),
        NEUTRAL,
        SAME,
    ),
    ("announced no longer", flag(on(), **ends(successor="new")), flag(on()), NEUTRAL, SAME),
    ("ramp-down", flag(on()), flag(on(), **QUARTER), NARROWS, WITHDRAWN),
    ("further down", flag(on(), **QUARTER), flag(on(), **HALF_GONE), NARROWS, WITHDRAWN),
    ("back up", flag(on(), **HALF_GONE), flag(on(), **QUARTER), WIDENS, RESTORED),
    ("undone", flag(on(), **QUARTER), flag(on(), **ends()), WIDENS, RESTORED),
    ("brownout", flag(on()), flag(on(), **BROWNOUT), NARROWS, WITHDRAWN),
    ("longer brownout", flag(on(), **BROWNOUT), flag(on(), **ends(100_000, "off", JUNE)), NARROWS, WITHDRAWN),
    ("shorter brownout", flag(on(), **ends(100_000, "off", JUNE)), flag(on(), **BROWNOUT), WIDENS, RESTORED),
    ("brownout of a split", flag(SHARED), flag(SHARED, **BROWNOUT), NARROWS, WITHDRAWN),
    ("sunset", flag(on()), flag(on(), **GONE), NARROWS, "The share of “on” goes from 100 % to 0 %."),
    ("sunset of a ramp-down", flag(SHARED, **QUARTER), flag(SHARED, **GONE), NARROWS, ""),
    ("sunset undone", flag(on(), **GONE), flag(on(), **ends()), WIDENS, ""),
    ("sunset of a target", TESTER, flag(SHARED, targets=targets(on=["a"]), **GONE), NARROWS, SOME),
    (
        "sunset behind a prerequisite",
        flag(on(), prerequisites=NEEDS),
        flag(on(), prerequisites=NEEDS, **GONE),
        NARROWS,
        "",
    ),
    (
        "withdrawn to on",
        flag(SHARED),
        flag(SHARED, **ends(25_000, "on")),
        WIDENS,
        "Withdrawal: Some who get “off” would get “on”.",
    ),
    ("withdrawn to what all get", flag(on()), flag(on(), **ends(25_000, "on")), NEUTRAL, SAME),
    ("sunset to what all get", flag(on()), flag(on(), **ends(100_000, "on")), NEUTRAL, SAME),
    (
        "withdrawn to the code default",
        flag(on()),
        flag(on(), **ends(25_000, None)),
        WIDENS,
        "Withdrawal: Some who get “on” would get their own",
    ),
    ("code default is off", flag(on(), **CODE_DEFAULT_OFF), flag(on(), **CODE_DEFAULT_OFF, **UNKNOWN), NARROWS, ""),
    ("salt of a withdrawal", flag(on(), **QUARTER), flag(on(), salt="b/", **QUARTER), WIDENS, RESTORED),
    ("rules behind a sunset", flag(SHARED, **GONE), flag(on(), **GONE), NEUTRAL, SAME),
    (
        "rules behind a brownout",
        flag(SHARED, **BROWNOUT),
        flag(on(), **BROWNOUT),
        WIDENS,
        "The share of “on” goes from 10 %",
    ),
    (
        "archived",
        flag(on()),
        flag(on(), **ends(is_archived=True)),
        WIDENS,
        "Archived: services get their own code default",
    ),
    (
        "archived, code default is off",
        flag(on(), **CODE_DEFAULT_OFF),
        flag(on(), **CODE_DEFAULT_OFF, **ends(is_archived=True)),
        NARROWS,
        "Archived",
    ),
    (
        "archived after its sunset",
        flag(on(), **UNKNOWN),
        flag(on(), **ends(100_000, None, is_archived=True)),
        NEUTRAL,
        SAME,
    ),
    (
        "revived",
        flag(on(), **ends(is_archived=True)),
        flag(on()),
        WIDENS,
        "The share of “on” goes from 0 % to 100 %.",
    ),
    (
        "revived switched off",
        flag(enabled=False, **ends(is_archived=True)),
        OFF_ALWAYS,
        NARROWS,
        "Some who get their own",
    ),
    ("ends switched off", OFF_ALWAYS, flag(enabled=False, **ends(100_000, "on")), NEUTRAL, SAME),
]

EVERYDAY = [
    # What a person does, before, after, what is said of it, and in which words.
    ("switch off", flag(share(50_000)), OFF_ALWAYS, NARROWS, "Switched off for everyone."),
    ("switch on", OFF_ALWAYS, flag(share(50_000)), WIDENS, "Switched on; until now everyone got “off”."),
    ("switch on what serves off", OFF_ALWAYS, flag(), NEUTRAL, "Nobody is served anything else."),
    ("share up", flag(share(10_000)), flag(share(25_000)), WIDENS, "The share of “on” goes from 10 % to 25 %."),
    ("share down", flag(share(25_000)), flag(share(10_000)), NARROWS, "The share of “on” goes from 25 % to 10 %."),
    ("share to nothing", flag(share(25_000)), flag(share(0)), NARROWS, "The share of “on” goes from 25 % to 0 %."),
    ("share to everyone", flag(share(25_000)), flag(on()), WIDENS, "The share of “on” goes from 25 % to 100 %."),
    ("everyone to a share", flag(on()), flag(share(50_000)), NARROWS, "The share of “on” goes from 100 % to 50 %."),
    ("share away", flag(share(25_000)), flag(), NARROWS, "The share of “on” goes from 25 % to 0 %."),
    ("first share", flag(), flag(share(1_000)), WIDENS, "The share of “on” goes from 0 % to 1 %."),
    ("new salt", flag(share(5_000)), flag(share(5_000, salt="b/")), WIDENS, "The split assigns everyone anew"),
    ("other key", flag(share(5_000)), flag(share(5_000, bucket_by="team")), WIDENS, "The split assigns everyone anew"),
    ("default to off", flag(default_variant="on"), flag(), NARROWS, "The share of “on” goes from 100 % to 0 %."),
    ("default to on", flag(), flag(default_variant="on"), WIDENS, "The share of “on” goes from 0 % to 100 %."),
    ("rule removed", flag(on(GOLD)), flag(), NARROWS, "Some who get “on” get “off” instead"),
    ("rule added", flag(), flag(on(GOLD)), WIDENS, "Rule 1 “Plan is “gold””: Some who get “off” would get “on”."),
    ("off first", flag(on()), flag({**on(GOLD, id="x"), "serve": {"variant": "off"}}, on()), NARROWS, "Rule 1"),
    ("list shrinks", flag(on(NORDIC)), flag(on({**NORDIC, "value": ["NO", "SE"]})), NARROWS, TO_OFF),
    ("list grows", flag(on(NORDIC)), flag(on({**NORDIC, "value": [*NORDIC["value"], "FI"]})), WIDENS, "Rule 1"),
    ("clause added", flag(on(GOLD)), flag(on({"and": [GOLD, ADULT]})), NARROWS, TO_OFF),
    ("clause removed", flag(on({"and": [GOLD, ADULT]})), flag(on(GOLD)), WIDENS, "Rule 1"),
    ("alternative removed", flag(on({"or": [GOLD, NORDIC]})), flag(on(GOLD)), NARROWS, TO_OFF),
    ("exception added", flag(on()), flag(on({"not": GOLD})), NARROWS, TO_OFF),
    ("exception grows", flag(on({"not": GOLD})), flag(on({"not": {"or": [GOLD, ADULT]}})), NARROWS, TO_OFF),
    ("exception shrinks", flag(on({"not": {"or": [GOLD, ADULT]}})), flag(on({"not": GOLD})), WIDENS, "Rule 1"),
    ("older only", flag(on(ADULT)), flag(on({**ADULT, "value": 21})), NARROWS, TO_OFF),
    ("only staff", flag(on({"segment": "vip"})), flag(on(STAFF)), NARROWS, TO_OFF),
    ("staff too", flag(on(GOLD)), flag(on({"or": [GOLD, STAFF]})), WIDENS, "Rule 1"),
    ("ends earlier", flag(on(**WINDOW)), flag(on(**WINDOW | {"ends_at": "2026-03-01T00:00:00Z"})), NARROWS, TO_OFF),
    ("starts earlier", flag(on(**WINDOW)), flag(on(**WINDOW | {"starts_at": "2025-01-01T00:00:00Z"})), WIDENS, "Some"),
    ("gets an end", flag(on()), flag(on(ends_at="2026-03-01T00:00:00Z")), NARROWS, TO_OFF),
    ("target removed", flag(SHARED, targets=targets(on=["a", "b"])), TESTER, NARROWS, SOME),
    ("target added", flag(SHARED), TESTER, WIDENS, SOME),
    ("target to off", flag(on(), targets=targets(on=["a"])), flag(on(), targets=targets(off=["a"])), NARROWS, SOME),
    ("target off away", flag(on(), targets=targets(off=["a"])), flag(on()), WIDENS, "Individual targets"),
    ("prerequisite added", flag(on()), flag(on(), prerequisites=NEEDS), NARROWS, "Its prerequisites let fewer people"),
    ("prerequisite away", flag(on(), prerequisites=NEEDS), flag(on()), WIDENS, "Its prerequisites let more people"),
    ("other value", flag(on()), flag(on(), variants=ON_IS_FALSE), NARROWS, "The value of “on” changes from true to"),
    ("other off value", OFF_ALWAYS, flag(enabled=False, off_variant="on"), WIDENS, "Switched off, it serves “on”"),
    ("clients see it", flag(), flag(client_visible=True), WIDENS, "Clients can see it from now on."),
    ("clients no longer", flag(client_visible=True), flag(), NARROWS, "Clients no longer see it."),
    ("first set-up", None, OFF_ALWAYS, WIDENS, "Set up here for the first time"),
    ("description", flag(on(GOLD)), flag(on(GOLD, description="Gold customers")), NEUTRAL, "Nobody is served"),
    ("unused variant", flag(on()), flag(on(), variants=BLUE), NEUTRAL, "Nobody is served anything else."),
    ("rule never reached", flag(on()), flag(on(), on(GOLD, id="r2")), NEUTRAL, "Nobody is served anything else."),
    ("rules apart reordered", flag(on(GOLD), FREE_OFF), flag(FREE_OFF, on(GOLD)), NEUTRAL, "Nobody is served"),
    *ENDINGS,
]  # fmt: skip


def movement(before: Any, after: Any, **others: Any) -> Movement:
    configs = others | ({} if before is None else {"checkout": before})
    change_set = ChangeSet("e", (ConfigEdit("checkout", 1, after),))
    return movement_of(change_set, configs=configs, segments=SEGMENTS)


@pytest.mark.parametrize(
    ("before", "after", "direction", "why"), [case[1:] for case in EVERYDAY], ids=[c[0] for c in EVERYDAY]
)
def test_movement_of__everyday_change__is_told_as_people_would(before, after, direction, why):
    [found] = movement(before, after, parent=flag(share(50_000))).flags

    assert (found.direction, found.why[: len(why)]) == (direction, why)
    assert not found.is_indirect


KEYS = 5_000
NOT_WIDER = [case for case in EVERYDAY if case[3] is not WIDENS]


def environment(document: Any) -> Snapshot:
    flags = {"parent": FlagSource("boolean", flag(share(50_000)), 1), "checkout": FlagSource("boolean", document, 1)}
    return Snapshot("shop", "e", "production", 1, Generation.FLAGD_V2, flags, SEGMENTS)


@pytest.mark.parametrize(("before", "after"), [case[1:3] for case in NOT_WIDER], ids=[case[0] for case in NOT_WIDER])
def test_movement_of__what_does_not_widen__exposes_none_of_five_thousand_keys_anew(before, after):
    old, new, now = environment(before), environment(after), datetime(2026, 2, 1, tzinfo=UTC)
    was, becomes, off = compile_snapshot(old), compile_snapshot(new), off_value(old, "checkout")

    contexts = [
        {**context, "targetingKey": f"key-{number}"}
        for number, context in enumerate(contexts_near(old, new, seed=1, amount=KEYS))
    ]
    exposed = [
        [canonical_json(side.evaluate("checkout", context, now).value) != off for context in contexts]
        for side in (was, becomes)
    ]

    assert len(contexts) == KEYS
    assert not any(after and not before for before, after in zip(*exposed, strict=True))


@pytest.mark.parametrize(
    ("before", "after", "shares"),
    [
        (flag(share(10_000)), flag(share(25_000)), (10_000, 25_000)),
        (flag(share(10_000), on(GOLD, id="r2")), OFF_ALWAYS, (10_000, 0)),
        (flag(on(GOLD), share(10_000, id="r2")), flag(share(10_000)), (100_000, 10_000)),
        (None, flag(share(5_000)), (0, None)),
        (flag(default_variant="on"), flag(default_variant=None), (100_000, 100_000)),
        (flag(targets=targets(on=["a"])), flag(), (0, 0)),
    ],
)
def test_movement_of__shares__are_the_largest_part_that_is_not_off(before, after, shares):
    [found] = movement(before, after).flags

    assert (found.share_before, found.share_after) == shares


ME = {"attribute": "email", "operator": "equals", "value": "me@shop.test"}
NOT_ME = {"not": ME}
ON_IS_TRUE_TWICE = [{"name": "on", "value": True}, {"name": "off", "value": True}]
CROWD = targets(on=[f"user-{number}" for number in range(9_000)])


@pytest.mark.parametrize(
    ("before", "after", "jump"),
    [
        (flag(on(ME)), flag(on(ME), default_variant="on"), 100_000),
        (flag(share(10_000)), flag(share(25_000)), 15_000),
        (flag(share(80_000)), flag(on()), 20_000),
        (flag(share(25_000)), flag(share(10_000)), 0),
        (flag(share(5_000)), flag(share(5_000, salt="b/")), 5_000),
        (flag(share(1_000)), flag(share(1_000), default_variant="on"), 100_000),
        (flag(), flag(share(1_000), default_variant="on"), 100_000),
        (flag(on(GOLD), share(10_000, id="r2")), flag(share(40_000)), 30_000),
        (OFF_ALWAYS, flag(share(30_000)), 30_000),
        (flag(), flag(client_visible=True), None),
        (flag(), flag(off_variant="on", default_variant="on"), None),
        (OFF_ALWAYS, flag(enabled=False, off_variant="on"), None),
        (flag(on(), variants=ON_IS_FALSE), flag(on()), None),
        (flag(), flag(variants=ON_IS_TRUE_TWICE), None),
        (flag(), flag(targets=CROWD), None),
        (flag(on(), prerequisites=NEEDS), flag(on()), None),
        (None, flag(share(5_000)), None),
    ],
)
def test_movement_of__jump__is_what_the_same_people_gain_or_not_known(before, after, jump):
    [found] = movement(before, after, parent=flag(share(50_000))).flags

    assert found.jump == jump
    assert (found.share_after is None) == (jump is None)


def test_movement_of__segment_grows_to_everybody__jump_is_not_known():
    edit = SegmentEdit("vip", "VIP", 1, normalise_segment({"condition": NOT_ME}))

    [found] = movement_of(ChangeSet("e", (edit,)), configs={"a": flag(on({"segment": "vip"}))}, segments=SEGMENTS).flags

    assert (found.direction, found.jump, found.share_after) == (WIDENS, None, None)


@pytest.mark.parametrize(
    ("before", "after", "direction", "latent"),
    [
        (OFF_ALWAYS, flag(on(), enabled=False), NEUTRAL, WIDENS),
        (flag(share(50_000)), flag(on(), enabled=False), NARROWS, WIDENS),
        (flag(share(50_000)), flag(share(50_000), enabled=False), NARROWS, NEUTRAL),
        (flag(share(50_000), enabled=False), flag(share(10_000), enabled=False), NEUTRAL, NARROWS),
        (flag(share(50_000), enabled=False), flag(share(50_000), enabled=False, description="x"), NEUTRAL, NEUTRAL),
        (flag(on(), enabled=False, prerequisites=NEEDS), flag(on(), enabled=False), NEUTRAL, WIDENS),
        (OFF_ALWAYS, flag(enabled=False, targets=targets(on=["a"])), NEUTRAL, WIDENS),
        (flag(share(50_000)), flag(share(10_000)), NARROWS, NARROWS),
        (OFF_ALWAYS, flag(on()), WIDENS, WIDENS),
        (None, flag(on(), enabled=False, off_variant=None), NEUTRAL, WIDENS),
        (flag(SHARED, **GONE), flag(on(), **GONE), NEUTRAL, WIDENS),
        (flag(SHARED, **GONE), TESTER | GONE, NEUTRAL, WIDENS),
        (flag(SHARED, **GONE), flag(share(5_000), **GONE), NEUTRAL, NEUTRAL),
        (flag(SHARED, **GONE), flag(SHARED, enabled=False, **GONE), NEUTRAL, NEUTRAL),
        (flag(SHARED, **ends(is_archived=True)), TESTER | ends(is_archived=True), NEUTRAL, WIDENS),
        (flag(SHARED), flag(on(), **GONE), NARROWS, WIDENS),
        (flag(SHARED), flag(SHARED, **GONE), NARROWS, NARROWS),
        (flag(SHARED, enabled=False, **GONE), flag(on(), enabled=False, **GONE), NEUTRAL, WIDENS),
        (None, flag(on(), off_variant=None, **ends(is_archived=True)), NEUTRAL, WIDENS),
    ],
)
def test_movement_of__serving_nobody__says_what_is_prepared(before, after, direction, latent):
    [found] = movement(before, after, parent=flag(share(50_000))).flags

    assert (found.direction, found.latent) == (direction, latent)
    assert bool(found.hurdle) == (WIDENS in (direction, latent))


def test_movement_of__segment_of_a_switched_off_flag_grows__is_told_and_held():
    configs = {"vip-only": flag(on({"segment": "vip"}), enabled=False), "other": flag(on(GOLD), enabled=False)}
    edit = SegmentEdit("vip", "VIP", 1, normalise_segment({"condition": NOT_ME}))

    found = movement_of(ChangeSet("e", (edit,)), configs=configs, segments=SEGMENTS)

    assert [(item.flag_key, item.direction, item.latent, item.is_indirect) for item in found.held] == [
        ("vip-only", NEUTRAL, WIDENS, True)
    ]


def test_movement_of__parent_switched_off__prepares_nothing_for_a_switched_off_child():
    configs = {"parent": flag(on()), "child": flag(on(), enabled=False, prerequisites=NEEDS_OFF)}

    assert movement_of(ChangeSet("e", (ConfigEdit("parent", 1, OFF_ALWAYS),)), configs=configs, segments={}).held == ()


@pytest.mark.parametrize(
    ("before", "after", "needs", "jump"),
    [
        (flag(share(5_000)), flag(share(25_000)), NEEDS, 20_000),
        (flag(share(5_000)), flag(on()), NEEDS, 95_000),
        (flag(share(50_000)), OFF_ALWAYS, NEEDS_OFF, None),
        (flag(share(5_000)), flag(share(25_000)), [{"flag": "parent", "variants": ["on", "off"]}], None),
        (flag(), flag(targets=targets(on=["a"])), NEEDS, None),
    ],
)
def test_movement_of__parent_widens__the_flags_behind_it_gain_no_more_people(before, after, needs, jump):
    configs = {"parent": before, "child": flag(on(), prerequisites=needs)}

    found = movement_of(ChangeSet("e", (ConfigEdit("parent", 1, after),)), configs=configs, segments={}).flags

    assert {item.flag_key: item.jump for item in found}["child"] == jump


CHILD = flag(on(), prerequisites=NEEDS)
CHILD_OF_OFF = flag(on(), prerequisites=NEEDS_OFF)


@pytest.mark.parametrize(
    ("before", "after", "child", "direction"),
    [
        (flag(share(50_000)), flag(share(20_000)), CHILD, NARROWS),
        (flag(share(50_000)), flag(share(70_000)), CHILD, WIDENS),
        (flag(share(50_000)), OFF_ALWAYS, CHILD, NARROWS),
        (flag(share(50_000)), OFF_ALWAYS, CHILD_OF_OFF, WIDENS),
        (flag(share(50_000)), flag(share(50_000), variants=BLUE), CHILD, None),
        (flag(share(50_000)), flag(share(50_000), client_visible=True), CHILD, None),
        (flag(share(50_000)), flag(share(70_000)), flag(on(), enabled=False, prerequisites=NEEDS), None),
    ],
)
def test_movement_of__parent_moves__the_flags_behind_it_are_judged_too(before, after, child, direction):
    configs = {
        "parent": before,
        "child": child,
        "grandchild": flag(on(), prerequisites=[{"flag": "child", "variants": ["on"]}]),
    }
    change_set = ChangeSet("e", (ConfigEdit("parent", 1, after),))

    found = {item.flag_key: item for item in movement_of(change_set, configs=configs, segments={}).flags}

    assert found.keys() == ({"parent", "child", "grandchild"} if direction else {"parent"})
    if direction:
        assert (found["child"].direction, found["grandchild"].direction) == (direction, direction)
        assert found["child"].is_indirect
        assert found["child"].why.startswith("Through “parent”: ")


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (GOLD, {"vip-only": NARROWS, "not-vip": WIDENS}),
        (SEGMENTS["vip"]["condition"], {}),
        ({"or": [STAFF, GOLD, ADULT]}, {"vip-only": WIDENS, "not-vip": NARROWS}),
    ],
)
def test_movement_of__segment_moves__every_flag_that_asks_it_is_judged(condition, expected):
    configs = {
        "vip-only": flag(on({"segment": "vip"})),
        "not-vip": flag(on({"not": {"segment": "vip"}})),
        "others": flag(on(STAFF)),
    }
    edit = SegmentEdit("vip", "VIP", 1, normalise_segment({"condition": condition}))

    found = movement_of(ChangeSet("e", (edit,)), configs=configs, segments=SEGMENTS)

    assert {item.flag_key: item.direction for item in found.flags} == expected
    assert all(item.why.startswith("Through segment “vip”: ") for item in found.flags)


def test_movement_of__segment_inside_another__moves_the_flags_of_both():
    configs = {"vip-only": flag(on({"segment": "vip"})), "staff-only": flag(on(STAFF))}
    narrower = {"and": [SEGMENTS["staff"]["condition"], ADULT]}
    edit = SegmentEdit("staff", "Staff", 1, normalise_segment({"condition": narrower}))

    found = movement_of(ChangeSet("e", (edit,)), configs=configs, segments=SEGMENTS)

    assert {item.flag_key: item.direction for item in found.flags} == {"vip-only": NARROWS, "staff-only": NARROWS}


def test_movement_of__one_flag_widens_another_narrows__the_change_widens():
    edits = (ConfigEdit("a", 1, OFF_ALWAYS), ConfigEdit("b", 1, flag(on())))

    found = movement_of(ChangeSet("e", edits), configs={"a": flag(on()), "b": flag()}, segments={})

    assert found.direction is WIDENS
    assert [item.flag_key for item in found.widening] == ["b"]


def test_movement_of__parent_leaves_a_circle__the_flag_behind_it_widens():
    configs = {
        "a": flag(on(), prerequisites=[{"flag": "b", "variants": ["off"]}]),
        "b": flag(prerequisites=[{"flag": "a", "variants": ["on"]}]),
    }

    found = movement_of(ChangeSet("e", (ConfigEdit("b", 1, flag()),)), configs=configs, segments={})

    assert [item.flag_key for item in found.widening] == ["a"]


def test_movement_of__a_hundred_rules__takes_no_noticeable_time():
    rules = [on({**GOLD, "value": f"plan-{number}"}, id=f"r{number}") for number in range(100)]

    assert movement(flag(*rules), flag(*rules[:40], *rules[60:])).direction is NARROWS
