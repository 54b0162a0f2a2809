"""Settings of protected environments: stricter is one person's act, looser takes two, and nothing goes around it."""

import ast
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from audits.models import AuditEvent
from flags.errors import AlreadyExists, InvalidInput, PermissionMissing, StaleChange
from flags.models import Environment
from flags.permissions import Role
from flags.settings_authority import SecondPersonNeeded
from rollouts.errors import InvalidTransition
from rollouts.models import SettingsProposal
from rollouts.selectors import policy_of
from rollouts.selectors.settings import proposals_to_confirm, view_of
from rollouts.services import settings
from rollouts.settings_kinds import Scope, kind_named
from tests.factories import NOW, SOON, World, actor_of, make_person, make_world

ROOT = Path(__file__).resolve().parents[2]
LATE = NOW + settings.LIFE
OPEN = {"is_protected": False}


@pytest.fixture
def world(db: Any) -> World:
    """Otto administers production beside Ada, who is a superuser."""
    world = make_world()
    world.grant(world.otto, world.production, Role.ADMINISTRATOR)
    return world


def propose(
    world: World, *, by: Any = None, kind: str = "protection", after: Any = None, environment: Environment | None = None
) -> SettingsProposal | None:
    return settings.propose_setting(
        kind,
        Scope.of_environment(environment or world.production),
        OPEN if after is None else after,
        actor=actor_of(by or world.ada),
        reason="Migration night",
        now=NOW,
    )


def opened(world: World, **fields: Any) -> SettingsProposal:
    proposal = propose(world, **fields)
    assert proposal is not None
    return proposal


def confirm(proposal: SettingsProposal, by: Any, *, now: Any = SOON, digest: str = "") -> SettingsProposal:
    return settings.confirm(proposal.pk, actor=actor_of(by), digest=digest or proposal.digest, now=now)


def is_protected(world: World) -> bool:
    return Environment.objects.get(pk=world.production.pk).is_protected


POLICY = {"required_approvals": 1, "named_approvers": None, "expires_after_hours": 336}
CASES = {
    "protect": ("staging", "protection", {"is_protected": True}, True),
    "stay protected": ("production", "protection", {"is_protected": True}, True),
    "stop protecting": ("production", "protection", OPEN, False),
    "strict mode, open": ("staging", "strict_mode", {"requires_targeting_key": True}, True),
    "strict mode, protected": ("production", "strict_mode", {"requires_targeting_key": True}, False),
    "sampling, open": ("staging", "context_sampling", {"samples_contexts": True}, True),
    "sampling, protected": ("production", "context_sampling", {"samples_contexts": True}, False),
    "no sampling, protected": ("production", "context_sampling", {"samples_contexts": False}, True),
    "more approvals": ("production", "approval_policy", {**POLICY, "required_approvals": 2}, True),
    "shorter life": ("production", "approval_policy", {**POLICY, "expires_after_hours": 24}, True),
    "longer life": ("production", "approval_policy", {**POLICY, "expires_after_hours": 337}, False),
    "longer life, open": ("staging", "approval_policy", {**POLICY, "expires_after_hours": 337}, True),
}


@pytest.mark.parametrize("case", CASES)
def test_propose__per_kind__in_force_at_once_or_open(world: World, case: str) -> None:
    place, kind, after, is_at_once = CASES[case]
    environment = getattr(world, place)

    proposal = propose(world, environment=environment, kind=kind, after=after)

    now_is = kind_named(kind).read(Scope.of_environment(Environment.objects.get(pk=environment.pk)))
    assert (proposal is None, now_is == after) == (is_at_once, is_at_once)
    assert AuditEvent.objects.filter(action="settings_proposal.opened").count() == (not is_at_once)


def test_confirm__another_administrator__is_in_force_with_both_names(world: World) -> None:
    proposal = opened(world)
    assert is_protected(world)

    confirm(proposal, world.otto)

    assert not is_protected(world)
    proposal.refresh_from_db()
    assert (proposal.state, proposal.decided_by, proposal.decided_at) == ("confirmed", world.otto, SOON)
    written = AuditEvent.objects.get(action="environment.protection_changed")
    both = {"proposed_by": str(world.ada.pk), "confirmed_by": str(world.otto.pk), "proposal_id": str(proposal.pk)}
    assert written.details.items() >= both.items()
    assert (written.actor_id, written.reason) == (str(world.otto.pk), "Migration night")
    environment = Environment.objects.get(pk=world.production.pk)
    assert environment.unprotected_by == world.ada


def test_confirm__policy__is_the_proposed_one(world: World) -> None:
    named: dict[str, Any] = {**POLICY, "named_approvers": [str(world.abel.pk)], "expires_after_hours": 48}
    assert propose(world, kind="approval_policy", after=named) is None
    wider = {**named, "named_approvers": [str(world.abel.pk), str(world.anna.pk)]}
    proposal = opened(world, kind="approval_policy", after=wider)
    assert "Anna Test" in view_of(proposal, world.otto, now=NOW).sentences[0]

    confirm(proposal, world.otto)

    assert policy_of(world.production).as_json() == {**wider, "named_approvers": sorted(wider["named_approvers"])}


