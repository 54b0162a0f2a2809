"""Rules at work: judged at submit and again at apply, changed by one person where stricter, by two where looser."""

import dataclasses
import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from audits.actions import Action
from audits.models import AuditEvent
from flags.errors import InvalidInput, NotFound, PermissionMissing
from flags.models import Team, TeamMember
from flags.permissions import Role
from flags.services.tickets import governed_write
from flags.services.tokens import issue_token, revoke_token
from flags.settings_authority import SecondPersonNeeded, SoleAct
from rollouts.errors import (
    ApprovalMissing,
    ApprovalRefused,
    ConcurrentUpdate,
    DigestMismatch,
    PolicyRefused,
)
from rollouts.models import ChangeRequest, ImpactRun, Judgement, PolicyRule, PolicyRuleVersion, ServiceApproval
from rollouts.policies import Effect, Requirement, Rule, judge
from rollouts.policies.requirements import PeopleDemand, TeamDemand
from rollouts.selectors import case_of, waiting_for
from rollouts.selectors.facts import facts_of
from rollouts.selectors.verdicts import live_case_of
from rollouts.services import change_requests as acts
from rollouts.services.rules import set_rule, write_rule
from rollouts.services.service_approvals import approve_as_service
from rollouts.services.settings import confirm
from rollouts.settings_kinds import Scope
from rollouts.transitions import RequestState
from tests.factories import NOW, SOON, World, actor_of, make_person
from tests.rollouts.rule_support import condition, rule
from tests.rollouts.support import Bench, state_of

WIDENS = (condition("environment_kind", kinds=["production"]), condition("direction"))
TWO = rule(conditions=WIDENS, requirement=Requirement(approvals=2))
REFUSES = rule("no-widening", effect=Effect.REFUSE, conditions=WIDENS)


def put(world: World, subject: Rule, *, by: Any = None) -> Any:
    """Ada writes the rule."""
    return set_rule(
        world.project.pk,
        key=subject.key,
        document=subject.as_json(),
        actor=actor_of(by or world.ada),
        reason="Test",
        now=NOW,
    )


def data_of(event: AuditEvent) -> dict[str, Any]:
    """What the event holds."""
    return json.loads(event.data)  # type: ignore[no-any-return]


def team(world: World, name: str, *people: Any) -> str:
    """A team with these members; its id."""
    with governed_write(world.project.pk):
        row = Team.objects.create(project=world.project, key=name.lower(), name=name, created_at=NOW)
        for person in people:
            TeamMember.objects.create(project=world.project, team=row, person=person, added_by=world.ada, added_at=NOW)
    return str(row.pk)


def off(world: World, subject: Rule) -> Rule:
    """The rule switched off, past the two people it takes."""
    document = dataclasses.replace(subject, is_active=False).as_json()
    bea = make_person("bea", is_superuser=True)
    proposal = set_rule(
        world.project.pk, key=subject.key, document=document, actor=actor_of(world.ada), reason="Off", now=NOW
    )
    assert proposal is not None
    confirm(proposal.pk, actor=actor_of(bea), digest=proposal.digest, now=NOW)
    return dataclasses.replace(subject, is_active=False)


def test_submit__rule_demands_two__first_approval_does_not_suffice(bench: Bench) -> None:
    put(bench.world, TWO)
    request = bench.submitted()

    once = bench.approve(request)
    assert once.current_state is RequestState.IN_REVIEW

    twice = bench.approve(request, by=bench.world.anna)
    assert twice.current_state is RequestState.APPLIED


def test_submit__rule_does_not_apply__stays_out(bench: Bench) -> None:
    put(bench.world, dataclasses.replace(TWO, conditions=(condition("environment_kind", kinds=["staging"]),)))

    assert bench.approve(bench.submitted()).current_state is RequestState.APPLIED


