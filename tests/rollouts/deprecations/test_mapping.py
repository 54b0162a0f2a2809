"""Moving people to the successor: everybody gets what was mapped, whoever they are and whatever is asked."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from flags.documents import initial_document, normalise_config, validate_config
from flags.documents.deprecation import with_deprecation
from flags.documents.schema import variant_names
from flags.evaluation import FlagSource, Generation, Snapshot, compile_snapshot
from rollouts.deprecations.codec import InvalidTimeline
from rollouts.deprecations.mapping import successor_document, successor_problems
from tests.flags.evaluation.documents import GOLD, needs, rule, split
from tests.flags.strategies import SEGMENT_KEYS, config_documents, contexts, moments, segment_documents

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
THEIRS = ("fast", "slow", "gold", "ärger")
SUCCESSOR = initial_document("new", "string", [{"name": name, "value": name} for name in THEIRS])
PEOPLE = [{"targetingKey": f"person-{number}"} for number in range(2_000)]
THREE = [{"name": name, "value": name} for name in ("a", "b", "c")]
OLD = initial_document("old", "string", THREE) | {"enabled": True}


def torn(*shares: tuple[str, int]) -> dict[str, Any]:
    return OLD | {"rules": [rule(split(*shares))]}


def answers(
    document: dict[str, Any], value_type: str, asked: list[dict[str, Any]], *, now: datetime, **options: Any
) -> list[str | None]:
    flags = {"old": FlagSource(value_type, document, 1)}
    segments = options.pop("segments", {})
    snapshot = Snapshot("shop", "id", "production", 1, options.pop("generation", Generation.FLAGD_V2), flags, segments)
    compiled = compile_snapshot(snapshot)
    return [compiled.evaluate("old", context, now).variant for context in asked]


def mapped(old: dict[str, Any]) -> st.SearchStrategy[dict[str, str]]:
    return st.fixed_dictionaries({name: st.sampled_from(THEIRS) for name in variant_names(old)})


@st.composite
def moves(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, str]]:
    old = with_deprecation(draw(config_documents("string")), None)
    return {field: part for field, part in old.items() if field != "prerequisites"}, draw(mapped(old))


@settings(max_examples=40)
@given(moves(), st.data())
def test_successor_document__any_flag_and_context__serves_what_was_mapped(
    case: tuple[dict[str, Any], dict[str, str]], data: st.DataObject
) -> None:
    old, mapping = case
    assume(not successor_problems(old, SUCCESSOR, mapping))
    segments = {SEGMENT_KEYS[0]: data.draw(segment_documents())}
    asked = data.draw(st.lists(contexts(), min_size=1, max_size=5))
    options: dict[str, Any] = {"segments": segments, "generation": data.draw(st.sampled_from(Generation))}
    now = data.draw(moments())

    new = successor_document(old, SUCCESSOR, mapping)

    before, after = answers(old, "string", asked, now=now, **options), answers(new, "string", asked, now=now, **options)
    assert after == [None if variant is None else mapping[variant] for variant in before]
    assert validate_config(new, value_type="string", segment_keys=SEGMENT_KEYS) == []
    assert normalise_config(new, value_type="string") == new


@pytest.mark.parametrize("generation", Generation)
@pytest.mark.parametrize("own", [{}, {"salt": "own"}])
@pytest.mark.parametrize(
    ("shares", "mapping"),
    [
        ((("a", 10_000), ("b", 60_000), ("c", 30_000)), {"a": "gold", "b": "slow", "c": "fast"}),
        ((("a", 10_000), ("b", 60_000), ("c", 30_000)), {"a": "slow", "b": "slow", "c": "fast"}),
        ((("c", 50_000), ("b", 0), ("a", 50_000)), {"a": "slow", "b": "fast", "c": "slow"}),
        ((("c", 99_999), ("b", 1)), {"a": "slow", "b": "fast", "c": "slow"}),
    ],
)
def test_successor_document__two_thousand_people__stay_where_they_are(
    shares: tuple[tuple[str, int], ...], mapping: dict[str, str], own: dict[str, Any], generation: Generation
) -> None:
    old = OLD | {"rules": [rule(split(*shares), **own)], "salt": "checkout/"}

    new = successor_document(old, SUCCESSOR, mapping)

    before = answers(old, "string", PEOPLE, now=NOON, generation=generation)
    assert answers(new, "string", PEOPLE, now=NOON, generation=generation) == [mapping[str(name)] for name in before]
    assert len(set(before)) > 1 or 99_999 in dict(shares).values()


def test_successor_document__what_is_its_own__stays() -> None:
    old = OLD | {
        "rules": [rule({"variant": "a"}, GOLD), rule(split(("a", 50_000), ("b", 50_000)))],
        "targets": [{"variant": "a", "keys": ["one"]}, {"variant": "b", "keys": ["two"]}],
        "prerequisites": [needs("search")],
        "deprecation": {"deprecated_at": "2026-01-01T00:00:00Z", "withdrawal": {"weight": 5, "serves": None}},
        "salt": "old-salt",
    }
    theirs = SUCCESSOR | {"client_visible": True, "rules": [rule({"variant": "gold"})], "salt": "new-salt"}

    new = successor_document(old, theirs, {"a": "fast", "b": "fast", "c": "slow"})

    assert new["variants"] == SUCCESSOR["variants"]
    assert new["client_visible"] is True
    assert "deprecation" not in new
    assert (new["salt"], new["prerequisites"]) == ("old-salt", [needs("search")])
    assert [item["serve"] for item in new["rules"]] == [{"variant": "fast"}, split(("fast", 100_000))]
    assert new["targets"] == [{"variant": "fast", "keys": ["one", "two"]}]
    assert theirs["rules"] == [rule({"variant": "gold"})]


@pytest.mark.parametrize(
    ("old", "mapping", "path", "words"),
    [
        (OLD, {"a": "fast", "b": "slow"}, "mapping", "stands for “c”"),
        (OLD, {"a": "fast", "b": "slow", "c": "fast", "d": "fast"}, "mapping.d", "no variant “d”"),
        (OLD, {"a": "fast", "b": "slow", "c": "swift"}, "mapping.c", "The successor has no variant “swift”"),
        (
            torn(("a", 30_000), ("b", 30_000), ("c", 40_000)),
            {"a": "fast", "b": "slow", "c": "fast"},
            "mapping",
            "would become “fast”",
        ),
        (
            OLD | {"prerequisites": [needs("new", "fast")]},
            {"a": "fast", "b": "slow", "c": "gold"},
            "successor",
            "needs its successor “new” itself",
        ),
    ],
)
def test_successor_problems__what_cannot_be_mapped__is_named(
    old: dict[str, Any], mapping: dict[str, str], path: str, words: str
) -> None:
    (found,) = successor_problems(old, SUCCESSOR, mapping, successor="new")

    assert found[0] == path
    assert words in found[1]


def test_successor_document__torn_split__is_refused() -> None:
    old = torn(("a", 30_000), ("b", 30_000), ("c", 40_000))

    with pytest.raises(InvalidTimeline, match="people would change their variant"):
        successor_document(old, SUCCESSOR, {"a": "fast", "b": "slow", "c": "fast"})
