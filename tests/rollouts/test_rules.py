"""Rules together: the most restrictive wins, a rule more never helps, and what counts as looser."""

import dataclasses
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollouts.policies import (
    Approver,
    Case,
    Directory,
    Effect,
    Finding,
    GivenApproval,
    Policy,
    Requirement,
    Rule,
    ServiceYes,
    Team,
    findings_of,
    is_looser,
    judge,
    may_approve,
)
from rollouts.policies.requirements import PeopleDemand, TeamDemand, combined, covers
from rollouts.policies.rules import rule_problems
from tests.rollouts.rule_support import DIRECTORY, FACTS, LEGAL, SECURITY, condition, facts, flag, rule

PEOPLE = tuple(Approver(name, name.capitalize()) for name in ("abel", "anna", "ben", "cleo"))
DIGEST = "d" * 64


def case(rules: list[Rule], *approved: str, services: tuple[str, ...] = (), **fields: Any) -> Case:
    """Rita asks; Abel, Anna (Security), Ben (Legal) and Cleo are approvers; these people approved."""
    basis = Case(
        requester_id="rita",
        contributor_ids=frozenset({"rita"}),
        digest=DIGEST,
        policy=Policy(),
        submitted_policy=Policy(),
        role_holders=PEOPLE,
        approvals=tuple(GivenApproval(name, name.capitalize(), DIGEST) for name in approved),
        findings=findings_of(rules, fields.pop("facts", FACTS), DIRECTORY),
        directory=DIRECTORY,
        service_approvals=tuple(ServiceYes(name, DIGEST) for name in services),
    )
    return dataclasses.replace(basis, **fields)


def demanding(**fields: Any) -> Rule:
    """A rule that applies and demands this."""
    return rule(requirement=Requirement(**fields))


TWO_SECURITY = demanding(teams=(TeamDemand(SECURITY, 2),))
EACH = demanding(teams=(TeamDemand(SECURITY, 1), TeamDemand(LEGAL, 1)))
NAMED = demanding(people=(PeopleDemand(("ben", "cleo"), 1),))
OWNERS = demanding(owner_teams=True)
SERVICE = demanding(service=True)

SATISFIED: list[tuple[str, Case, bool, list[str]]] = [
    ("count: one of two", case([rule()], "abel"), False, ["anna", "ben", "cleo"]),
    ("count: both", case([rule()], "abel", "cleo"), True, ["anna", "ben"]),
    ("team: one of two", case([TWO_SECURITY], "abel"), False, ["anna"]),
    ("team: others do not help", case([TWO_SECURITY], "ben", "cleo"), False, ["abel", "anna"]),
    ("team: both", case([TWO_SECURITY], "abel", "anna"), True, ["ben", "cleo"]),
    ("each: one of them", case([EACH], "abel"), False, ["ben"]),
    ("each: one of each", case([EACH], "abel", "ben"), True, ["anna", "cleo"]),
    ("named: another", case([NAMED], "abel"), False, ["ben", "cleo"]),
    ("named: one of them", case([NAMED], "cleo"), True, ["abel", "anna", "ben"]),
    ("owner team: another", case([OWNERS], "cleo"), False, ["abel", "anna"]),
    ("owner team: one of it", case([OWNERS], "anna"), True, ["abel", "ben", "cleo"]),
    ("owner team: none", case([OWNERS], "anna", facts=facts(flags=flag(owner_team=None))), False, []),
    ("service: a person alone", case([SERVICE], "abel"), False, ["anna", "ben", "cleo"]),
    ("service: alone", case([SERVICE], services=("CI",)), False, ["abel", "anna", "ben", "cleo"]),
    ("service and human", case([SERVICE], "abel", services=("CI",)), True, ["anna", "ben", "cleo"]),
    ("service: no rule asks for it", case([], services=("CI",)), False, ["abel", "anna", "ben", "cleo"]),
    ("gone team", case([TWO_SECURITY], "abel", "anna", directory=Directory()), False, []),
    ("warn", case([rule(effect=Effect.WARN)], "abel"), True, ["anna", "ben", "cleo"]),
    ("allow", case([rule(effect=Effect.ALLOW)]), False, ["abel", "anna", "ben", "cleo"]),
    ("inactive", case([dataclasses.replace(TWO_SECURITY, is_active=False)], "cleo"), True, ["abel", "anna", "ben"]),
    ("two rules", case([TWO_SECURITY, dataclasses.replace(NAMED, key="n")], "abel", "anna"), False, ["ben", "cleo"]),
]


@pytest.mark.parametrize(
    ("subject", "is_satisfied", "may"), [row[1:] for row in SATISFIED], ids=[r[0] for r in SATISFIED]
)
def test_judge__demands_of_rules__by_the_table(subject: Case, is_satisfied: bool, may: list[str]) -> None:
    verdict = judge(subject)

    assert verdict.is_satisfied is is_satisfied
    assert sorted(person.id for person in verdict.may_still_approve) == may


