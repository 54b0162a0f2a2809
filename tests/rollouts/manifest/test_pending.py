"""Requests that a manifest made and people changed since, parts that are refused or wait, and two applies at once."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from audits.actions import Action
from audits.models import AuditEvent
from flags.changes import ChangeSet, ConfigEdit
from flags.errors import AlreadyExists
from flags.models import Flag, FlagConfig, Segment
from flags.permissions import Role
from rollouts.management.commands import manifest as command
from rollouts.manifest.writing import write_manifest
from rollouts.models import ChangeRequest, RolloutPlan
from rollouts.selectors.manifest_plans import SOURCE_KIND, Way, plan_manifest
from rollouts.services import manifest_settings
from rollouts.services.change_requests import approve_change_request
from rollouts.services.drafting import create_change_request, edit_change_request
from rollouts.services.manifest_outcomes import Applied, State
from tests.factories import NOW, World, actor_of, make_served_world, percent_document
from tests.rollouts.manifest.support import apply, changed, exported, reading_of, serving
from tests.rollouts.manifest.test_doors import applied
from tests.rollouts.manifest.test_drafts import plan
from tests.rollouts.manifest.test_waiting import LOOSER, Clock
from tests.rollouts.timelines.support import TimelineBench

KEY = "checkout-redesign"


@pytest.fixture
def bench(world: World) -> TimelineBench:
    """A served world."""
    return TimelineBench(world, world.first_flag)


def told(done: Applied) -> list[tuple[State, str]]:
    return [(outcome.result.state, outcome.result.sentence) for outcome in done.outcomes]


def edited(world: World, request: ChangeRequest, now: datetime) -> ChangeRequest:
    """The request after Otto made 100 percent of it."""
    world.grant(world.otto, world.production, Role.EDITOR)
    content = request.content
    edits = tuple(
        ConfigEdit(KEY, edit.base_version, percent_document(KEY, 100)) if isinstance(edit, ConfigEdit) else edit
        for edit in content.edits
    )
    return edit_change_request(
        request.pk,
        actor=actor_of(world.otto),
        now=now,
        expected_digest=request.digest,
        change_set=ChangeSet(content.environment_id, edits),
    )


@pytest.mark.django_db
def test_request_that_somebody_edited__planned_and_applied__is_no_longer_the_manifest_s(bench):
    world, manifest = bench.world, serving(bench.world, "production", 30)
    [first] = apply(world, manifest).requests
    edited(world, first, NOW)

    steps = plan_manifest(reading_of(manifest), actor=actor_of(world.rita)).steps
    [second] = apply(world, manifest).requests

    assert {(step.way, step.request) for step in steps} == {(Way.REQUEST, None)}
    assert (first.number, second.number) == (1, 2)
    assert second.content == first.content


@pytest.mark.django_db
def test_wait__for_a_request_that_is_edited_and_applied__ends_with_3(tmp_path: Path, monkeypatch):
    world, file = make_served_world(), tmp_path / "flags.yaml"

    def act() -> None:
        request = edited(world, ChangeRequest.objects.get(), timezone.now())
        yes: dict[str, Any] = {"actor": actor_of(world.abel), "digest": request.digest, "comment": ""}
        approve_change_request(request.pk, now=timezone.now(), **yes)

    monkeypatch.setattr(command, "time", Clock(at_1=act))
    file.write_text(write_manifest(serving(world, "production", 25)))

    ended, said = applied(world, file, "--wait", 60)

    assert (ended, "edited before it was applied" in said) == (3, True)


def drafted(world: World, who: Any, content: ChangeSet) -> ChangeRequest:
    """A draft that came of a manifest."""
    return create_change_request(
        world.production.pk,
        actor=actor_of(who),
        title="Apply the manifest",
        reason="As agreed",
        change_set=content,
        apply_at=None,
        now=NOW,
        source={"kind": SOURCE_KIND},
    )


@pytest.mark.django_db
@pytest.mark.parametrize(("who", "numbers"), [("rita", [1]), ("otto", [1, 2])])
def test_draft_of_a_manifest__applied_by_rita__goes_on_where_it_is_hers(who, numbers, bench):
    world, manifest = bench.world, changed(bench.world, flags={KEY: {"config": percent_document(KEY, 30)}})
    world.grant(world.otto, world.production, Role.EDITOR)
    content = ChangeSet(str(world.production.pk), (ConfigEdit(KEY, 1, percent_document(KEY, 30)),))
    drafted(world, getattr(world, who), content)

    [request] = apply(world, manifest).requests

    assert list(ChangeRequest.objects.order_by("number").values_list("number", flat=True)) == numbers
    assert (request.number, request.state) == (numbers[-1], "in_review")


@pytest.mark.django_db
def test_new_flag_that_is_refused__does_not_keep_others_of_its_environment_from_happening(bench, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise AlreadyExists("This key is kept back.")

    monkeypatch.setattr(manifest_settings, "create_flag", refuse)
    world, manifest = bench.world, serving(bench.world, "staging", 30)
    banner = {"name": "Banner", "kind": "release", "value_type": "boolean"}
    manifest["flags"] = {**manifest["flags"], "banner": banner}
    manifest["environments"]["staging"]["flags"]["banner"] = {"config": percent_document("banner", 10)}

    done = apply(world, manifest)

    states = {address: one.result.state for one in done.outcomes for address in one.addresses}
    assert states == {
        "flags.banner": State.REFUSED,
        "environments.staging.flags.banner.config": State.REFUSED,
        "environments.staging.segments.gold": State.DONE,
        f"environments.staging.flags.{KEY}.config": State.DONE,
    }
    assert (Flag.objects.count(), Segment.objects.count()) == (1, 1)
    assert FlagConfig.objects.get(environment=bench.staging).version == 2


@pytest.mark.django_db
def test_plan_of_a_flag_whose_config_waits_for_a_timeline__waits_too(bench):
    bench.started()
    manifest = changed(bench.world, "staging", flags={KEY: {"config": percent_document(KEY, 30)}}, plans=[plan(5)])

    done = apply(bench.world, manifest)

    assert (f"Made once the config of {KEY} in Staging is as the manifest says." in str(told(done))) is True
    assert not RolloutPlan.objects.exists()


@pytest.mark.django_db
def test_plan_with_a_segment_that_is_asked_for__waits_too(bench):
    world = bench.world
    segments = {"gold": {"name": "Gold", "condition": {"attribute": "plan", "operator": "equals", "value": "gold"}}}
    ring = plan(5)
    ring["definition"]["stages"][0]["patches"][0] |= {"segment": "gold", "weight": None, "against": None}

    done = apply(world, changed(world, "production", segments=segments, plans=[ring]))

    assert "Made once the segment gold in Production is as the manifest says." in str(told(done))
    assert not RolloutPlan.objects.exists()


@pytest.mark.django_db
def test_setting_that_is_proposed__applied__is_one_event(bench):
    world = bench.world
    world.grant(world.anna, world.production, Role.ADMINISTRATOR)
    manifest = changed(world, policy=LOOSER)

    for _ in range(2):
        apply(world, manifest, by=world.ada)

    event = AuditEvent.objects.get(action=Action.MANIFEST_APPLIED)
    assert json.loads(event.data)["done"] == ["environments.production.policy"]


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_manifest__applied_by_two_at_once__is_one_request():
    world = make_served_world()
    reading, line = serving(world, "production", 30), Barrier(2)

    def act(_: int) -> list[int]:
        line.wait(timeout=60)
        try:
            return [request.number for request in apply(world, reading).requests]
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        for share in (30, 40, 50):
            reading = serving(world, "production", share)
            assert len({tuple(numbers) for numbers in pool.map(act, range(2))}) == 1

    assert ChangeRequest.objects.count() == 3
    assert FlagConfig.objects.get(environment=world.production).version == 1
    assert exported(world)["environments"]["production"]["segments"] == {}
