"""Who gets another answer: kinds of flips, what a change reaches, groups, samples. No database."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from flags.evaluation import FlagSource, Generation, Snapshot
from flags.evaluation.compile import compile_snapshot
from rollouts.impact import Population, Side, Simulation, affected_flags, headline, masked
from rollouts.impact.headlines import share
from tests.factories import percent_document

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
GOLD = {"attribute": "plan", "operator": "equals", "value": "gold"}
PEOPLE = Population(2_000, 7, {"plan": {"values": {"gold": 25, "free": 75}}, "age": {"range": [10, 70]}})


def document(key: str = "checkout", **fields: Any) -> dict[str, Any]:
    return {**percent_document(key, 0), **fields}


def snapshot(*documents: dict[str, Any] | None, segments: dict[str, Any] | None = None) -> Snapshot:
    """Flags “checkout”, “child” and so on, those that are not None."""
    flags = {
        key: FlagSource("boolean", item, 1)
        for key, item in zip(("checkout", "child", "other"), documents, strict=False)
        if item is not None
    }
    return Snapshot("p", "e", "production", 3, Generation.FLAGD_V2, flags, segments or {})


def simulate(before: Snapshot, after: Snapshot, people: Population = PEOPLE, **fields: Any) -> dict[str, Any]:
    keys = affected_flags(Side.of(before), Side.of(after))
    simulation = Simulation(before, after, keys, at=fields.get("at", AT), shows_keys=fields.get("shows_keys", True))
    simulation.feed(people.contexts())
    return simulation.result()


def counts(result: dict[str, Any], key: str = "checkout") -> tuple[int, int, int]:
    flag = next(flag for flag in result["flags"] if flag["key"] == key)
    return flag["gained"], flag["lost"], flag["changed"]


def test_simulation__wider_share__counts_what_the_evaluator_says() -> None:
    before, after = snapshot(percent_document("checkout", 10)), snapshot(percent_document("checkout", 30))
    sides = [compile_snapshot(side) for side in (before, after)]
    told = Counter(
        tuple(side.evaluate("checkout", context, AT).variant for side in sides) for context in PEOPLE.contexts()
    )

    result = simulate(before, after)

    assert counts(result) == (told["off", "on"], 0, 0)
    assert result["flipped"] == result["gained"] == told["off", "on"] > 300
    flag = result["flags"][0]
    assert flag["exposed_before"] == told["on", "on"]
    assert flag["exposed_after"] == told["on", "on"] + told["off", "on"]
    assert {(row["from"], row["to"]): row["people"] for row in flag["transitions"]} == dict(told)


OFF, ON = document(enabled=False), percent_document("checkout", 100)
NO_OFF = percent_document("checkout", 100) | {"off_variant": None}
RENAMED = {
    **ON,
    "variants": [*ON["variants"], {"name": "also", "value": True}],
    "rules": [{**ON["rules"][0], "serve": {"variant": "also"}}],
}
MISSPELT = {**ON, "rules": [{**ON["rules"][0], "serve": {"variant": "nowhere"}}]}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (OFF, ON, (1, 0, 0)),
        (ON, OFF, (0, 1, 0)),
        (ON, ON | {"description": "same"}, (0, 0, 0)),
        (ON, RENAMED, (0, 0, 1)),
        (None, ON, (1, 0, 0)),
        (None, OFF, (0, 0, 1)),
        (NO_OFF, {**NO_OFF, "enabled": False}, (0, 1, 0)),
        (ON, MISSPELT, (0, 1, 0)),
    ],
    ids=["on", "off", "same", "renamed", "set up on", "set up off", "code default", "error"],
)
def test_simulation__one_person__meets_one_kind_of_flip(before: Any, after: Any, expected: tuple[int, ...]) -> None:
    result = simulate(snapshot(before), snapshot(after), Population(1))

    assert counts(result) == expected
    assert result["flipped"] == sum(expected)


def test_simulation__prerequisite_and_segment__reach_flags_nobody_edited() -> None:
    child = percent_document("child", 100) | {"prerequisites": [{"flag": "checkout", "variants": ["on"]}]}
    other = percent_document("other", 100)
    other["rules"][0]["condition"] = {"segment": "vip"}
    segments = [{"vip": {"schema": 1, "condition": GOLD}}, {"vip": {"schema": 1, "condition": {"not": GOLD}}}]
    before = snapshot(OFF, child, other, segments=segments[0])
    by_flag, by_segment = (
        snapshot(ON, child, other, segments=segments[0]),
        snapshot(OFF, child, other, segments=segments[1]),
    )

    assert counts(simulate(before, by_flag), "child") == (2_000, 0, 0)
    assert [flag["key"] for flag in simulate(before, by_flag)["flags"]] == ["checkout", "child"]
    moved = simulate(before, by_segment)
    assert [flag["key"] for flag in moved["flags"]] == ["other"]
    gained, lost, _ = counts(moved, "other")
    assert gained + lost == 2_000
    assert moved["flags"][0]["segments"] == [
        {"key": "vip", "label": "", "people": gained, "gained": gained, "lost": 0, "changed": 0}
    ]


def test_simulation__rule_that_starts_later__counts_for_its_instant_only() -> None:
    late = {**ON, "rules": [{**ON["rules"][0], "starts_at": "2026-03-05T00:00:00Z"}]}
    later = datetime(2026, 3, 6, tzinfo=UTC)

    assert counts(simulate(snapshot(OFF), snapshot(late)))[0] == 0
    assert counts(simulate(snapshot(OFF), snapshot(late), at=later))[0] == 2_000


def test_simulation__groups__add_up_and_name_only_what_documents_name() -> None:
    after = percent_document("checkout", 100)
    after["rules"][0]["condition"] = {"and": [GOLD, {"attribute": "age", "operator": "less_than", "value": 30}]}

    flag = simulate(snapshot(OFF), snapshot(after))["flags"][0]

    ages, plans = flag["attributes"]
    assert {row["label"] for row in ages["values"]} == {"below 30", "30 or more"}
    assert {row["label"] for row in plans["values"]} == {"gold", "other values"}
    for values in (ages["values"], plans["values"]):
        assert sum(row["people"] for row in values) == 2_000
        assert sum(row["gained"] for row in values) == flag["gained"] > 0
    assert next(row["gained"] for row in plans["values"] if row["label"] == "other values") == 0


def test_simulation__slices__come_to_the_same_as_one_piece() -> None:
    before, after = snapshot(percent_document("checkout", 10)), snapshot(percent_document("checkout", 30))
    sliced = Simulation(before, after, ["checkout"], at=AT, shows_keys=True)
    for start in range(0, 2_000, 300):
        sliced.feed(PEOPLE.contexts(start, start + 300))

    assert sliced.result() == simulate(before, after)


def test_simulation__uploaded_contexts__leave_no_value_behind() -> None:
    after = percent_document("checkout", 100)
    after["rules"][0]["condition"] = {"attribute": "mail", "operator": "ends_with", "value": "@example.com"}
    simulation = Simulation(snapshot(OFF), snapshot(after), ["checkout"], at=AT, shows_keys=False)
    simulation.feed(
        {"targetingKey": f"user-MARKER{n}x", "mail": f"MARKER{n}@example.com", "MARKER": n} for n in range(50)
    )

    result = simulation.result()

    assert counts(result)[0] == 50
    assert "MARKER" not in str(result)
    assert len(result["flags"][0]["samples"]) == 20


def test_simulation__individual_targets__are_told_apart() -> None:
    after = document(targets=[{"variant": "on", "keys": ["ann", "ben"]}])
    result = simulate(snapshot(document()), snapshot(after))

    assert counts(result) == (0, 0, 0)
    assert result["flags"][0]["targets"] == {"keys": 2, "gained": 2, "lost": 0, "changed": 0}
    assert headline(result) == (
        "Nobody in this population of 2,000 gets another answer. 2 individually targeted keys of checkout gain it."
    )


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ([(12, 0, 0)], "12 % of the people in this population gain checkout; nobody loses it."),
        ([(0, 5, 0)], "5 % of the people in this population lose checkout; nobody gains it."),
        ([(100, 0, 0)], "Everybody in this population gains checkout; nobody loses it."),
        ([(1, 2, 3)], "1 % of the people in this population gain checkout; 2 % lose it; 3 % get another variant."),
        ([(0, 0, 40)], "40 % of the people in this population get another answer of checkout; "
                       "nobody gains or loses it."),
        ([(12, 0, 0), (1, 0, 0)], "12 % of the people in this population gain checkout; nobody loses it. "
                                  "1 more flag moves people too."),
    ],
)  # fmt: skip
def test_headline__says_it_in_a_sentence(flags: list[tuple[int, int, int]], sentence: str) -> None:
    rows = [
        {"key": "checkout", "flipped": sum(row), "targets": None}
        | dict(zip(("gained", "lost", "changed"), row, strict=True))
        for row in flags
    ]

    assert headline({"population": 100, "flags": rows}) == sentence


@pytest.mark.parametrize(
    ("count", "people", "words"),
    [
        (0, 10, "nobody"),
        (10, 10, "everybody"),
        (1, 3, "33 %"),
        (1, 100_000, "1 of 100,000 people"),
        (25, 100_000, "0.03 %"),
        (99_999, 100_000, "99.9 %"),
        (15, 1_000, "1.5 %"),
        (1_000, 100_000, "1 %"),
    ],
)
def test_share__never_says_nobody_or_everybody_too_early(count: int, people: int, words: str) -> None:
    assert share(count, people) == words


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("user-123454f", "user-…4f"),
        ("anna.smith@example.com", "…om"),
        ("user-4f", "user-…"),
        ("short", "…"),
        ("", "no key"),
        (None, "no key"),
        ("company:Bau & Söhné", "company:…"),
    ],
)
def test_masked__shows_the_kind_and_two_characters(key: object, shown: str) -> None:
    assert masked(key) == shown
