"""What the command ends with while people decide, settings that a second administrator confirms, and drift."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from flags.models import Environment, FlagConfig
from flags.permissions import Role
from flags.services.flags import update_flag
from rollouts.management.commands import manifest as command
from rollouts.manifest.writing import write_manifest
from rollouts.models import ApprovalPolicy, ChangeRequest, SettingsProposal
from rollouts.services.change_requests import approve_change_request, reject_change_request
from rollouts.services.manifest_outcomes import State
from rollouts.services.settings import confirm
from tests.factories import NOW, World, actor_of, percent_document
from tests.rollouts.manifest.support import apply, changed, exported, serving
from tests.rollouts.manifest.test_doors import applied, run
from tests.support.admin import signed_in

pytestmark = pytest.mark.django_db
KEY = "checkout-redesign"
LOOSER = {"required_approvals": 1, "named_approvers": [], "expires_after_hours": 999}


@pytest.fixture
def world() -> World:
    from tests.factories import make_served_world

    return make_served_world()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "flags.yaml"


class Clock:
    """A clock that goes on while the command sleeps; `acts` happen at their pause, counted from 1."""

    def __init__(self, **acts: Callable[[], object]) -> None:
        self.seconds, self.pauses, self.acts = 0.0, 0, acts

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds, self.pauses = self.seconds + seconds, self.pauses + 1
        self.acts.get(f"at_{self.pauses}", lambda: None)()


def approving(world: World) -> Callable[[], object]:
    def act() -> None:
        request = ChangeRequest.objects.get()
        actor = actor_of(world.abel)
        approve_change_request(request.pk, actor=actor, digest=request.digest, comment="", now=timezone.now())

    return act


def rejecting(world: World) -> Callable[[], object]:
    def act() -> None:
        request = ChangeRequest.objects.get()
        actor = actor_of(world.abel)
        reject_change_request(request.pk, actor=actor, reason="Not now", now=timezone.now())

    return act


WAITED: dict[str, tuple[Callable[[World], dict[str, Callable[[], object]]], int, int, int]] = {
    "nobody decides": (lambda world: {}, 10, 10, 5),
    "not waited for": (lambda world: {"at_1": approving(world)}, 0, 10, 0),
    "approved at once": (lambda world: {"at_1": approving(world)}, 10, 0, 1),
    "approved in time": (lambda world: {"at_4": approving(world)}, 10, 0, 4),
    "approved at the very end": (lambda world: {"at_5": approving(world)}, 10, 0, 5),
    "approved too late": (lambda world: {"at_6": approving(world)}, 10, 10, 5),
    "rejected": (lambda world: {"at_2": rejecting(world)}, 10, 3, 2),
}


@pytest.mark.parametrize("name", WAITED)
def test_wait__while_people_decide__ends_with_what_they_decided(name, world, file, monkeypatch):
    acts, seconds, code, pauses = WAITED[name]
    clock = Clock(**acts(world))
    monkeypatch.setattr(command, "time", clock)
    file.write_text(write_manifest(serving(world, "production", 25)))

    ended, said = applied(world, file, "--wait", seconds)

    assert (ended, clock.pauses) == (code, pauses)
    assert said.startswith("pending  #1 asks for it in Production.")
    if ended != 3:
        assert said.count("\n") == 3


def test_wait__again_and_again__prints_the_same(world, file, monkeypatch):
    monkeypatch.setattr(command, "time", Clock())
    file.write_text(write_manifest(serving(world, "production", 25)))

    first, second = (applied(world, file, "--wait", 4, "--json") for _ in range(2))

    assert first == second
    assert (first[0], json.loads(first[1])["state"]) == (10, "pending")
    assert ChangeRequest.objects.count() == 1


def test_wait__for_a_second_administrator__does_not_wait(world, file, monkeypatch):
    world.grant(world.anna, world.production, Role.ADMINISTRATOR)
    clock = Clock()
    monkeypatch.setattr(command, "time", clock)
    file.write_text(write_manifest(changed(world, policy=LOOSER)))

    ended, said = applied(world, file, "--wait", 60, by="ada")

    assert (ended, clock.pauses) == (10, 0)
    assert "a second administrator has to confirm it" in said


def test_looser_policy__applied_and_confirmed_by_another__is_in_force_and_nothing_is_left(world):
    world.grant(world.anna, world.production, Role.ADMINISTRATOR)
    manifest = changed(world, policy=LOOSER)
    first = apply(world, manifest, by=world.ada)
    [proposal] = SettingsProposal.objects.all()

    confirm(proposal.pk, actor=actor_of(world.anna), digest=proposal.digest, now=NOW)

    second = apply(world, manifest, by=world.ada)
    assert (first.state, second.state, second.outcomes) == (State.PENDING, State.DONE, ())
    assert ApprovalPolicy.objects.get(environment=world.production).expires_after_hours == 999
    assert SettingsProposal.objects.count() == 1


def test_looser_policy__asked_for_by_two_manifests__keeps_to_the_first(world):
    world.grant(world.anna, world.production, Role.ADMINISTRATOR)
    apply(world, changed(world, policy=LOOSER), by=world.ada)

    second = apply(world, changed(world, policy={**LOOSER, "expires_after_hours": 998}), by=world.ada)

    assert second.state is State.REFUSED
    assert "Something else is proposed for the same setting." in second.outcomes[0].result.sentence
    after: Any = SettingsProposal.objects.get().after
    assert after["expires_after_hours"] == 999


def test_looser_policy__without_another_administrator__is_refused(world):
    world.grant(world.rita, world.production, Role.ADMINISTRATOR)
    world.ada.is_active = False
    world.ada.save()

    done = apply(world, changed(world, policy=LOOSER))

    assert done.state is State.REFUSED
    assert not SettingsProposal.objects.exists()


def test_drift__after_somebody_edits_in_the_admin__names_each_thing(world, file):
    file.write_text(write_manifest(exported(world)))
    assert run("plan", "--file", file, "--fail-on-drift")[0] == 0
    by_hand(world, world.staging)
    world.flag("banner")
    update_flag(world.first_flag.pk, actor=actor_of(world.rita), now=NOW, tags=["web"])

    code, said = run("plan", "--file", file, "--fail-on-drift", "--json")

    steps = json.loads(said)["steps"]
    assert code == 4
    assert [(step["address"], step["kind"]) for step in steps] == [
        (f"flags.{KEY}.tags", "changed"),
        ("flags.banner", "not_in_manifest"),
        ("environments.development.flags.banner", "not_in_manifest"),
        (f"environments.staging.flags.{KEY}.config", "changed"),
        ("environments.staging.flags.banner", "not_in_manifest"),
    ]
    assert all(step["sentences"] and step["sentence"] for step in steps)
    assert steps[0]["sentences"] == ["Tags: nothing. Until now: web."]


def by_hand(world: World, place: Environment) -> None:
    """Somebody serves the first flag to 60 percent, on its page."""
    address = reverse("admin:flags_config_edit", args=[world.first_flag.pk, place.pk])
    document = json.dumps(percent_document(KEY, 60))
    typed = {"document": document, "base_version": "1", "reason": "Quickly"}
    assert signed_in(world.rita).post(address, typed).status_code == 302


def test_drift__applied__brings_back_what_the_manifest_says(world, file):
    file.write_text(write_manifest(exported(world)))
    by_hand(world, world.staging)

    assert applied(world, file)[0] == 0
    assert run("plan", "--file", file, "--fail-on-drift")[0] == 0
    assert FlagConfig.objects.get(environment=world.staging).document["rules"] == []


def test_file_of_50_megabytes__read__is_refused(world, file):
    with file.open("wb") as opened:
        opened.truncate(50_000_000)

    code, said = run("validate", "--file", file)

    assert (code, "larger than" in said) == (2, True)
