"""Two changes of the same document: what is put together, and what is named as a conflict."""

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from audits.integrity import canonical_json
from flags.documents import validate_config
from flags.merging import Conflict, merge_documents
from tests.factories import percent_document
from tests.flags.strategies import SEGMENT_KEYS, config_documents, segment_documents

Json = dict[str, Any]


def rule(name: str, variant: str = "on") -> Json:
    return {"id": name, "description": "", "condition": None, "serve": {"variant": variant}}


def document(*rules: Json, **fields: Any) -> Json:
    return {**percent_document("f", 5), "rules": list(rules), **fields}


def targets(**keys: list[str]) -> list[Json]:
    return [{"variant": variant, "keys": names} for variant, names in keys.items()]


def needing(*variants: str) -> Json:
    return {"prerequisites": [{"flag": "p", "variants": list(variants)}]}


def ids(merged: Json) -> list[str]:
    return [item["id"] for item in merged["rules"]]


ENDS = {"deprecated_at": "2027-03-03T09:00:00Z"}
WITHDRAWN = {**ENDS, "withdrawal": {"weight": 100_000, "serves": "on"}}
ONLY_OFF = [variant for variant in document()["variants"] if variant["name"] == "off"]
A, B, Z = rule("a"), rule("b"), rule("z")

# What base, ours and theirs hold, what comes out, and the paths of the conflicts.
CASES: dict[str, tuple[Json, Json, Json, Json, list[str]]] = {
    "different parts are both kept": (
        document(A), document(A, Z), document(A, enabled=False), document(A, Z, enabled=False), []),
    "an end and a rule": (
        document(A), document(A, Z), document(A, deprecation=ENDS), document(A, Z, deprecation=ENDS), []),
    "an end, two ways": (
        document(A), document(A, deprecation=ENDS), document(A, deprecation={**ENDS, "successor": "new"}),
        document(A, deprecation=ENDS), ["deprecation"]),
    "an end taken back by them": (
        document(A, deprecation=ENDS), document(A, Z, deprecation=ENDS), document(A), document(A, Z), []),
    "a variant that a withdrawal serves": (
        document(rule("a", "off"), off_variant="off", default_variant="off"),
        document(rule("a", "off"), off_variant="off", default_variant="off", variants=ONLY_OFF),
        document(rule("a", "off"), off_variant="off", default_variant="off", deprecation=WITHDRAWN),
        document(rule("a", "off"), off_variant="off", default_variant="off", deprecation=WITHDRAWN),
        ["variants.on"]),
    "both alike": (document(A), document(B), document(B), document(B), []),
    "one switch, two ways": (
        document(default_variant="off"), document(default_variant="on"), document(default_variant=None),
        document(default_variant="on"), ["default_variant"]),
    "same rule changed by both": (
        document(A), document(rule("a", "off")), document({**A, "condition": {"segment": "s"}}),
        document(rule("a", "off")), ["rules.a"]),
    "rules added at different places": (
        document(A, Z), document(rule("o"), A, Z), document(A, rule("t"), Z),
        document(rule("o"), A, rule("t"), Z), []),
    "rules added at the same place": (
        document(A), document(A, rule("o")), document(A, rule("t")), document(A, rule("o"), rule("t")), ["rules"]),
    "same rule added by both": (document(A), document(A, B), document(A, B), document(A, B), []),
    "rules of one id added by both": (
        document(), document(rule("r1", "on")), document(rule("r1", "off")), document(rule("r1", "on")), ["rules.r1"]),
    "removed by them, untouched by us": (document(A, B), document(A, B, Z), document(B), document(B, Z), []),
    "removed by them, changed by us": (
        document(A), document(rule("a", "off")), document(), document(rule("a", "off")), ["rules.a"]),
    "removed by us, changed by them": (document(A), document(), document(rule("a", "off")), document(), ["rules.a"]),
    "moved by us, one added by them": (
        document(A, B), document(B, A), document(A, rule("new"), B), document(B, A, rule("new")), []),
    "moved by them, one added by us": (
        document(A, B), document(A, rule("new"), B), document(B, A), document(B, A, rule("new")), []),
    "moved by both alike": (document(A, B), document(B, A), document(B, A), document(B, A), []),
    "moved by both, two ways": (
        document(A, B, Z), document(B, A, Z), document(A, Z, B), document(B, A, Z), ["rules"]),
    "targets of different keys": (
        document(targets=targets(on=["a", "b"])), document(targets=targets(on=["a", "b", "o"])),
        document(targets=targets(on=["a"], off=["t"])), document(targets=targets(on=["a", "o"], off=["t"])), []),
    "one target, two ways": (
        document(targets=targets(on=["a"])), document(), document(targets=targets(off=["a"])), document(), ["targets"]),
    "fields that only they added": (
        document(), document(A), document(**needing("on"), client_visible=True),
        document(A, **needing("on"), client_visible=True), []),
    "fields that only they took away": (
        document(**needing("on"), client_visible=True, targets=targets(on=["a"])),
        document(**needing("on"), client_visible=True, targets=targets(on=["a"]), enabled=False),
        document(), document(enabled=False), []),
    "prerequisite changed by both": (
        document(**needing("x")), document(**needing("y")), document(**needing("z")), document(**needing("y")),
        ["prerequisites.p"]),
    "segment": (
        {"schema": 1, "condition": {"segment": "a"}}, {"schema": 1, "condition": {"segment": "b"}},
        {"schema": 1, "condition": {"segment": "c"}}, {"schema": 1, "condition": {"segment": "b"}}, ["condition"]),
    "set up by both": (
        {}, document(A), document(A, enabled=False), document(A), ["enabled"]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_merge__table(case: tuple[Json, Json, Json, Json, list[str]]) -> None:
    base, ours, theirs, expected, paths = case

    merge = merge_documents(base, ours, theirs)

    assert canonical_json(merge.document) == canonical_json(expected)
    assert [conflict.path for conflict in merge.conflicts] == paths


def without(name: str, source: Json) -> Json:
    return {**source, "variants": [variant for variant in source["variants"] if variant["name"] != name]}


def with_blue(source: Json) -> Json:
    return {**source, "variants": [*source["variants"], {"name": "blue", "value": True, "description": ""}]}


@pytest.mark.parametrize(
    "serving",
    [
        document(rule("a", "blue")),
        document(default_variant="blue"),
        document(off_variant="blue"),
        document(targets=targets(blue=["a"])),
        document({**A, "serve": {"split": [{"variant": "blue", "weight": 1}, {"variant": "on", "weight": 99_999}]}}),
    ],
)
def test_merge__variant_one_side_removes_and_the_other_serves__stays_and_is_named(serving: Json) -> None:
    base, removed = with_blue(document()), document()

    for ours, theirs in ((with_blue(serving), removed), (removed, with_blue(serving))):
        merge = merge_documents(base, ours, theirs)

        assert [conflict.path for conflict in merge.conflicts] == ["variants.blue"]
        assert validate_config(merge.document, value_type="boolean", segment_keys=()) == []


@pytest.mark.parametrize("case", [case for case in CASES.values() if case[4]])
def test_merge__conflict_decided_for_their_side__theirs_is_in(case: tuple[Json, Json, Json, Json, list[str]]) -> None:
    base, ours, theirs, _, paths = case

    decided = merge_documents(base, ours, theirs, take_theirs=paths)
    swapped = merge_documents(base, theirs, ours)

    assert canonical_json(decided.document) == canonical_json(swapped.document)
    assert [conflict.path for conflict in decided.conflicts] == paths


def test_conflict__both_sides_and_the_base__are_shown():
    base, ours, theirs = document(A), document(rule("a", "off")), document()

    assert merge_documents(base, ours, theirs).conflicts == (Conflict("rules.a", A, rule("a", "off"), None),)


KEYS = [f"k{number}" for number in range(5)]


@pytest.mark.parametrize(
    ("conflict", "words"),
    [
        (Conflict("enabled", True, False, None), "the switch"),
        (Conflict("rules.a", None, A, None), "the rule “a”"),
        (Conflict("rules.a", None, {**A, "description": "Staff"}, None), "the rule “Staff”"),
        (Conflict("rules.a", A, None, {**A, "description": "Staff"}), "the rule “Staff”"),
        (Conflict("variants.x.y", None, None, {"name": "x.y"}), "the variant “x.y”"),
        (Conflict("prerequisites.p", None, {"flag": "p"}, None), "the prerequisite “p”"),
        (Conflict("rules", ["a"], ["a", "b"], ["a", "c"]), "the order of the rules"),
        (Conflict("targets", {}, {"a": "on"}, {"a": "off"}), "the individual target “a”"),
        (
            Conflict("targets", {}, dict.fromkeys(KEYS, "on"), {}),
            "the individual targets “k0”, “k1”, “k2” and 2 more",
        ),
    ],
)
def test_conflict__words__name_what_is_disputed(conflict: Conflict, words: str) -> None:
    assert conflict.words == words


_ALIKE = [(1, True), (0, False), (1, 1.0), ([1], [True])]


def _asking_for(value: Any) -> Json:
    operator = "in" if isinstance(value, list) else "equals"
    return document({**A, "condition": {"attribute": "beta", "operator": operator, "value": value}})


def _with_value(value: Any) -> Json:
    base = document()
    return {**base, "variants": [{**base["variants"][0], "value": {"limit": value}}, *base["variants"][1:]]}


@pytest.mark.parametrize(("before", "after"), [*_ALIKE, *(pair[::-1] for pair in _ALIKE)])
@pytest.mark.parametrize("build", [_asking_for, _with_value])
def test_merge__values_that_only_python_takes_for_equal__are_changes(build: Any, before: Any, after: Any) -> None:
    base, changed = build(before), build(after)
    elsewhere = {**base, "client_visible": True}
    both = canonical_json({**changed, "client_visible": True})

    for merge in (merge_documents(base, elsewhere, changed), merge_documents(base, changed, elsewhere)):
        assert (canonical_json(merge.document), merge.conflicts) == (both, ())


NAMES = st.lists(st.sampled_from("abcdef"), unique=True)


@given(base=NAMES, ours=NAMES, theirs=NAMES)
def test_merge__any_three_lists_of_rules__loses_and_doubles_nothing(base, ours, theirs):
    merge = merge_documents(*(document(*map(rule, names)) for names in (base, ours, theirs)))

    kept = {name for name in {*ours, *theirs} if (name in ours and name in theirs) or name not in base}
    assert sorted(ids(merge.document)) == sorted(kept)
    if not merge.conflicts:
        # Without a conflict nobody's own order of what is his is turned around, if the other left it alone.
        for side, other in ((ours, theirs), (theirs, ours)):
            if [name for name in other if name in base] == [name for name in base if name in other]:
                assert [name for name in ids(merge.document) if name in side] == [name for name in side if name in kept]


TARGETED = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["on", "off", "maybe"]))


