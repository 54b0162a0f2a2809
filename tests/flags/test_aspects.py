"""Aspects: what is compared between environments and what is copied from one to the other."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flags.aspects import Aspect, aspect_of, copied, differing
from flags.changes import diff_configs, document_digest
from flags.documents import normalise_config
from tests.factories import percent_document
from tests.flags.strategies import config_documents

Json = dict[str, Any]
PLAIN = percent_document("f", 5)
RULE = PLAIN["rules"][0]


ENDS = {"deprecated_at": "2027-03-03T09:00:00Z"}


def document(**fields: Any) -> Json:
    return normalise_config({**PLAIN, **fields})


CASES: dict[str, tuple[Json, Json, tuple[Aspect, ...]]] = {
    "the same": (document(), document(), ()),
    "the switch": (document(), document(enabled=False), (Aspect.ON,)),
    "true is not 1": (
        document(variants=[{"name": "on", "value": True}, {"name": "off", "value": False}]),
        document(variants=[{"name": "on", "value": 1}, {"name": "off", "value": False}]),
        (Aspect.VARIANTS,),
    ),
    "variants in another order": (document(), document(variants=PLAIN["variants"][::-1]), ()),
    "what OFF means": (document(), document(off_variant="on"), (Aspect.DEFAULT,)),
    "a share": (document(), document(rules=percent_document("f", 6)["rules"]), (Aspect.RULES,)),
    "another id and description": (document(), document(rules=[{**RULE, "id": "x", "description": "All"}]), ()),
    "targets in another order": (
        document(targets=[{"variant": "on", "keys": ["a", "b"]}]),
        document(targets=[{"variant": "on", "keys": ["b", "a"]}]),
        (),
    ),
    "no targets": (document(targets=[{"variant": "on", "keys": ["a"]}]), document(), (Aspect.TARGETS,)),
    "a prerequisite": (
        document(), document(prerequisites=[{"flag": "p", "variants": ["on"]}]), (Aspect.PREREQUISITES,)),
    "said and unsaid": (document(client_visible=False), document(), ()),
    "visible": (document(client_visible=True), document(), (Aspect.VISIBILITY,)),
    "an end": (document(deprecation=ENDS), document(), (Aspect.DEPRECATION,)),
    "another date of an end": (
        document(deprecation=ENDS), document(deprecation={**ENDS, "sunset_at": "2027-06-01T00:00:00Z"}),
        (Aspect.DEPRECATION,)),
    "salt and switch": (document(salt="x"), document(enabled=False), (Aspect.ON, Aspect.SALT)),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_differing__both_ways(case: str) -> None:
    one, other, expected = CASES[case]

    assert differing(one, other) == expected
    assert differing(other, one) == expected


@pytest.mark.parametrize(
    ("path", "aspect"),
    [
        ("rules.r1", Aspect.RULES),
        ("deprecation.withdrawal", Aspect.DEPRECATION),
        ("targets.on", Aspect.TARGETS),
        ("enabled", Aspect.ON),
        ("", None),
    ],
)
def test_aspect_of__path(path: str, aspect: Aspect | None) -> None:
    assert aspect_of(path) is aspect


def test_is_usual__all_but_the_end__is_copied_unless_left_out() -> None:
    assert [aspect for aspect in Aspect if not aspect.is_usual] == [Aspect.DEPRECATION]
    assert "deprecation" not in copied(document(deprecation=ENDS), None, {a for a in Aspect if a.is_usual})


@settings(max_examples=25)
@given(config_documents(endings=True), config_documents(endings=True), st.sets(st.sampled_from(Aspect)))
def test_copied__only_the_chosen_aspects(source: Json, target: Json, chosen: set[Aspect]) -> None:
    result = copied(source, target, chosen)

    assert not set(differing(result, source)) & chosen
    assert set(differing(result, target)) <= chosen


@settings(max_examples=25)
@given(config_documents(endings=True), config_documents(endings=True))
def test_copied__everything__is_the_source(source: Json, target: Json) -> None:
    result = copied(source, target, set(Aspect))

    assert document_digest(result) == document_digest(normalise_config(source))
    assert {aspect_of(item.path) for item in diff_configs(target, result)} <= {*Aspect, None}


@settings(max_examples=25)
@given(config_documents(endings=True), st.sets(st.sampled_from(Aspect)))
def test_copied__where_nothing_is_set_up__stays_off_unless_chosen(source: Json, chosen: set[Aspect]) -> None:
    result = copied(source, None, chosen)

    assert result["enabled"] is (source["enabled"] if Aspect.ON in chosen else False)
    assert Aspect.VARIANTS not in differing(result, source)
    assert result["rules"] == (normalise_config(source)["rules"] if Aspect.RULES in chosen else [])
