"""The linter's surroundings: what it knows of an environment, and what that costs."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from flags.changes import ChangeSet, ConfigEdit, SegmentEdit
from flags.documents import initial_document, normalise_config
from flags.selectors.lint import findings_for, findings_for_change_set, findings_for_segment
from flags.services.attributes import declare_attribute
from tests.factories import NOW, World, actor_of, make_world

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> World:
    return make_world()


def asking(attribute: str, key: str = "flag", **fields: Any) -> dict[str, Any]:
    condition = {"attribute": attribute, "operator": "equals", "value": "x"}
    rules = [{"id": "r1", "condition": condition, "serve": {"variant": "on"}}]
    return normalise_config(initial_document(key, "boolean") | {"enabled": True, "rules": rules} | fields)


def segment(attribute: str) -> dict[str, Any]:
    return {"schema": 1, "condition": {"attribute": attribute, "operator": "equals", "value": "x"}}


def codes(findings: Any) -> list[str]:
    return [finding.code for finding in findings]


def test_findings_for__attribute_used_by_another_flag_in_another_environment__is_known(world: World) -> None:
    flag, other = world.flag("flag"), world.flag("other")
    document = asking("company")
    world.serve(flag, world.staging, document)
    assert codes(findings_for(flag, world.development, document, now=NOW)) == ["attribute_unknown"]

    world.serve(other, world.staging, asking("company", "other"))

    assert findings_for(flag, world.development, document, now=NOW) == []


def test_findings_for__attribute_of_another_project__is_not_known(world: World) -> None:
    elsewhere = make_world()
    elsewhere.serve(elsewhere.flag("other"), elsewhere.development, asking("company", "other"))
    assert codes(findings_for(world.flag("flag"), world.development, asking("company"), now=NOW)) == [
        "attribute_unknown"
    ]


def test_findings_for__declared_attribute__is_known_with_what_it_grants(world: World) -> None:
    flag = world.flag("flag")
    document = asking("plan", client_visible=True)
    for grants_access, expected in ((True, ["client_forgeable"]), (False, [])):
        declare_attribute(
            world.project.pk,
            actor=actor_of(world.ada),
            name="plan",
            value_type="text",
            grants_access=grants_access,
            now=NOW,
        )
        assert codes(findings_for(flag, world.development, document, now=NOW)) == expected


def test_findings_for__kill_switch__is_judged_as_one(world: World) -> None:
    flag = world.flag("flag", kind="kill_switch")
    document = normalise_config(initial_document("flag", "boolean") | {"off_variant": None})
    assert codes(findings_for(flag, world.development, document, now=NOW)) == ["kill_switch_undecided"]


def test_findings_for_change_set__edits_that_belong_together__are_judged_together(world: World) -> None:
    world.flag("child")
    parent = world.flag("parent")
    child = initial_document("child", "boolean") | {"prerequisites": [{"flag": "parent", "variants": ["on"]}]}
    world.serve(parent, world.development, initial_document("parent", "boolean"))
    edits: list[ConfigEdit | SegmentEdit] = [ConfigEdit("child", 1, child)]
    where = str(world.development.pk)

    ((edit, found),) = findings_for_change_set(ChangeSet(where, tuple(edits)), world.development, now=NOW)
    assert (edit, codes(found)) == (edits[0], ["prerequisite_never_met"])

    edits += [ConfigEdit("parent", 2, asking("plan", "parent")), SegmentEdit("s", "S", 0, segment("plan"))]
    assert findings_for_change_set(ChangeSet(where, tuple(edits)), world.development, now=NOW) == []

    edits[2] = SegmentEdit("s", "S", 0, segment("plam"))
    told = findings_for_change_set(ChangeSet(where, tuple(edits)), world.development, now=NOW)
    assert [(edit, codes(found)) for edit, found in told] == [
        (edits[1], ["attribute_unknown"]),
        (edits[2], ["attribute_unknown"]),
    ]


def test_findings_for_segment__slip__asks_for_the_other_name(world: World) -> None:
    world.serve(world.flag("flag"), world.development, asking("company"))
    (found,) = findings_for_segment("s", world.development, segment("compani"), now=NOW)
    assert (found.code, found.advice) == ("attribute_unknown", "Did you mean “company”?")


@pytest.mark.parametrize("flags", [1, 6])
def test_findings__any_number_of_flags__cost_the_same_queries(flags: int, world: World) -> None:
    rows = [world.flag(f"flag-{number}") for number in range(flags)]
    for row in rows:
        world.serve(row, world.development, asking("plan", row.key))
    plain = normalise_config(initial_document("flag-0", "boolean"))
    edits = tuple(ConfigEdit(row.key, 2, asking("new", row.key)) for row in rows)
    change_set = ChangeSet(str(world.development.pk), edits)
    for act, most in (
        (lambda: findings_for(rows[0], world.development, plain, now=NOW), 3),
        (lambda: findings_for(rows[0], world.development, asking("new"), now=NOW), 5),
        (lambda: findings_for_change_set(change_set, world.development, now=NOW), 6 if flags == 1 else 4),
    ):
        with CaptureQueriesContext(connection) as queries:
            act()
        assert len(queries) == most
