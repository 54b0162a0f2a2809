"""The replay of a rule over past requests: one line for each that it would have applied to."""

import dataclasses
from typing import Any

import pytest

from rollouts.models import ChangeRequest
from rollouts.policies import Effect, Facts, Requirement, Rule
from rollouts.policies.replay import Outcome, PastRequest, replay
from rollouts.policies.requirements import TeamDemand
from rollouts.selectors.facts import facts_of, known_facts
from rollouts.selectors.replays import replay_rule
from tests.factories import NOW
from tests.rollouts.rule_support import DIRECTORY, FACTS, SECURITY, condition, facts, rule
from tests.rollouts.support import Bench

ONE_SECURITY = rule(requirement=Requirement(teams=(TeamDemand(SECURITY, 1),)))
SERVICE = rule(requirement=Requirement(service=True))


def past(*approvers: str, given: Facts = FACTS, has_service: bool = False) -> PastRequest:
    """A request that these people approved."""
    return PastRequest("1", given, frozenset(approvers), has_service)


LINES: list[tuple[Rule, PastRequest, Outcome | None, str]] = [
    (rule(effect=Effect.REFUSE), past("abel"), Outcome.REFUSED, "It would have been refused."),
    (rule(effect=Effect.WARN), past(), Outcome.WARNED, "Its reviewers would have been warned."),
    (rule(effect=Effect.ALLOW), past(), Outcome.PASSED, "Nothing more would have been demanded."),
    (rule(), past("abel"), Outcome.WAITED, "It would have waited for more: 2 approvals, it had 1."),
    (rule(), past("abel", "ben"), Outcome.PASSED, "It had what the rule demands: 2 people in all."),
    (ONE_SECURITY, past("ben"), Outcome.WAITED, "It would have waited for more: 1 from Security, it had 0."),
    (ONE_SECURITY, past("anna"), Outcome.PASSED, "It had what the rule demands: 1 from Security."),
    (SERVICE, past("abel"), Outcome.WAITED, "It would have waited for more: a service account."),
    (SERVICE, past("abel", has_service=True), Outcome.PASSED, ""),
    (rule(), past(given=facts(direction="narrows")), None, ""),
    (rule(is_active=False), past(), None, ""),
]


@pytest.mark.parametrize(("subject", "request_of_then", "outcome", "sentence"), LINES)
def test_replay__one_request__by_the_table(
    subject: Rule, request_of_then: PastRequest, outcome: Outcome | None, sentence: str
) -> None:
    lines = replay(subject, [request_of_then], DIRECTORY)

    assert [line.outcome for line in lines] == ([outcome] if outcome else [])
    assert not sentence or lines[0].sentence == sentence


def test_replay__fact_is_not_known__is_marked() -> None:
    (line,) = replay(rule(conditions=(condition("jump"),)), [past(given=facts(flags=()))], DIRECTORY) or (None,)

    assert line is None
    (line,) = replay(rule(), [past(given=facts(direction=None))], DIRECTORY)
    assert line is not None
    assert line.unknown == ("whether it widens exposure",)


def test_known_facts__without_stored_ones__are_as_facts_where_they_can_be(bench: Bench) -> None:
    request = bench.submitted()
    kinds = {(bench.world.project.pk, bench.flag.key): bench.flag}

    known, full = known_facts(request, kinds), facts_of(request, now=NOW)

    assert (known.environment_key, known.environment_kind) == (full.environment_key, full.environment_kind)
    assert [flag.key for flag in known.flags] == [flag.key for flag in full.flags]
    assert (known.direction, known.jump, known.lint, known.freezes) == (None, None, None, None)
    assert known.flags[0].applied_at is None


def test_replay_rule__other_people__see_only_what_they_may(bench: Bench) -> None:
    bench.submitted()

    mine = replay_rule(rule(), bench.world.project, bench.world.vera, days=30, now=NOW)
    theirs = replay_rule(rule(), bench.world.project, bench.world.otto, days=30, now=NOW)

    assert (mine.looked_at, theirs.looked_at) == (1, 0)


def test_replay_rule__more_requests__same_number_of_queries(bench: Bench, django_assert_max_num_queries: Any) -> None:
    for share in (20, 30, 40):
        bench.submitted(change_set=bench.content(share))
    candidate = dataclasses.replace(rule(), requirement=Requirement(approvals=3))

    with django_assert_max_num_queries(8):
        found = replay_rule(candidate, bench.world.project, bench.world.rita, days=30, now=NOW)

    assert (len(found.waited), len(found.refused), len(found.uncertain)) == (3, 0, 0)
    assert ChangeRequest.objects.count() == 3
