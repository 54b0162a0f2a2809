"""Definitions as change requests: what is created, what is proposed, and that nothing is half done."""

import json
from typing import Any

import pytest

from audits.models import AuditEvent
from flags.documents import initial_document
from flags.errors import InvalidInput, PermissionMissing
from flags.interop import Grade, export_definition
from flags.models import Flag, FlagConfig
from flags.snapshots import build
from rollouts.models import ChangeRequest
from rollouts.services.checks import MOST_EDITS
from rollouts.services.imports import plan_import, propose_import
from rollouts.transitions import RequestState
from tests.factories import NOW, World, actor_of, make_world, percent_document
from tests.rollouts.flagd_definitions import DEFINITION, FLAGS, flag

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> World:
    made = make_world()
    made.flag()
    return made


def propose(world: World, definition: bytes = DEFINITION, **fields: Any) -> ChangeRequest:
    given = {"keys": None, "actor": actor_of(world.rita), "title": "", "reason": "", "now": NOW, **fields}
    return propose_import(given.pop("environment", world.production), definition, **given)


def test_plan__every_grade__says_what_would_happen_and_changes_nothing(world: World):
    events = AuditEvent.objects.count()

    plan = plan_import(world.production, DEFINITION)

    assert [(item.imported.key, item.imported.grade, item.is_new, item.is_proposable) for item in plan.flags] == [
        ("checkout-redesign", Grade.EXACT, False, True),
        ("new-search", Grade.ADAPTED, True, True),
        ("dark-mode", Grade.UNSUPPORTED, True, False),
    ]
    assert plan.report.flag_set == "legacy"
    assert (AuditEvent.objects.count(), Flag.objects.count()) == (events, 1)


def test_propose__protected_environment__makes_a_draft_and_serves_nothing_new(world: World):
    request = propose(world)

    assert request.state == RequestState.DRAFT.value
    assert request.title == "Take over 2 flags from a flagd definition"
    assert [edit.flag_key for edit in request.content.edits] == ["checkout-redesign", "new-search"]  # type: ignore[union-attr]
    assert not FlagConfig.objects.filter(environment=world.production).exists()
    created = Flag.objects.get(key="new-search")
    assert (created.name, created.value_type) == ("new search", "boolean")
    in_development = FlagConfig.objects.get(flag=created, environment=world.development)
    assert in_development.document["enabled"] is False


def test_propose__unprotected_environment__is_a_draft_on_top_of_the_new_config(world: World):
    request = propose(world, environment=world.development)

    assert [edit.base_version for edit in request.content.edits] == [1, 1]
    assert FlagConfig.objects.get(flag__key="new-search", environment=world.development).version == 1


def test_propose__chosen_keys__are_the_only_ones(world: World):
    request = propose(world, keys=["checkout-redesign"])

    assert len(request.content.edits) == 1
    assert not Flag.objects.filter(key="new-search").exists()


def test_propose__own_export__has_nothing_to_take_over(world: World):
    document = {**percent_document("checkout-redesign", 20), "off_variant": None}
    document["rules"][0]["id"] = "r1"
    world.serve(world.flags["checkout-redesign"], world.production, document)
    definition = json.dumps(export_definition(build(world.production.pk)).document)

    assert plan_import(world.production, definition).proposable == ()
    with pytest.raises(InvalidInput, match="nothing to take over"):
        propose(world, definition.encode())


def test_propose__live_words_and_visibility__are_kept(world: World):
    document = {**initial_document("checkout-redesign", "boolean"), "enabled": True, "client_visible": True}
    document["variants"][0]["description"] = "The new checkout"
    world.serve(world.flags["checkout-redesign"], world.production, document)

    request = propose(world, keys=["checkout-redesign"])

    (edit,) = request.content.edits
    assert edit.document["client_visible"] is True
    assert edit.document["variants"][0]["description"] == "The new checkout"


@pytest.mark.parametrize("person", ["vera", "otto", "abel"])
def test_propose__without_the_role_editor__is_refused_and_nothing_is_created(person: str, world: World):
    with pytest.raises(PermissionMissing):
        propose(world, actor=actor_of(getattr(world, person)))

    assert Flag.objects.count() == 1
    assert not ChangeRequest.objects.exists()


@pytest.mark.parametrize(
    ("definition", "keys", "words"),
    [
        (b"{", None, "no JSON"),
        (DEFINITION, [], "nothing to take over"),
        (DEFINITION, ["dark-mode"], "nothing to take over"),
        (DEFINITION, ["gone"], "has no flag “gone”"),
        (json.dumps({"flags": {f"f{n}": flag() for n in range(MOST_EDITS + 1)}}).encode(), None, "Choose fewer"),
    ],
    ids=["broken", "none", "unsupported", "unknown", "too-many"],
)
def test_propose__nothing_usable__is_refused_and_nothing_is_created(
    definition: bytes, keys: list[str] | None, words: str, world: World
):
    with pytest.raises(InvalidInput, match=words):
        propose(world, definition, keys=keys)

    assert Flag.objects.count() == 1


def test_propose__request_is_refused__leaves_no_flag_behind(world: World):
    """The flags are created first; a title that cannot be used comes to light after that."""
    with pytest.raises(InvalidInput):
        propose(world, title="two\nlines")

    assert [item.key for item in Flag.objects.all()] == ["checkout-redesign"]
    assert not AuditEvent.objects.filter(target_label__contains="new-search").exists()


def test_propose__prerequisites_among_the_flags__are_proposed_together(world: World):
    parent = {"if": [{"===": [{"var": "plan"}, "gold"]}, "on", "off"]}
    flags = {
        "parent": flag({"if": [{"===": [{"var": "plan"}, "gold"]}, "on", None]}),
        "child": flag({"if": [{"!": [{"and": [{"===": [parent, "on"]}]}]}, "off", None]}, defaultVariant="on"),
    }

    request = propose(world, json.dumps({"flags": flags}).encode())

    by_key = {edit.flag_key: edit.document for edit in request.content.edits}  # type: ignore[union-attr]
    assert by_key["child"]["prerequisites"] == [{"flag": "parent", "variants": ["on"]}]
    assert set(FLAGS) & set(by_key) == set()
