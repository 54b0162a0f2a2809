"""Reading an environment's snapshot."""

import uuid
from typing import Any

import pytest

from flags.documents import initial_document
from flags.models import Environment, EnvironmentToken
from flags.services.configs import edit_segment
from flags.services.tickets import governed_write
from flags.services.tokens import revoke_token
from flags.snapshots import build, building, hash_secret
from flags.snapshots.building import DatabaseSource
from flags.snapshots.sources import EnvironmentUnreadable
from tests.factories import NOW, SOON, actor_of, make_world
from tests.flags.api.plane import DOCUMENTS, Plane

CONDITION = {"attribute": "plan", "operator": "equals", "value": "beta"}


def test_build__environment_with_flags_and_segments__takes_two_queries(plane: Plane, django_assert_num_queries: Any):
    with django_assert_num_queries(2):
        snapshot = build(plane.environment.pk)

    assert list(snapshot.flags) == sorted(DOCUMENTS)
    assert snapshot.project_key == plane.world.project.key
    assert snapshot.environment_key == "production"
    assert snapshot.environment_id == str(plane.environment.pk)
    assert snapshot.revision == Environment.objects.get(pk=plane.environment.pk).revision == len(DOCUMENTS)
    assert snapshot.flags["a-string"].value_type == "string"
    assert snapshot.flags["a-string"].version == 1
    assert (
        snapshot.flags["an-object"].document["variants"][0]["value"]
        == DOCUMENTS["an-object"][1]["variants"][0]["value"]
    )


@pytest.mark.django_db
def test_build__flag_that_is_not_set_up__is_absent():
    world = make_world()
    world.flag("checkout")

    assert build(world.production.pk).flags == {}
    assert list(build(world.development.pk).flags) == ["checkout"]


@pytest.mark.django_db
def test_build__archived_flag__is_left_out():
    world = make_world()
    world.flag("checkout")
    ends = {"deprecated_at": "2025-03-03T09:00:00Z", "is_archived": True}
    search = world.flag("search")
    world.serve(search, world.development, {**initial_document("search", "boolean"), "deprecation": ends})

    assert list(build(world.development.pk).flags) == ["checkout"]


@pytest.mark.django_db
def test_build__segments__are_the_environments_own():
    world = make_world()
    edit_segment(
        world.development.pk,
        actor=actor_of(world.rita),
        key="beta",
        name="Beta",
        document={"schema": 1, "condition": CONDITION},
        base_version=0,
        reason="Test",
        now=NOW,
    )

    assert build(world.development.pk).segments["beta"]["condition"] == CONDITION
    assert build(world.staging.pk).segments == {}


@pytest.mark.django_db
def test_build__change_between_the_two_reads__is_noticed(monkeypatch: pytest.MonkeyPatch):
    world = make_world()
    world.flag("checkout")
    read_segments, moves = building._read_segments, iter([True, False])

    def read_after_a_change(environment_id: uuid.UUID) -> Any:
        if next(moves):
            with governed_write(environment_id):
                Environment.objects.filter(pk=environment_id).update(revision=77)
        return read_segments(environment_id)

    monkeypatch.setattr(building, "_read_segments", read_after_a_change)

    assert build(world.development.pk).revision == 77


@pytest.mark.django_db
def test_build__environment_that_never_settles__is_unreadable(monkeypatch: pytest.MonkeyPatch):
    world = make_world()
    monkeypatch.setattr(building, "_read_segments", lambda environment_id: (-1, {}))

    with pytest.raises(EnvironmentUnreadable):
        build(world.development.pk)


@pytest.mark.django_db
def test_build__environment_that_does_not_exist__is_unreadable():
    with pytest.raises(EnvironmentUnreadable):
        build(uuid.uuid4())


def test_source__each_look__is_one_query(plane: Plane, django_assert_num_queries: Any):
    source = DatabaseSource()

    with django_assert_num_queries(1):
        source.read_token_stamp()
    with django_assert_num_queries(1):
        revisions = source.read_revisions()
    with django_assert_num_queries(1):
        tokens = source.read_tokens()

    assert revisions[plane.environment.pk] == len(DOCUMENTS)
    facts = tokens[hash_secret(plane.secret)]
    assert (facts.scope, facts.environment_key, facts.project_key) == (
        "evaluate",
        "production",
        plane.world.project.key,
    )


def test_token_stamp__revocation_with_an_older_clock__moves(plane: Plane):
    token = plane.issue().token
    plane.issue(name="Newest")
    EnvironmentToken.objects.filter(name="Newest").update(changed_at=SOON)
    before = DatabaseSource().read_token_stamp()

    revoke_token(token.pk, actor=actor_of(plane.world.ada), now=NOW, reason="Lost")

    assert DatabaseSource().read_token_stamp() != before
    assert token.secret_hash not in DatabaseSource().read_tokens()


def test_last_use__older_instant_of_another_process__does_not_win(plane: Plane):
    token = plane.issue().token
    source = DatabaseSource()

    source.write_last_use(token.pk, SOON)
    source.write_last_use(token.pk, NOW)

    assert EnvironmentToken.objects.get(pk=token.pk).last_used_at == SOON
