"""A change is judged together with everything else that its environment serves."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audits.errors import GovernanceError
from flags.authority import DirectEdit
from flags.changes import ChangeSet, ConfigEdit, SegmentEdit
from flags.documents import initial_document
from flags.errors import InvalidDocument
from flags.models import FlagConfig, Segment
from flags.services.configs import AppliedChange, apply_change_set, validate_change_set
from flags.services.tickets import governed_write
from tests.factories import NOW, World, actor_of, make_world

pytestmark = pytest.mark.django_db

GOLD = {"attribute": "plan", "operator": "equals", "value": "gold"}
BLUE = {"name": "blue", "value": True, "description": ""}


@pytest.fixture
def world() -> World:
    return make_world()


def needing(key: str, parent: str, *variants: str) -> dict[str, Any]:
    prerequisites = [{"flag": parent, "variants": list(variants or ["on"])}]
    return initial_document(key, "boolean") | {"prerequisites": prerequisites}


def with_blue(key: str) -> dict[str, Any]:
    document = initial_document(key, "boolean")
    return document | {"variants": [*document["variants"], BLUE]}


def segment(*inner: str) -> dict[str, Any]:
    return {"schema": 1, "condition": {"and": [GOLD, *({"segment": key} for key in inner)]}}


def change(world: World, **documents: dict[str, Any]) -> ChangeSet:
    """One edit per document; those with a condition are segments."""
    edits: list[ConfigEdit | SegmentEdit] = []
    for name, document in documents.items():
        if "condition" in document:
            row = Segment.objects.filter(environment=world.development, key=name).first()
            edits.append(SegmentEdit(name, name, row.version if row else 0, document))
        else:
            config = FlagConfig.objects.filter(environment=world.development, flag__key=name).first()
            edits.append(ConfigEdit(name, config.version if config else 0, document))
    return ChangeSet(str(world.development.pk), tuple(edits))


def apply(world: World, change_set: ChangeSet) -> AppliedChange:
    return apply_change_set(change_set, actor=actor_of(world.rita), authority=DirectEdit(), now=NOW, reason="Test")


def refused(world: World, change_set: ChangeSet) -> list[dict[str, str]]:
    """The problems, which are the same for a request and for an apply."""
    with pytest.raises(InvalidDocument) as requested:
        validate_change_set(change_set, world.development)
    with pytest.raises(InvalidDocument) as applied:
        apply(world, change_set)
    assert requested.value.facts == applied.value.facts
    problems: list[dict[str, str]] = applied.value.facts["problems"]
    return problems


def test_prerequisite__on_flag_that_is_not_set_up__is_refused_until_it_is(world: World) -> None:
    world.flag("child")

    (problem,) = refused(world, change(world, child=needing("child", "parent")))
    assert (problem["key"], problem["path"]) == ("child", "prerequisites[0].flag")

    world.flag("parent")
    apply(world, change(world, child=needing("child", "parent")))


def test_prerequisite__on_flag_set_up_in_the_same_change__is_accepted(world: World) -> None:
    world.flag("child")
    world.flag("parent")
    documents = (needing("child", "parent"), initial_document("parent", "boolean"))
    child, parent = (ConfigEdit(key, 0, new) for key, new in zip(("child", "parent"), documents, strict=True))

    with pytest.raises(InvalidDocument, match="not set up in this environment"):
        validate_change_set(ChangeSet(str(world.production.pk), (child,)), world.production)

    assert validate_change_set(ChangeSet(str(world.production.pk), (child, parent)), world.production).edits


def test_prerequisite__circle_closed_by_either_member__names_the_way_round(world: World) -> None:
    for key in "abc":
        world.flag(key)
    apply(world, change(world, a=needing("a", "b")))
    apply(world, change(world, b=needing("b", "c")))

    (problem,) = refused(world, change(world, c=needing("c", "a")))

    assert (problem["key"], problem["path"]) == ("c", "prerequisites[0].flag")
    assert "a -> b -> c -> a" in problem["message"]
    assert refused(world, change(world, c=needing("c", "c")))[0]["message"].startswith("Flags need each other")


def test_parent__variant_that_children_need_goes__is_refused_with_their_names(world: World) -> None:
    for key in ("parent", "child", "other", "third"):
        world.flag(key)
    apply(world, change(world, parent=with_blue("parent")))
    apply(world, change(world, child=needing("child", "parent", "blue"), other=needing("other", "parent", "on")))
    apply(world, change(world, third=needing("third", "parent", "off", "blue")))
    smaller = initial_document("parent", "boolean")

    problems = refused(world, change(world, parent=smaller))

    assert [(problem["key"], problem["path"]) for problem in problems] == [
        ("child", "prerequisites[0].variants[0]"),
        ("third", "prerequisites[0].variants[1]"),
    ]
    with pytest.raises(InvalidDocument, match=r"“child” needs “parent” to serve “blue”.* Problems also with: third\."):
        apply(world, change(world, parent=smaller))
    on = {"child": needing("child", "parent", "on"), "third": needing("third", "parent", "off")}
    apply(world, change(world, parent=smaller, **on))


def test_segment__nested_and_in_circles__is_judged_as_one_state(world: World) -> None:
    (problem,) = refused(world, change(world, a=segment("b")))
    assert (problem["key"], problem["path"]) == ("a", "condition.and[1].segment")

    apply(world, change(world, a=segment("b"), b=segment()))
    (problem,) = refused(world, change(world, b=segment("a")))
    assert problem["key"] == "b"
    assert "circle" in problem["message"]


def test_segment__nested_deeper_by_an_inner_one__names_the_outermost(world: World) -> None:
    chain = {f"s{n}": segment(f"s{n + 1}") for n in range(1, 8)} | {"s8": segment()}
    apply(world, change(world, **chain))

    (problem,) = refused(world, change(world, s8=segment("s9"), s9=segment()))

    assert problem["key"] == "s1"
    assert "9 deep" in problem["message"]


def test_broken_already__any_other_edit__goes_through(world: World) -> None:
    for key in ("child", "parent", "bystander"):
        world.flag(key)
    row = FlagConfig.objects.get(flag__key="child", environment=world.development)
    with governed_write(world.development.pk):
        FlagConfig.objects.filter(pk=row.pk).update(document=needing("child", "gone"))

    apply(world, change(world, bystander=needing("bystander", "parent")))
    apply(world, change(world, child=needing("child", "gone") | {"enabled": False}))

    row.refresh_from_db()
    assert row.document["enabled"] is False


def test_environment__with_many_flags__costs_two_queries_more_than_a_segment(world: World) -> None:
    for key in ("parent", "child", *(f"flag-{number}" for number in range(5))):
        world.flag(key)
    apply(world, change(world, child=needing("child", "parent")))
    for number in range(5):
        apply(world, change(world, **{f"flag-{number}": needing(f"flag-{number}", "child", "off")}))
    for change_set, most in (
        (change(world, a=segment()), 1),
        (change(world, parent=initial_document("parent", "boolean")), 4),
        (change(world, **{"flag-1": initial_document("flag-1", "boolean")}), 5),
    ):
        with CaptureQueriesContext(connection) as queries:
            validate_change_set(change_set, world.development)
        assert len(queries) == most, [query["sql"][:80] for query in queries]


@pytest.mark.django_db(transaction=True)
def test_race__two_changes_that_make_a_circle_together__one_is_refused() -> None:
    world = make_world()
    for key in "ab":
        world.flag(key)
    for round_number in range(10):
        line = threading.Barrier(2)

        def close(key: str, parent: str, line: threading.Barrier = line) -> Any:
            change_set = change(world, **{key: needing(key, parent)})
            line.wait(timeout=60)
            try:
                return apply(world, change_set)
            except GovernanceError as error:
                return error
            finally:
                connection.close()

        with ThreadPoolExecutor(2) as pool:
            results = list(pool.map(close, "ab", "ba"))
        assert sorted(type(result).__name__ for result in results) == ["AppliedChange", "InvalidDocument"], round_number
        plain = {key: initial_document(key, "boolean") | {"salt": f"{round_number}/"} for key in "ab"}
        apply(world, change(world, **plain))


def wide(comparisons: int, *inner: str) -> dict[str, Any]:
    return {"schema": 1, "condition": {"or": [*[GOLD] * comparisons, *({"segment": key} for key in inner)]}}


def asking(key: str, *segments: str, rules: int) -> dict[str, Any]:
    condition = {"or": [{"segment": name} for name in segments]}
    rule = {"description": "", "condition": condition, "serve": {"variant": "on"}}
    return initial_document(key, "boolean") | {"rules": [{**rule, "id": f"r{number}"} for number in range(rules)]}


def test_flag__that_asks_too_much_through_segments__is_refused_whichever_side_grows(world: World) -> None:
    world.flag("greedy")
    world.flag("modest")
    apply(world, change(world, inner=wide(10), outer=wide(0, *["inner"] * 40)))
    apply(world, change(world, greedy=asking("greedy", "outer", rules=40), modest=asking("modest", "inner", rules=2)))

    more_rules = refused(world, change(world, greedy=asking("greedy", "outer", rules=60)))
    wider_segment = refused(world, change(world, inner=wide(13)))
    new_one_inside = refused(world, change(world, inner=wide(9, "new"), new=wide(5)))

    for problems in (more_rules, wider_segment, new_one_inside):
        assert [(problem["key"], problem["path"]) for problem in problems] == [("greedy", "rules")]
    apply(world, change(world, inner=wide(12)))


def test_flag__that_asks_too_much_already__may_be_edited_but_not_grow(world: World, monkeypatch: Any) -> None:
    for key in ("greedy", "bystander"):
        world.flag(key)
    apply(world, change(world, inner=wide(10), other=wide(3)))
    apply(world, change(world, greedy=asking("greedy", "inner", rules=50)))
    monkeypatch.setattr("flags.documents.references.MAX_REACHED_COMPARISONS", 100)

    refused(world, change(world, greedy=asking("greedy", "inner", rules=51)))
    refused(world, change(world, inner=wide(11)))

    apply(world, change(world, bystander=asking("bystander", "other", rules=2)))
    apply(world, change(world, other=wide(4)))
    apply(world, change(world, greedy=asking("greedy", "inner", rules=50) | {"enabled": False}))
    apply(world, change(world, greedy=asking("greedy", "inner", rules=49)))
    apply(world, change(world, inner=wide(9)))


def test_segments__more_than_possible_already__may_be_edited_but_not_added(world: World, monkeypatch: Any) -> None:
    apply(world, change(world, a=segment(), b=segment()))
    apply(world, change(world, c=segment()))
    monkeypatch.setattr("flags.documents.references.MAX_SEGMENTS", 2)

    (problem,) = refused(world, change(world, d=segment()))

    assert problem["key"] == "d"
    apply(world, change(world, a=segment("b")))


def test_segment__in_use_that_grows__costs_one_query(world: World) -> None:
    for number in range(5):
        world.flag(f"flag-{number}")
    apply(world, change(world, a=wide(2)))
    apply(world, change(world, **{f"flag-{number}": asking(f"flag-{number}", "a", rules=1) for number in range(5)}))
    for change_set, most in ((change(world, a=wide(3)), 2), (change(world, a=wide(1)), 1)):
        with CaptureQueriesContext(connection) as queries:
            validate_change_set(change_set, world.development)
        assert len(queries) == most