@pytest.mark.parametrize("name", ["rita", "abel", "anna", "rolf", "vera"])
def test_every_role__but_administrator__decides_nothing(world: World, name: str) -> None:
    person = getattr(world, name)
    proposal = opened(world)

    with pytest.raises(PermissionMissing):
        propose(world, by=person, kind="strict_mode", after={"requires_targeting_key": True})
    with pytest.raises(PermissionMissing):
        confirm(proposal, person)
    with pytest.raises(PermissionMissing):
        settings.decline(proposal.pk, actor=actor_of(person), reason="No", now=SOON)
    with pytest.raises(PermissionMissing):
        settings.withdraw(proposal.pk, actor=actor_of(person), now=SOON)

    assert is_protected(world)
    assert view_of(proposal, person, now=SOON).refusal
    assert not proposals_to_confirm(person, SOON)


@pytest.mark.parametrize("name", ["ada", "otto"])
def test_confirm__own_proposal__is_refused_also_to_superusers(world: World, name: str) -> None:
    person = getattr(world, name)
    proposal = opened(world, by=person)

    with pytest.raises(SecondPersonNeeded, match="You proposed this"):
        confirm(proposal, person)

    assert is_protected(world)
    assert not proposals_to_confirm(person, SOON)


def test_confirm__proposer_lost_the_role__is_refused(world: World) -> None:
    proposal = opened(world, by=world.otto)
    world.grant(world.otto, world.production, Role.VIEWER)

    with pytest.raises(SecondPersonNeeded, match="no administrator any more"):
        confirm(proposal, world.ada)

    assert is_protected(world)


def test_confirm__setting_moved_since__is_refused(world: World) -> None:
    looser = opened(world, kind="approval_policy", after={**POLICY, "expires_after_hours": 400})
    propose(world, kind="approval_policy", after={**POLICY, "required_approvals": 2})

    with pytest.raises(StaleChange, match="propose the change again"):
        confirm(looser, world.otto)

    assert policy_of(world.production).required_approvals == 2


@pytest.mark.parametrize("when", [LATE, LATE + timedelta(days=365)])
def test_confirm__too_late__is_refused_and_the_sweeper_says_so(world: World, when: Any) -> None:
    proposal = opened(world)
    assert not settings.expire_if_due(proposal.pk, now=LATE - timedelta(seconds=1))

    with pytest.raises(InvalidTransition):
        confirm(proposal, world.otto, now=when)

    assert settings.expire_if_due(proposal.pk, now=when)
    assert not settings.expire_if_due(proposal.pk, now=when)
    assert AuditEvent.objects.filter(action="settings_proposal.expired").count() == 1
    assert is_protected(world)


def test_confirm__content_that_was_not_seen__is_refused(world: World) -> None:
    with pytest.raises(StaleChange):
        confirm(opened(world), world.otto, digest="0" * 64)
    assert is_protected(world)


def decline(proposal: SettingsProposal, world: World) -> None:
    settings.decline(proposal.pk, actor=actor_of(world.otto), reason="Not before the sale", now=SOON)


def withdraw(proposal: SettingsProposal, world: World) -> None:
    settings.withdraw(proposal.pk, actor=actor_of(world.ada), now=SOON)


@pytest.mark.parametrize("end", [decline, withdraw])
def test_ended__proposal__cannot_be_confirmed_and_makes_room(world: World, end: Any) -> None:
    proposal = opened(world)
    with pytest.raises(AlreadyExists, match="has proposed a change of this already"):
        propose(world, by=world.otto)

    end(proposal, world)

    for act in (lambda: confirm(proposal, world.otto), lambda: end(proposal, world)):
        with pytest.raises(InvalidTransition):
            act()
    assert is_protected(world)
    assert opened(world).pk != proposal.pk


def test_decline__own_proposal_or_without_a_reason__is_refused(world: World) -> None:
    proposal = opened(world)

    with pytest.raises(InvalidTransition, match="Withdraw"):
        settings.decline(proposal.pk, actor=actor_of(world.ada), reason="x", now=SOON)
    with pytest.raises(InvalidInput):
        settings.decline(proposal.pk, actor=actor_of(world.otto), reason=" ", now=SOON)


def test_propose__nobody_else_could_confirm__says_what_to_do(world: World) -> None:
    world.grant(world.otto, world.production, Role.VIEWER)

    with pytest.raises(SecondPersonNeeded, match="Give another person the role administrator"):
        propose(world)

    assert not SettingsProposal.objects.exists()
    assert is_protected(world)


@pytest.mark.parametrize("after", [None, {}, {"is_protected": "no"}, {"is_protected": None}, [False]])
def test_propose__unusable_value__is_refused(world: World, after: Any) -> None:
    with pytest.raises(InvalidInput):
        settings.propose_setting(
            "protection",
            Scope.of_environment(world.production),
            after,
            actor=actor_of(world.ada),
            reason="Why",
            now=NOW,
        )


def test_desk__proposal__waits_for_those_who_can_confirm_it(world: World, django_assert_max_num_queries: Any) -> None:
    opened(world)
    second = make_person("sue", is_superuser=True)

    for person in (world.otto, second):
        with django_assert_max_num_queries(4):
            tasks = proposals_to_confirm(person, SOON)
        assert [task.title for task in tasks] == ["Stop protecting Production"]
    assert not proposals_to_confirm(world.otto, LATE)


def test_joint_act__constructed__only_where_two_people_are_proven() -> None:
    found = {
        str(path.relative_to(ROOT))
        for app in ("audits", "flags", "rollouts", "flagsite")
        for path in (ROOT / app).rglob("*.py")
        if "JointAct" in (text := path.read_text())
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "JointAct"
    }
    assert found == {"rollouts/services/settings.py"}