def targeting(named: dict[str, str]) -> Json:
    keys: dict[str, list[str]] = {}
    for key, variant in named.items():
        keys.setdefault(variant, []).append(key)
    return document(targets=targets(**keys)) if keys else document()


@given(base=TARGETED, ours=TARGETED, theirs=TARGETED)
def test_merge__any_three_targetings__each_key_is_where_one_of_them_put_it(base, ours, theirs):
    merge = merge_documents(targeting(base), targeting(ours), targeting(theirs))

    placed = {key: entry["variant"] for entry in merge.document.get("targets", []) for key in entry["keys"]}
    every = {**base, **ours, **theirs}
    expected = {key: theirs.get(key) if ours.get(key) == base.get(key) else ours.get(key) for key in every}
    assert placed == {key: variant for key, variant in expected.items() if variant}
    assert ("targets" in {conflict.path for conflict in merge.conflicts}) == any(
        ours.get(key) != theirs.get(key) and base.get(key) not in (ours.get(key), theirs.get(key)) for key in every
    )


DOCUMENTS = config_documents("string", endings=True)


def unordered(document: Json) -> bytes:
    """A document without the orders that change nobody's answer."""
    by_name = {
        "variants": sorted(document["variants"], key=lambda item: item["name"]),
        "prerequisites": sorted(document.get("prerequisites", []), key=lambda item: item["flag"]),
        "targets": {item["variant"]: sorted(item["keys"]) for item in document.get("targets", [])},
    }
    return canonical_json({**document, **by_name})


