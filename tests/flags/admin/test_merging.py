"""Two people changed the same config: what is put together, and what is named as a clash."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audits.integrity import canonical_json
from flags.admin.merging import merge
from tests.factories import percent_document


def rule(name: str, variant: str = "on") -> dict[str, Any]:
    return {"id": name, "description": "", "condition": None, "serve": {"variant": variant}}


def document(*rules: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {**percent_document("f", 5), "rules": list(rules), **fields}


def test_merge__different_parts__both_are_kept():
    base = percent_document("f", 5)
    theirs = {**base, "enabled": False}
    mine = percent_document("f", 25)

    merged, clashes = merge(base, theirs, mine)

    assert merged == {**percent_document("f", 25), "enabled": False}
    assert clashes == []


def test_merge__same_rule_changed_by_both__mine_stays_and_is_named():
    base, theirs, mine = (percent_document("f", share) for share in (5, 10, 25))

    merged, clashes = merge(base, theirs, mine)

    assert merged == mine
    assert clashes == ["the rule “everyone”"]


def test_merge__both_changed_alike__is_no_clash():
    base, same = percent_document("f", 5), percent_document("f", 25)

    assert merge(base, same, same) == (same, [])


def test_merge__rules_added_by_both__keep_their_neighbours():
    base = document(rule("a"), rule("z"))
    theirs = document(rule("a"), rule("theirs"), rule("z"))
    mine = document(rule("mine"), rule("a"), rule("z"))

    merged, clashes = merge(base, theirs, mine)

    assert [item["id"] for item in merged["rules"]] == ["mine", "a", "theirs", "z"]
    assert clashes == []


def test_merge__removed_by_them_and_untouched_by_me__is_gone():
    base = document(rule("a"), rule("b"))

    merged, clashes = merge(base, document(rule("b")), document(rule("a"), rule("b"), rule("c")))

    assert [item["id"] for item in merged["rules"]] == ["b", "c"]
    assert clashes == []


def test_merge__removed_by_them_and_changed_by_me__stays_and_is_named():
    base = document(rule("a"))

    merged, clashes = merge(base, document(), document(rule("a", "off")))

    assert [item["id"] for item in merged["rules"]] == ["a"]
    assert clashes == ["the rule “a”"]


def test_merge__reordered_by_me__my_order_stays():
    base = document(rule("a"), rule("b"))

    merged, _ = merge(base, document(rule("a"), rule("new"), rule("b")), document(rule("b"), rule("a")))

    assert [item["id"] for item in merged["rules"]] == ["b", "a", "new"]


NAMES = st.lists(st.sampled_from("abcdef"), unique=True)


@given(base=NAMES, theirs=NAMES, mine=NAMES)
def test_merge__any_three_lists__loses_and_doubles_nothing(base, theirs, mine):
    documents = [document(*(rule(name) for name in names)) for names in (base, theirs, mine)]

    merged, _ = merge(*documents)

    found = [item["id"] for item in merged["rules"]]
    kept = {name for name in {*theirs, *mine} if (name in theirs and name in mine) or name not in base}
    assert sorted(found) == sorted(kept)


@given(base=NAMES, mine=NAMES)
def test_merge__nothing_changed_by_them__is_mine(base, mine):
    before, after = document(*map(rule, base)), document(*map(rule, mine))

    merged, clashes = merge(before, before, after)

    assert (merged, clashes) == (after, [])


def targets(**keys: list[str]) -> list[dict[str, Any]]:
    return [{"variant": variant, "keys": names} for variant, names in keys.items()]


def test_merge__targets_named_by_both__are_put_together_key_by_key():
    base = document(targets=targets(on=["a", "b"]))
    theirs = document(targets=targets(on=["a"], off=["t"]))
    mine = document(targets=targets(on=["a", "b", "m"]))

    merged, clashes = merge(base, theirs, mine)

    assert merged["targets"] == targets(on=["a", "m"], off=["t"])
    assert clashes == []


def test_merge__same_key_targeted_elsewhere_by_both__mine_stays_and_is_named():
    base = document(targets=targets(on=["a"]))

    merged, clashes = merge(base, document(targets=targets(off=["a"])), document())

    assert "targets" not in merged
    assert clashes == ["the individual target “a”"]


def test_merge__many_disputed_targets__are_counted():
    keys = [f"k{number}" for number in range(5)]

    _, clashes = merge(document(), document(targets=targets(on=keys)), document(targets=targets(off=keys)))

    assert clashes == ["the individual targets “k0”, “k1”, “k2” and 2 more"]


def test_merge__fields_only_they_added__are_kept():
    needs = [{"flag": "parent", "variants": ["on"]}]

    merged, clashes = merge(document(), document(prerequisites=needs, client_visible=True), document(rule("a")))

    assert (merged["prerequisites"], merged["client_visible"]) == (needs, True)
    assert clashes == []


def test_merge__fields_only_they_took_away__are_gone():
    needs = [{"flag": "parent", "variants": ["on"]}]
    base = document(prerequisites=needs, client_visible=True, targets=targets(on=["a"]))

    merged, clashes = merge(base, document(), {**base, "enabled": False})

    assert merged == {**document(), "enabled": False}
    assert clashes == []


def test_merge__prerequisite_changed_by_both__mine_stays_and_is_named():
    base, theirs, mine = (document(prerequisites=[{"flag": "p", "variants": [v]}]) for v in ("a", "b", "c"))

    merged, clashes = merge(base, theirs, mine)

    assert merged == mine
    assert clashes == ["the prerequisite “p”"]


TARGETED = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["on", "off", "maybe"]))


def targeting(named: dict[str, str]) -> dict[str, Any]:
    keys: dict[str, list[str]] = {}
    for key, variant in named.items():
        keys.setdefault(variant, []).append(key)
    return document(targets=targets(**keys)) if keys else document()


@given(base=TARGETED, theirs=TARGETED, mine=TARGETED)
def test_merge__any_three_targetings__each_key_is_where_one_of_them_put_it(base, theirs, mine):
    merged, clashes = merge(targeting(base), targeting(theirs), targeting(mine))

    placed = {key: entry["variant"] for entry in merged.get("targets", []) for key in entry["keys"]}
    expected = {
        key: theirs.get(key) if mine.get(key) == base.get(key) else mine.get(key) for key in {**base, **theirs, **mine}
    }
    assert placed == {key: variant for key, variant in expected.items() if variant}
    assert bool(clashes) == any(
        len({base.get(key), theirs.get(key), mine.get(key)}) == 3
        or (theirs.get(key) != base.get(key) != mine.get(key) and theirs.get(key) != mine.get(key))
        for key in expected
    )


_ALIKE = [(1, True), (0, False), (1, 1.0), ([1], [True])]


def _asking_for(value: Any) -> dict[str, Any]:
    operator = "in" if isinstance(value, list) else "equals"
    return document({**rule("a"), "condition": {"attribute": "beta", "operator": operator, "value": value}})


def _with_value(value: Any) -> dict[str, Any]:
    base = document()
    return {**base, "variants": [{**base["variants"][0], "value": {"limit": value}}, *base["variants"][1:]]}


@pytest.mark.parametrize(("before", "after"), [*_ALIKE, *(pair[::-1] for pair in _ALIKE)])
@pytest.mark.parametrize("build", [_asking_for, _with_value])
def test_merge__values_that_only_python_takes_for_equal__are_changes(build: Any, before: Any, after: Any) -> None:
    base, changed = build(before), build(after)
    elsewhere = {**base, "client_visible": True}
    both = canonical_json({**changed, "client_visible": True})

    assert [canonical_json(merge(base, elsewhere, changed)[0]), merge(base, elsewhere, changed)[1]] == [both, []]
    assert [canonical_json(merge(base, changed, elsewhere)[0]), merge(base, changed, elsewhere)[1]] == [both, []]


def test_merge__values_that_only_python_takes_for_equal__clash() -> None:
    merged, clashes = merge(_asking_for("x"), _asking_for(1), _asking_for(True))

    assert canonical_json(merged) == canonical_json(_asking_for(True))
    assert clashes == ["the rule “a”"]
