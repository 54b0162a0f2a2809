"""What stands in the way of a plan from outside, read for many plans at once."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from flags.models import Environment, LocalKill
from flags.services.projects import set_protection
from rollouts.models import RolloutPlan
from rollouts.selectors.plans.signals import Signal, signal_of, surroundings_of
from rollouts.services.incidents import close_incident, open_incident
from tests.factories import NOW, actor_of, percent_document
from tests.rollouts.plans.support import PlanBench, definition_of, reloaded, stages_of

pytestmark = pytest.mark.django_db

LATER = NOW + timedelta(minutes=5)


def _signal(plan: RolloutPlan) -> Signal | None:
    fresh = reloaded(plan)
    return signal_of(fresh, surroundings_of([fresh], now=LATER))


def _declare(bench: PlanBench, environment: Environment | None) -> Any:
    told: dict[str, Any] = {"title": "Payments are slow", "severity": "major", "link": "", "now": NOW}
    place = environment.pk if environment else None
    return open_incident(bench.world.project.pk, environment_id=place, actor=actor_of(bench.world.ada), **told)


def _close(bench: PlanBench) -> None:
    incident = _declare(bench, bench.staging)
    close_incident(incident.pk, actor=actor_of(bench.world.ada), reason="Over", now=NOW)


def _kill(bench: PlanBench, **fields: Any) -> None:
    LocalKill.objects.create(
        environment=bench.staging,
        flag_key=bench.flag.key,
        variant="off",
        host="web-1",
        since=NOW,
        noticed_at=NOW,
        **fields,
    )


def _change(bench: PlanBench) -> None:
    bench.world.serve(bench.flag, bench.staging, percent_document(bench.flag.key, 33))


CASES: list[tuple[str, Callable[[PlanBench], Any], str, str]] = [
    ("nothing", lambda bench: None, "", ""),
    (
        "incident here",
        lambda bench: _declare(bench, bench.staging),
        "incident_open",
        "“Payments are slow” is open in St",
    ),
    ("incident everywhere", lambda bench: _declare(bench, None), "incident_open", "open in the whole project"),
    ("incident elsewhere", lambda bench: _declare(bench, bench.production), "", ""),
    ("incident that is over", _close, "", ""),
    ("kill list", _kill, "flag_forced", "A kill list forces “checkout-redesign” on web-1"),
    ("kill list that was lifted", lambda bench: _kill(bench, lifted_at=NOW), "", ""),
    ("somebody else", _change, "plan_moved_ground", "Somebody else changed “checkout-redesign” in Staging"),
]


@pytest.mark.parametrize(("name", "happens", "code", "words"), CASES, ids=[case[0] for case in CASES])
def test_signal__by_what_happened(
    name: str, happens: Callable[[PlanBench], Any], code: str, words: str, bench: PlanBench
) -> None:
    plan = bench.started()

    happens(bench)

    found = _signal(plan)
    assert (found.code if found else "") == code
    assert words in (found.message if found else "")


def test_signal__of_an_environment_that_became_protected__nobody_approved(bench: PlanBench) -> None:
    plan = bench.started()

    set_protection(bench.staging.pk, actor=actor_of(bench.world.ada), is_protected=True, now=NOW, reason="Audit")

    found = _signal(plan)
    assert found is not None
    assert found.code == "plan_without_consent"


def test_signals__of_many_plans__take_as_many_queries_as_of_one(
    bench: PlanBench, django_assert_num_queries: Any
) -> None:
    plans = [bench.started()]
    for number in range(5):
        flag = bench.world.flag(f"flag-{number}")
        plans.append(bench.started(definition_of(flag.key, stages=stages_of(flag.key))))
    rows = [reloaded(plan) for plan in plans]

    for some in (rows[:1], rows):
        with django_assert_num_queries(4):
            surroundings = surroundings_of(some, now=LATER)
            assert [signal_of(plan, surroundings) for plan in some] == [None] * len(some)