@given(base=DOCUMENTS, other=DOCUMENTS)
def test_merge__only_one_side_changed__is_that_side(base: Json, other: Json) -> None:
    for merge in (merge_documents(base, other, base), merge_documents(base, base, other)):
        assert (canonical_json(merge.document), merge.conflicts) == (canonical_json(other), ())


@given(base=DOCUMENTS, ours=DOCUMENTS, theirs=DOCUMENTS)
def test_merge__sides_swapped__conflicts_as_well_or_the_same_result(base: Json, ours: Json, theirs: Json) -> None:
    merge, swapped = merge_documents(base, ours, theirs), merge_documents(base, theirs, ours)

    assert bool(merge.conflicts) == bool(swapped.conflicts)
    if not merge.conflicts:
        assert unordered(merge.document) == unordered(swapped.document)


@st.composite
def edits(draw: st.DrawFn, base: Json) -> Json:
    """A document near `base`: a few of its parts come from another one that is valid beside the rest."""
    other = draw(DOCUMENTS)
    parts = draw(
        st.sets(st.sampled_from(["enabled", "rules", "targets", "prerequisites", "variants", "salt", "deprecation"]))
    )
    edited = {**base, **{name: other[name] for name in parts if name in other}}
    assume(validate_config(edited, value_type="string", segment_keys=SEGMENT_KEYS) == [])
    return edited


@given(data=st.data())
def test_merge__of_valid_documents__is_valid_or_names_conflicts(data: st.DataObject) -> None:
    base = data.draw(DOCUMENTS)
    ours, theirs = data.draw(edits(base)), data.draw(edits(base))

    merge = merge_documents(base, ours, theirs)

    problems = validate_config(merge.document, value_type="string", segment_keys=SEGMENT_KEYS)
    assert merge.conflicts or problems == []


@given(base=segment_documents(), ours=segment_documents(), theirs=segment_documents())
def test_merge__segments__one_condition_or_a_conflict(base: Json, ours: Json, theirs: Json) -> None:
    merge = merge_documents(base, ours, theirs)

    assert merge.document in (ours, theirs)
    assert bool(merge.conflicts) == (len({canonical_json(one) for one in (base, ours, theirs)}) == 3)
