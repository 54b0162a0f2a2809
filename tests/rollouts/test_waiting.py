"""Who waits for whom: the quick way, which reads rules only where they can matter, says what judging in full says."""

import random
from contextlib import suppress
from typing import Any

import pytest

from audits.errors import GovernanceError
from flags.permissions import Role
from rollouts.models import ChangeRequest
from rollouts.policies import Requirement, judge, may_approve
from rollouts.policies.requirements import PeopleDemand, TeamDemand
from rollouts.selectors import case_of, visible_requests, waiting_for, waiting_ids
from rollouts.transitions import Act
from tests.factories import NOW, SOON
from tests.rollouts.rule_support import rule
from tests.rollouts.support import Bench, perform
from tests.rollouts.test_rule_service import WIDENS, put, team


def _lacks(request: ChangeRequest, person: Any) -> bool:
    """What waiting means, judged in full for one request."""
    case = case_of(request)
    verdict = judge(case)
    can = {one.id for one in verdict.may_still_approve}
    return may_approve(case, str(person.pk)) is None and not verdict.is_satisfied and str(person.pk) in can


def _crowd(bench: Bench, dice: random.Random) -> None:
    """Requests in every shape that decides who is asked: rules, named people, approvals, objections, edits, roles."""
    world = bench.world
    legal = team(world, "Legal", world.anna)
    demands = [
        rule("two", conditions=WIDENS, requirement=Requirement(approvals=2)),
        rule("legal", conditions=WIDENS, requirement=Requirement(teams=(TeamDemand(legal, 1),))),
        rule("service", conditions=WIDENS, requirement=Requirement(service=True)),
        rule("anna", conditions=WIDENS, requirement=Requirement(people=(PeopleDemand((str(world.anna.pk),), 1),))),
    ]
    world.grant(world.rolf, bench.production, Role.APPROVER, Role.EDITOR)
    for _ in range(9):
        match dice.randrange(6):
            case 0 if demands:
                put(world, demands.pop(dice.randrange(len(demands))))
            case 1:
                bench.require(*dice.choice([(1,), (2,), (1, world.abel), (2, world.anna, world.rolf)]))
        request = bench.submitted(by=dice.choice([world.rita, world.rolf]), apply_at=SOON)
        if dice.random() < 0.3:
            bench.edit(request, by=world.rolf)
        for person in dice.sample([world.abel, world.anna, world.rolf], dice.randrange(3)):
            act = dice.choice([Act.APPROVE, Act.APPROVE, Act.REQUEST_CHANGES, Act.ABSTAIN])
            with suppress(GovernanceError):
                perform(bench, request, act, by=person)


@pytest.mark.parametrize("seed", range(5))
def test_waiting_for__any_requests__is_what_judging_each_in_full_says(bench: Bench, seed: int) -> None:
    _crowd(bench, random.Random(seed))
    world = bench.world
    found = {}

    for person in (world.rita, world.abel, world.anna, world.rolf, world.vera, world.otto, world.ada):
        shown = visible_requests(person).filter(state__in=["in_review", "approved"]).order_by("submitted_at", "number")
        expected = [row.pk for row in shown if _lacks(row, person)]
        found[person.first_name] = waiting_ids(person, now=NOW)
        assert found[person.first_name] == expected
        assert [row.pk for row in waiting_for(person, now=NOW)] == expected

    assert any(found.values())


def test_waiting_for__objection_and_another_team_to_ask__does_not_ask_people_who_cannot_help(bench: Bench) -> None:
    world = bench.world
    world.grant(world.rolf, bench.production, Role.APPROVER)
    demand = Requirement(teams=(TeamDemand(team(world, "Legal", world.anna), 1),))
    put(world, rule("legal", conditions=WIDENS, requirement=demand))
    request = bench.submitted(apply_at=SOON)
    bench.approve(request)
    perform(bench, request, Act.REQUEST_CHANGES, by=world.anna)

    assert waiting_ids(world.rolf, now=NOW) == []
    assert waiting_ids(world.anna, now=NOW) == [request.pk]