def test_submit__keeps_rules_facts_and_findings_as_evidence(bench: Bench) -> None:
    put(bench.world, TWO)
    request = bench.submitted()

    judgement = Judgement.objects.get(request=request)
    event = AuditEvent.objects.get(action=Action.CHANGE_REQUEST_SUBMITTED)

    assert (judgement.digest, judgement.occasion) == (request.digest, "submit")
    assert [item["key"] for item in judgement.rules] == ["big-steps"]
    assert judgement.facts["flags"][0]["share_after"] == bench.share * 1_000
    assert judgement.findings[0]["rule_version"] == 1
    assert data_of(event)["findings"] == [{"rule": "big-steps@1", "effect": "require"}]
    for write in (judgement.delete, judgement.save):
        with pytest.raises(IntegrityError), transaction.atomic():
            write()


def test_submit__rule_refuses__stays_a_draft_and_says_why(bench: Bench) -> None:
    put(bench.world, REFUSES)
    request = bench.draft()

    with pytest.raises(PolicyRefused) as caught:
        bench.submit(request)

    assert state_of(request) is RequestState.DRAFT
    assert "“No widening”" in caught.value.message
    assert "it is a big step" in caught.value.message
    assert not Judgement.objects.exists()


def test_edit__under_review__is_judged_anew(bench: Bench) -> None:
    request = bench.submitted(change_set=bench.content(11))
    put(bench.world, rule("jumps", effect=Effect.REFUSE, conditions=(condition("reach", at_least=50),)))

    with pytest.raises(PolicyRefused):
        bench.edit(request, change_set=bench.content(60))
    edited = bench.edit(request, change_set=bench.content(40))

    assert {row.digest for row in Judgement.objects.all()} == {request.digest, edited.digest}


def test_apply__rule_was_added_after_the_approval__is_held_back_for_approvals(bench: Bench) -> None:
    request = bench.approved(apply_at=SOON)
    put(bench.world, TWO)

    with pytest.raises(ApprovalMissing):
        bench.apply(request, now=SOON)
    assert ChangeRequest.objects.get(pk=request.pk).blocked_code == "approval_missing"

    applied = bench.approve(request, by=bench.world.anna, now=SOON)
    assert applied.current_state is RequestState.APPLIED


def test_apply__rule_was_switched_off_after_the_submit__counts_still(bench: Bench) -> None:
    put(bench.world, TWO)
    request = bench.submitted()
    off(bench.world, TWO)

    assert bench.approve(request).current_state is RequestState.IN_REVIEW
    assert bench.approve(bench.submitted(change_set=bench.content(77))).current_state is RequestState.APPLIED


def test_apply__rule_refuses_now__is_held_back_and_tried_again_without_new_events(bench: Bench) -> None:
    request = bench.approved(apply_at=SOON)
    rule_of_now = rule(
        "at-noon", effect=Effect.REFUSE, conditions=(condition("time_of_day", starts="09:30", ends="11:00"),)
    )
    put(bench.world, rule_of_now)

    for _ in range(3):
        assert not acts.apply_if_due(request.pk, now=SOON)
    refused = ChangeRequest.objects.get(pk=request.pk)
    assert (refused.current_state, refused.blocked_code) == (RequestState.APPROVED, "policy_refused")
    assert AuditEvent.objects.filter(action=Action.CHANGE_REQUEST_APPLY_REFUSED).count() == 1

    later = SOON + timedelta(hours=1)
    assert acts.apply_if_due(request.pk, now=later)
    assert state_of(request) is RequestState.APPLIED


def test_apply__evidence_names_the_rules(bench: Bench) -> None:
    put(bench.world, rule(effect=Effect.WARN, conditions=WIDENS))

    bench.approve(bench.submitted())

    applied = AuditEvent.objects.filter(action=Action.FLAG_CONFIG_APPLIED).latest("sequence")
    assert data_of(applied)["rules"] == ["big-steps@1"]
    assert Judgement.objects.filter(occasion="apply").exists()