def test_judge__requester_is_in_the_team__does_not_count() -> None:
    subject = case([TWO_SECURITY], "abel", "anna", requester_id="anna", contributor_ids=frozenset({"anna"}))

    verdict = judge(subject)

    assert not verdict.is_satisfied
    assert not verdict.is_reachable
    assert "nobody can give it" in verdict.sentences[0]


def test_judge__demanded_person_is_not_named_by_the_policy__counts_for_the_demand_only() -> None:
    named = Policy(1, frozenset({"cleo"}))
    fields: dict[str, Any] = {"policy": named, "submitted_policy": named}

    assert may_approve(case([EACH], **fields), "abel") is None
    assert may_approve(case([], **fields), "abel") is not None
    assert not judge(case([EACH], "abel", "ben", **fields)).is_satisfied
    assert judge(case([EACH], "abel", "ben", "cleo", **fields)).is_satisfied


def test_judge__what_is_missing__is_said_first_with_rule_and_people() -> None:
    verdict = judge(case([TWO_SECURITY], "abel"))

    assert verdict.sentences[:2] == (
        "“Big steps” demands 2 from Security. Abel approved. Can approve: Anna.",
        "Has the 1 approval it needs: Abel.",
    )
    assert judge(case([SERVICE], "abel")).sentences[0].startswith("“Big steps” demands that a service account")


def test_judge__rule_refuses__is_a_refusal_and_no_lack_of_approvals() -> None:
    verdict = judge(case([rule(effect=Effect.REFUSE)], "abel"))

    assert verdict.is_satisfied
    assert [finding.rule_key for finding in verdict.refusals] == ["big-steps"]


def test_finding__stored_and_read__is_the_same() -> None:
    for finding in findings_of([EACH, rule("warns", effect=Effect.WARN)], FACTS, DIRECTORY):
        assert Finding.from_json(finding.as_json()) == finding


def test_sentence__rule_of_the_brief__reads_as_a_sentence() -> None:
    subject = dataclasses.replace(
        TWO_SECURITY,
        conditions=(
            condition("environment_kind", kinds=["production"]),
            condition("direction"),
            condition("jump", at_least=25),
        ),
    )

    assert subject.sentence(DIRECTORY) == (
        "When a change is for production, widens exposure and raises a share by 25 points or more, 2 from Security "
        "must approve."
    )


_requirements = st.builds(
    Requirement,
    approvals=st.integers(0, 4),
    teams=st.lists(st.builds(TeamDemand, st.sampled_from([SECURITY, LEGAL]), st.integers(1, 2)), max_size=2).map(tuple),
    people=st.lists(st.builds(PeopleDemand, st.sampled_from([("abel",), ("ben", "cleo")]), st.just(1)), max_size=2).map(
        tuple
    ),
    owner_teams=st.booleans(),
    service=st.booleans(),
)
_conditions = st.lists(
    st.sampled_from(
        [
            condition("direction"),
            condition("direction", directions=["narrows"]),
            condition("flips", at_least=10),
            condition("client_visible"),
            condition("jump", at_least=30),
            condition("jump", at_least=60),
        ]
    ),
    min_size=1,
    max_size=2,
).map(tuple)


@st.composite
def _rules(draw: st.DrawFn) -> Rule:
    effect = draw(st.sampled_from(Effect))
    wanted = draw(_requirements) if effect is Effect.REQUIRE else Requirement()
    key, active = draw(st.sampled_from("abcdef")), draw(st.booleans())
    return rule(key, effect=effect, conditions=draw(_conditions), requirement=wanted, is_active=active)


_approved = st.sets(st.sampled_from([person.id for person in PEOPLE]))
_services = st.sampled_from([(), ("CI",)])


@settings(max_examples=300, deadline=None)
@given(st.lists(_rules(), max_size=5), _rules(), _approved, _services, st.randoms(use_true_random=False))
def test_rules__one_more__never_makes_a_change_easier_and_order_never_matters(
    rules: list[Rule], more: Rule, approved: set[str], services: tuple[str, ...], dice: random.Random
) -> None:
    before = judge(case(rules, *sorted(approved), services=services))
    after = judge(case([*rules, more], *sorted(approved), services=services))
    shuffled = [*rules, more]
    dice.shuffle(shuffled)

    assert before.is_satisfied >= after.is_satisfied
    assert set(before.refusals) <= set(after.refusals)
    assert before.missing <= after.missing
    assert before.required <= after.required
    assert judge(case(shuffled, *sorted(approved), services=services)) == after


@settings(max_examples=300, deadline=None)
@given(_rules(), _rules(), _approved, _services, st.sampled_from(["widens", "narrows", None]), st.booleans())
def test_is_looser__says_no__nothing_passes_that_was_stopped(
    before: Rule, after: Rule, approved: set[str], services: tuple[str, ...], direction: str | None, visible: bool
) -> None:
    if is_looser(before, after):
        return
    seen = facts(direction=direction, flags=flag(is_client_visible=visible), flipped=None)
    old = judge(case([before], *sorted(approved), services=services, facts=seen))
    new = judge(case([after], *sorted(approved), services=services, facts=seen))

    # A rule that refuses where it demanded stops as well.
    assert new.refusals or old.is_satisfied >= new.is_satisfied
    assert bool(new.refusals) >= bool(old.refusals)


