"""Nobody gets past a rule or a freeze by describing a flag differently, or by putting people into teams."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import time_machine

from audits.models import AuditEvent
from flags.authority import ConsentMismatch
from flags.errors import PermissionMissing
from flags.models import Flag, Team
from flags.permissions import Role
from flags.services.flags import set_flag_details, update_flag
from flags.services.teams import add_member, create_team, remove_member
from flags.services.tickets import governed_write
from flags.settings_authority import SecondPersonNeeded
from rollouts.models import ChangeRequest, Judgement, SettingsProposal
from rollouts.policies import Effect, Facts, FlagFacts, Requirement, Rule
from rollouts.policies.escapes import Described, escaped
from rollouts.policies.facts import remembering
from rollouts.policies.requirements import TeamDemand
from rollouts.services.applying import apply_if_due, pass_review_if_due
from rollouts.services.rules import set_rule
from rollouts.services.settings import confirm, propose_setting
from rollouts.settings_kinds import Scope
from rollouts.transitions import RequestState
from tests.factories import NOW, World, actor_of, make_person
from tests.rollouts.calendars import freeze
from tests.rollouts.rule_support import condition, rule
from tests.rollouts.support import Bench, state_of

PCI = condition("tags", tags=["pci"])
PERMISSION = condition("flag_kind", kinds=["permission", "experiment"])
OWNERS = rule("owners", conditions=(condition("direction"),), requirement=Requirement(owner_teams=True))
BARE = Described("release", (), None)
TAGGED, KIND = Described("release", ("pci",), None), Described("permission", (), None)


@pytest.mark.parametrize(
    ("name", "subject", "before", "after", "is_escaped"),
    [
        ("named tag gone", rule(conditions=(PCI,)), TAGGED, BARE, True),
        ("other tag gone", rule(conditions=(PCI,)), replace(TAGGED, tags=("pci", "web")), TAGGED, False),
        ("named tag added", rule(conditions=(PCI,)), BARE, TAGGED, False),
        ("kind left", rule(conditions=(PERMISSION,)), KIND, BARE, True),
        ("kind kept by the rule", rule(conditions=(PERMISSION,)), KIND, replace(BARE, kind="experiment"), False),
        ("one of two", rule(conditions=(PCI, PERMISSION)), Described("permission", (), None), BARE, True),
        ("rule switched off", rule(conditions=(PCI,), is_active=False), TAGGED, BARE, False),
        ("rule that demands nothing", rule(conditions=(PCI,), effect=Effect.ALLOW), TAGGED, BARE, False),
        ("first owner team", OWNERS, BARE, replace(BARE, owner_team="a"), True),
        ("another owner team", OWNERS, replace(BARE, owner_team="a"), replace(BARE, owner_team="b"), True),
        ("no owner team", OWNERS, replace(BARE, owner_team="a"), BARE, False),
        ("nobody asks owners", rule(conditions=(PCI,)), BARE, replace(BARE, owner_team="a"), False),
    ],
)  # fmt: skip
def test_escaped__rules_that_might_not_apply_any_more(
    name: str, subject: Rule, before: Described, after: Described, is_escaped: bool
) -> None:
    assert bool(escaped([subject], before, after)) is is_escaped, name


def test_remembering__what_a_flag_was__adds_up() -> None:
    facts = Facts("p", "production", NOW, flags=(FlagFacts("a", kind="release", tags=("web",), owner_team="mine"),))
    was = replace(facts, flags=(FlagFacts("a", kind="permission", tags=("pci",), owner_team="security"),))

    (flag,) = remembering(remembering(facts, [was]), [facts]).flags

    assert (flag.kind, flag.tags, flag.owner_team) == ("release", ("pci", "web"), "mine")
    assert flag.kinds == {"release", "permission"}
    assert flag.owner_teams == {"mine", "security"}
    assert FlagFacts.from_json(flag.as_json()) == flag


def put(world: World, subject: Rule) -> None:
    """Ada writes the rule."""
    document = subject.as_json()
    set_rule(world.project.pk, key=subject.key, document=document, actor=actor_of(world.ada), reason="Test", now=NOW)


def team(world: World, key: str, *people: Any) -> Team:
    """A team with these members, made before any rule names it."""
    made = create_team(world.project.pk, actor=actor_of(world.ada), key=key, name=key.capitalize(), now=NOW)
    for person in people:
        add_member(made.pk, person.pk, actor=actor_of(world.ada), reason="Test", now=NOW)
    return made


def described(bench: Bench, **fields: Any) -> None:
    """The flag as two people agreed to describe it, at once."""
    with governed_write(bench.flag.project_id):
        Flag.objects.filter(pk=bench.flag.pk).update(**fields)


def owned_by(bench: Bench, owner: Team | None) -> None:
    """Ada alone gives the flag to a team."""
    set_flag_details(
        bench.flag.pk,
        kind="release",
        tags=[],
        owner_team_id=owner.pk if owner else None,
        actor=actor_of(bench.world.ada),
        reason="Test",
        now=NOW,
    )


@pytest.fixture
def cora(bench: Bench) -> Any:
    """Another administrator of production."""
    person = make_person("cora")
    bench.world.grant(person, bench.production, Role.ADMINISTRATOR)
    return person


@pytest.mark.parametrize(
    ("fields", "changed", "asks"),
    [
        ({"tags": ["pci"]}, {"tags": []}, PCI),
        ({"kind": "permission"}, {"kind": "release"}, PERMISSION),
    ],
)
def test_details__that_a_rule_looks_at__are_not_taken_away_by_an_editor_alone(
    bench: Bench, fields: dict[str, Any], changed: dict[str, Any], asks: Any
) -> None:
    update_flag(bench.flag.pk, actor=actor_of(bench.world.rita), now=NOW, **fields)
    put(bench.world, rule("watched", conditions=(asks,), requirement=Requirement(approvals=2)))
    request = bench.approve(bench.submitted())

    with pytest.raises(SecondPersonNeeded, match="the rule “"):
        update_flag(bench.flag.pk, actor=actor_of(bench.world.rita), now=NOW, **changed)
    update_flag(bench.flag.pk, actor=actor_of(bench.world.rita), now=NOW, **fields, name="Renamed", links=[])
    assert state_of(request) is RequestState.IN_REVIEW

    # Also when two people agree to it, what is under review stays under the rule.
    described(bench, **changed)
    pass_review_if_due(request.pk, now=NOW)
    assert state_of(request) is RequestState.IN_REVIEW
    assert not apply_if_due(request.pk, now=NOW)


def test_tags__that_no_rule_names__are_free(bench: Bench) -> None:
    put(bench.world, rule("watched", conditions=(PCI,), requirement=Requirement(approvals=2)))

    for tags in (["web"], ["web", "pci"], ["pci"]):
        update_flag(bench.flag.pk, actor=actor_of(bench.world.rita), now=NOW, tags=tags)

    bench.flag.refresh_from_db()
    assert bench.flag.tags == ["pci"]


@time_machine.travel(NOW, tick=False)
def test_tags__that_a_freeze_names__are_not_taken_away_alone_and_hold_what_is_under_review(bench: Bench) -> None:
    update_flag(bench.flag.pk, actor=actor_of(bench.world.rita), now=NOW, tags=["pci"])
    put(bench.world, rule("watched", conditions=(condition("direction"),), requirement=Requirement(approvals=1)))
    freeze(bench.world, tags=["pci"])
    request = bench.approved(change_set=bench.content(40))
    assert ChangeRequest.objects.get(pk=request.pk).blocked_code == "frozen"

    with pytest.raises(SecondPersonNeeded, match="the freeze “"):
        update_flag(bench.flag.pk, actor=actor_of(bench.world.rita), now=NOW, tags=[])
    described(bench, tags=[])
    apply_if_due(request.pk, now=NOW)

    assert state_of(request) is RequestState.APPROVED
    update_flag(bench.flag.pk, actor=actor_of(bench.world.rita), now=NOW + timedelta(days=300), tags=["web"])


def test_owner_team__is_the_business_of_administrators(bench: Bench, cora: Any) -> None:
    mine, lead = team(bench.world, "mine", bench.world.abel), make_person("lead")
    bench.world.grant(lead, bench.world.staging, Role.ADMINISTRATOR, Role.EDITOR)
    fields: dict[str, Any] = {"kind": "release", "tags": [], "owner_team_id": mine.pk, "reason": "x", "now": NOW}

    for person in (bench.world.rita, bench.world.abel, lead):
        with pytest.raises(PermissionMissing):
            set_flag_details(bench.flag.pk, actor=actor_of(person), **fields)
    owned_by(bench, mine)
    put(bench.world, OWNERS)
    other = team(bench.world, "other", bench.world.anna)
    with pytest.raises(SecondPersonNeeded):
        set_flag_details(bench.flag.pk, actor=actor_of(bench.world.ada), **{**fields, "owner_team_id": other.pk})

    bench.flag.refresh_from_db()
    assert bench.flag.owner_team == mine


def test_owner_team__changed_by_two_people__the_team_at_submit_is_still_heard(bench: Bench, cora: Any) -> None:
    security, mine = team(bench.world, "security"), team(bench.world, "mine", bench.world.abel)
    owned_by(bench, security)
    put(bench.world, OWNERS)
    request = bench.approve(bench.submitted())
    assert state_of(request) is RequestState.IN_REVIEW

    confirm_as(cora, propose(bench, owner_team=str(mine.pk)))
    pass_review_if_due(request.pk, now=NOW)

    bench.flag.refresh_from_db()
    assert bench.flag.owner_team == mine
    assert state_of(request) is RequestState.IN_REVIEW
    seen = Judgement.objects.filter(request=request).latest("created_at").facts
    assert seen["flags"][0]["owner_team"] == str(security.pk)
    event = AuditEvent.objects.filter(action="flag.updated").latest("sequence")
    assert event.details["confirmed_by"] == str(cora.pk)


def propose(bench: Bench, **fields: Any) -> SettingsProposal:
    """Ada proposes other details of the flag."""
    wanted = {"kind": "release", "tags": [], "owner_team": None, **fields}
    scope = Scope(bench.world.project, None, bench.flag.key)
    proposal = propose_setting("flag_details", scope, wanted, actor=actor_of(bench.world.ada), reason="Moved", now=NOW)
    assert proposal is not None
    return proposal


def confirm_as(person: Any, proposal: SettingsProposal) -> None:
    """Somebody else confirms what he saw."""
    confirm(proposal.pk, actor=actor_of(person), digest=proposal.digest, now=NOW)


def test_proposal__a_rule_more_since__is_not_what_was_confirmed(bench: Bench, cora: Any) -> None:
    update_flag(bench.flag.pk, actor=actor_of(bench.world.rita), now=NOW, tags=["pci"])
    put(bench.world, rule("watched", conditions=(PCI,), requirement=Requirement(approvals=2)))
    proposal = propose(bench)
    put(bench.world, rule("another", name="Another", conditions=(PCI,), requirement=Requirement(approvals=2)))

    with pytest.raises(ConsentMismatch):
        confirm_as(cora, proposal)

    bench.flag.refresh_from_db()
    assert bench.flag.tags == ["pci"]


def test_member__of_a_team_that_a_rule_demands__takes_two_people(bench: Bench, cora: Any) -> None:
    world = bench.world
    security = team(world, "security")
    demand = Requirement(teams=(TeamDemand(str(security.pk), 1),))
    put(world, rule("heard", conditions=(condition("direction"),), requirement=demand))
    world.grant(world.otto, world.production, Role.EDITOR, Role.ADMINISTRATOR)
    request = bench.approve(bench.submitted(by=world.otto))

    with pytest.raises(SecondPersonNeeded):
        add_member(security.pk, world.abel.pk, actor=actor_of(world.otto), reason="Helps", now=NOW)
    assert state_of(request) is RequestState.IN_REVIEW
    scope = Scope(world.project, None, f"security/{world.abel.pk}")
    wanted = {"is_member": True}
    proposal = propose_setting("team_member", scope, wanted, actor=actor_of(world.otto), reason="Helps", now=NOW)
    assert proposal is not None
    confirm_as(cora, proposal)
    pass_review_if_due(request.pk, now=NOW)

    assert state_of(request) is RequestState.APPROVED
    remove_member(security.pk, world.abel.pk, actor=actor_of(world.ada), reason="Left", now=NOW)


def test_member__of_a_team_that_owns_a_flag__takes_two_people_while_owners_are_asked(bench: Bench) -> None:
    owner, other = team(bench.world, "owner"), team(bench.world, "other")
    owned_by(bench, owner)
    put(bench.world, OWNERS)

    with pytest.raises(SecondPersonNeeded):
        add_member(owner.pk, bench.world.abel.pk, actor=actor_of(bench.world.ada), reason="Helps", now=NOW)
    add_member(other.pk, bench.world.abel.pk, actor=actor_of(bench.world.ada), reason="Helps", now=NOW)