def test_team__members_as_of_now__count(bench: Bench) -> None:
    world = bench.world
    security = team(world, "Security", world.anna)
    put(world, dataclasses.replace(TWO, requirement=Requirement(teams=(TeamDemand(security, 1),))))
    request = bench.submitted()
    assert bench.approve(request).current_state is RequestState.IN_REVIEW
    assert waiting_for(world.anna, now=NOW) == [request]

    with governed_write(world.project.pk):
        TeamMember.objects.update(removed_at=NOW, removed_by=world.ada)

    assert case_of(request).demands[0].member_ids == frozenset()
    assert waiting_for(world.anna, now=NOW) == []
    assert bench.approve(request, by=world.anna).current_state is RequestState.IN_REVIEW


def test_waiting_for__approval_would_not_help__does_not_ask(bench: Bench) -> None:
    world = bench.world
    put(world, dataclasses.replace(TWO, requirement=Requirement(people=(PeopleDemand((str(world.anna.pk),), 1),))))
    request = bench.submitted()
    bench.approve(request, by=world.anna)
    other = bench.submitted(change_set=bench.content(88))
    bench.approve(other)

    assert other not in waiting_for(world.abel, now=NOW)
    assert waiting_for(world.anna, now=NOW) == [other]


def test_four_eyes__rule_names_the_requester__does_not_let_him_approve(bench: Bench) -> None:
    world = bench.world
    world.grant(world.rita, world.production, Role.EDITOR, Role.APPROVER)
    named = Requirement(people=(PeopleDemand((str(world.rita.pk),), 1),))
    put(world, dataclasses.replace(TWO, requirement=named))
    request = bench.submitted()

    with pytest.raises(ApprovalRefused):
        bench.approve(request, by=world.rita)


def test_facts__of_a_request__are_read_in_full(bench: Bench) -> None:
    request = bench.draft(change_set=bench.content(35))

    facts = facts_of(request, now=NOW)
    (moved,) = facts.flags

    assert (facts.environment_kind, facts.direction, facts.at) == ("production", "widens", NOW)
    assert (moved.key, moved.kind, moved.share_after) == (bench.flag.key, "release", 35_000)
    assert moved.applied_at == (NOW,)
    assert (facts.ticket_url, facts.freezes, facts.incidents) == ("", (), ())
    assert facts.lint is not None


def test_facts__more_flags__same_number_of_queries(bench: Bench, django_assert_max_num_queries: Any) -> None:
    request = ChangeRequest.objects.select_related("environment", "project").get(pk=bench.draft().pk)

    with django_assert_max_num_queries(16):
        facts_of(request, now=NOW)


def test_case__no_rules__reads_no_teams_and_no_facts(bench: Bench, django_assert_max_num_queries: Any) -> None:
    request = bench.submitted()

    with django_assert_max_num_queries(6):
        live_case_of(request, now=NOW)


TICKETS = [
    ("https://tickets.example.com/42", True),
    ("http://tickets.example.com/42?a=b#c", True),
    ("", True),
    ("javascript:alert(1)", False),
    ("ftp://tickets.example.com", False),
    ("tickets.example.com", False),
    ("https://", False),
    ("https://a b.example.com", False),
    ("https://[x", False),
    ("https://example.com/" + "x" * 500, False),
]


@pytest.mark.parametrize(("address", "is_fine"), TICKETS)
def test_ticket__address__is_checked(bench: Bench, address: str, is_fine: bool) -> None:
    request = bench.draft()

    if is_fine:
        assert bench.edit(request, ticket_url=address).ticket_url == address
    else:
        with pytest.raises(InvalidInput):
            bench.edit(request, ticket_url=address)


def test_ticket__under_review__stays(bench: Bench) -> None:
    request = bench.submitted()

    with pytest.raises(InvalidInput):
        bench.edit(request, change_set=bench.content(), ticket_url="https://tickets.example.com/1")


def test_set_rule__new_and_stricter__is_in_force_with_its_versions(bench: Bench) -> None:
    world = bench.world

    assert put(world, TWO) is None
    assert put(world, dataclasses.replace(TWO, requirement=Requirement(approvals=3))) is None

    row = PolicyRule.objects.get()
    assert (row.version, [version.version for version in row.versions.all()]) == (2, [2, 1])
    event = AuditEvent.objects.filter(action=Action.POLICY_RULE_CHANGED).latest("sequence")
    assert (data_of(event)["key"], data_of(event)["version"], data_of(event)["authority"]) == (
        "big-steps",
        2,
        "sole_act",
    )
    assert put(world, dataclasses.replace(TWO, requirement=Requirement(approvals=3))) is None
    assert PolicyRuleVersion.objects.count() == 2