WIDE, NARROW = (condition("jump", at_least=10),), (condition("jump", at_least=20), condition("client_visible"))
LOOSER = [
    ("a new rule", None, rule(), False),
    ("removed", rule(), None, True),
    ("switched off", rule(), rule(is_active=False), True),
    ("switched on", rule(is_active=False), rule(), False),
    ("allow removed", rule(effect=Effect.ALLOW), None, False),
    ("warning removed", rule(effect=Effect.WARN), None, True),
    ("warn to require", rule(effect=Effect.WARN), rule(), False),
    ("refuse to require", rule(effect=Effect.REFUSE), rule(), True),
    ("require to refuse", rule(), rule(effect=Effect.REFUSE), False),
    ("other words", rule(), rule(name="New", rationale="of something"), False),
    ("more approvals", rule(), rule(requirement=Requirement(approvals=3)), False),
    ("fewer approvals", rule(), rule(requirement=Requirement(approvals=1)), True),
    ("another team", TWO_SECURITY, demanding(teams=(TeamDemand(LEGAL, 2),)), True),
    ("one team more", TWO_SECURITY, demanding(teams=(TeamDemand(LEGAL, 1), TeamDemand(SECURITY, 2))), False),
    ("more people to choose from", demanding(people=(PeopleDemand(("a",), 1),)), NAMED, True),
    ("fewer to choose from", NAMED, demanding(people=(PeopleDemand(("ben",), 1),)), False),
    ("fewer conditions, lower threshold", rule(conditions=NARROW), rule(conditions=WIDE), False),
    ("more conditions, higher threshold", rule(conditions=WIDE), rule(conditions=NARROW), True),
    (
        "any segment",
        rule(conditions=(condition("segment", keys=["a"]),)),
        rule(conditions=(condition("segment"),)),
        False,
    ),
    (
        "one segment only",
        rule(conditions=(condition("segment"),)),
        rule(conditions=(condition("segment", keys=["a"]),)),
        True,
    ),
    (
        "shorter soak",
        rule(conditions=(condition("short_soak", hours=24),)),
        rule(conditions=(condition("short_soak", hours=12),)),
        True,
    ),
]


@pytest.mark.parametrize(("before", "after", "expected"), [row[1:] for row in LOOSER], ids=[row[0] for row in LOOSER])
def test_is_looser__by_the_table(before: Rule | None, after: Rule | None, expected: bool) -> None:
    assert is_looser(before, after) is expected


@given(_requirements, _requirements)
def test_combined__two_requirements__covers_both_in_any_order(first: Requirement, second: Requirement) -> None:
    both = combined([first, second])

    assert covers(both, first)
    assert covers(both, second)
    assert both == combined([second, first]) == combined([both, first])


BAD_RULES: list[tuple[str, Any]] = [
    ("name", {"name": " "}),
    ("name", {"name": "x" * 121}),
    ("rationale", {"rationale": ""}),
    ("effect", {"effect": "bribe"}),
    ("conditions", {"conditions": []}),
    ("conditions", {"conditions": [condition("direction").as_json()] * 2}),
    ("is_active", {"is_active": 1}),
    ("requirement", {"requirement": Requirement().as_json()}),
    ("requirement", {"effect": "warn"}),
    ("requirement", {"requirement": {**Requirement(approvals=1).as_json(), "approvals": 11}}),
    ("requirement", {"requirement": {**Requirement().as_json(), "unowned": ["a"]}}),
    ("requirement", {"requirement": {**Requirement().as_json(), "teams": [{"team": "x", "count": 1}]}}),
    ("requirement", {"requirement": {**Requirement().as_json(), "teams": [{"team": SECURITY, "count": 0}]}}),
    ("requirement", {"requirement": {**Requirement().as_json(), "teams": [{"team": SECURITY, "count": 1}] * 2}}),
    ("requirement", {"requirement": {**Requirement().as_json(), "people": [{"ids": [SECURITY], "count": 2}]}}),
    ("", {"more": 1}),
]


@pytest.mark.parametrize(("field", "changes"), BAD_RULES)
def test_rule_problems__bad_document__names_the_field(field: str, changes: dict[str, Any]) -> None:
    assert field in [path for path, _ in rule_problems({**rule().as_json(), **changes})]


def test_rule__stored_and_read__is_the_same() -> None:
    for subject in (EACH, rule(effect=Effect.WARN), OWNERS):
        assert rule_problems(subject.as_json()) == []
        assert Rule.from_json(subject.as_json(), key=subject.key, version=subject.version) == subject


def test_team__name__stands_in_the_demand() -> None:
    directory = Directory({SECURITY: Team("Sicherheit", frozenset({"abel"}))})

    assert TWO_SECURITY.consequence(directory) == "2 from Sicherheit must approve"