def test_set_rule__looser__takes_a_second_administrator(bench: Bench) -> None:
    world = bench.world
    put(world, TWO)
    with pytest.raises(SecondPersonNeeded):
        put(world, dataclasses.replace(TWO, is_active=False))

    off(world, TWO)

    event = AuditEvent.objects.filter(action=Action.POLICY_RULE_CHANGED).latest("sequence")
    assert data_of(event)["authority"] == "joint_act"
    assert data_of(event)["proposed_by"] != data_of(event)["confirmed_by"]


def test_write_rule__looser_by_one_person__is_refused_by_the_service_too(bench: Bench) -> None:
    world = bench.world
    put(world, TWO)
    document = dataclasses.replace(TWO, is_active=False).as_json()
    scope = Scope(world.project, None, TWO.key)

    with pytest.raises(SecondPersonNeeded):
        write_rule(scope, document, actor=actor_of(world.ada), authority=SoleAct(), now=NOW, reason="Alone")


@pytest.mark.parametrize("who", ["rita", "abel", "rolf", "vera", "otto"])
def test_set_rule__without_the_role_administrator__is_refused(bench: Bench, who: str) -> None:
    with pytest.raises(PermissionMissing):
        put(bench.world, TWO, by=getattr(bench.world, who))
    assert not PolicyRule.objects.exists()


BAD: list[tuple[str, Requirement]] = [
    ("a team of nowhere", Requirement(teams=(TeamDemand("00000000-0000-4000-8000-000000000000", 1),))),
    ("nobody", Requirement(people=(PeopleDemand(("00000000-0000-4000-8000-000000000000",), 1),))),
]


@pytest.mark.parametrize("requirement", [row[1] for row in BAD], ids=[row[0] for row in BAD])
def test_set_rule__who_is_named_does_not_exist__is_refused(bench: Bench, requirement: Requirement) -> None:
    with pytest.raises(InvalidInput):
        put(bench.world, dataclasses.replace(TWO, requirement=requirement))


def test_set_rule__bad_key_or_project__is_refused(bench: Bench) -> None:
    with pytest.raises(InvalidInput):
        put(bench.world, dataclasses.replace(TWO, key="no key"))
    with pytest.raises(NotFound):
        set_rule(
            bench.production.pk, key="x", document=TWO.as_json(), actor=actor_of(bench.world.ada), reason="", now=NOW
        )


def test_rules__past_the_services__are_refused_by_the_database(bench: Bench) -> None:
    put(bench.world, TWO)
    row = PolicyRule.objects.get()

    for write in (
        row.save,
        row.delete,
        PolicyRule.objects.all().delete,
        lambda: PolicyRule.objects.update(version=9),
        lambda: PolicyRuleVersion.objects.update(reason="x"),
        PolicyRuleVersion.objects.all().delete,
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            write()


def service(world: World, environment: Any = None, scope: str = "manage") -> Any:
    """A token of production with the scope manage."""
    place = environment or world.production
    return issue_token(place.pk, actor=actor_of(world.ada), name="CI", scope=scope, expires_at=None, now=NOW).token


SERVICE = dataclasses.replace(TWO, requirement=Requirement(service=True))


def say_yes(request: ChangeRequest, token: Any, **fields: Any) -> ChangeRequest:
    return approve_as_service(
        request.pk, **{"token_id": token.pk, "digest": request.digest, "comment": "Green", "now": NOW, **fields}
    )


def test_service__and_a_person__apply_in_either_order(bench: Bench) -> None:
    put(bench.world, SERVICE)
    token = service(bench.world)

    first = bench.submitted()
    assert say_yes(first, token).current_state is RequestState.IN_REVIEW
    assert bench.approve(first).current_state is RequestState.APPLIED

    second = bench.submitted()
    assert bench.approve(second).current_state is RequestState.IN_REVIEW
    assert say_yes(second, token).current_state is RequestState.APPLIED
    event = AuditEvent.objects.filter(action=Action.CHANGE_REQUEST_APPROVED_BY_SERVICE).latest("sequence")
    assert (event.actor_kind, event.reason) == ("service", "Green")


def test_service__two_approvals_demanded__counts_for_none_of_them(bench: Bench) -> None:
    put(bench.world, dataclasses.replace(SERVICE, requirement=Requirement(approvals=2, service=True)))
    request = bench.submitted()

    say_yes(request, service(bench.world))
    say_yes(request, service(bench.world))

    assert bench.approve(request).current_state is RequestState.IN_REVIEW


def test_service__token_is_revoked_before_the_apply__does_not_count(bench: Bench) -> None:
    put(bench.world, SERVICE)
    request, token = bench.submitted(), service(bench.world)
    say_yes(request, token)

    revoke_token(token.pk, actor=actor_of(bench.world.ada), reason="Leaked", now=NOW)

    assert bench.approve(request).current_state is RequestState.IN_REVIEW


def test_service__refusals__by_the_table(bench: Bench) -> None:
    world = bench.world
    unasked = bench.submitted()
    with pytest.raises(ApprovalRefused):
        say_yes(unasked, service(world))
    put(world, SERVICE)
    request = bench.submitted()
    table: list[tuple[Any, dict[str, Any], type[Exception]]] = [
        (service(world, world.staging), {}, NotFound),
        (service(world, scope="audit"), {}, PermissionMissing),
        (service(world), {"digest": "0" * 64}, DigestMismatch),
        (service(world), {"token_id": request.pk}, PermissionMissing),
    ]

    for token, fields, error in table:
        with pytest.raises(error):
            say_yes(request, token, **fields)
    assert not ServiceApproval.objects.exists()


def test_service__second_yes__is_refused(bench: Bench) -> None:
    put(bench.world, SERVICE)
    request, token = bench.submitted(), service(bench.world)
    say_yes(request, token)

    with pytest.raises(ConcurrentUpdate):
        say_yes(request, token)
    assert ServiceApproval.objects.count() == 1


def looked_at(bench: Bench, request: ChangeRequest, *, flipped: int, population: int, **fields: Any) -> None:
    """A finished impact run over the present content, asked for by somebody who did not shape it."""
    with governed_write(request.environment_id):
        ImpactRun.objects.create(
            request=request,
            environment=request.environment,
            digest=fields.pop("digest", request.digest),
            population={"kind": "synthetic"},
            state="done",
            total=population,
            asked_by=bench.world.abel,
            result={"flipped": flipped, "population": population, "flags": []},
            created_at=NOW,
            finished_at=NOW + timedelta(seconds=population),
            correlation_id=request.correlation_id,
        )


def test_facts__impact_runs__count_for_their_content_and_over_enough_people(bench: Bench) -> None:
    request = bench.draft()
    assert facts_of(request, now=NOW).flipped is None

    looked_at(bench, request, flipped=9, population=999)
    looked_at(bench, request, flipped=8, population=5_000, digest="0" * 64)
    assert facts_of(request, now=NOW).flipped is None

    looked_at(bench, request, flipped=7, population=1_000)
    facts = facts_of(request, now=NOW)
    assert (facts.flipped, facts.population) == (7, 1_000)


def test_facts__environment_before__says_how_long_it_soaked(bench: Bench) -> None:
    request = bench.draft()

    assert facts_of(request, now=NOW).soak_hours == 0


def test_impact__rule_about_people__is_met_once_somebody_looked(bench: Bench) -> None:
    put(bench.world, rule(conditions=(condition("flips", at_least=500),)))
    request = bench.submitted()
    assert bench.approve(request).current_state is RequestState.IN_REVIEW
    assert judge(live_case_of(request, now=NOW)).findings[0].unknown

    looked_at(bench, request, flipped=499, population=10_000)

    assert acts.pass_review_if_due(request.pk, now=NOW)
