"""Outside checks of a stage: asked now and then, the last answer kept."""

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from rollouts.models import RolloutPlan, StageCheck
from rollouts.plans.definition import Check, CheckKind
from rollouts.services import outside as asking
from rollouts.services import probes
from rollouts.services.outside import Outside
from rollouts.services.stage_checks import ASKED_EVERY, check_problems, refresh_checks
from tests.factories import NOW
from tests.rollouts.plans.support import PlanBench, definition_of

pytestmark = pytest.mark.django_db

READY = Check("Ready", CheckKind.HTTP, url="https://checks.example.org/ready")
LOAD = Check("Load", CheckKind.PROMETHEUS, query="load", operator="<=", threshold=0.5)


@pytest.fixture
def bench(world: Any) -> PlanBench:
    return PlanBench(world, world.first_flag)


@pytest.fixture
def plan(bench: PlanBench) -> RolloutPlan:
    return bench.started(gates={1: {"checks": (READY, LOAD)}})


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """What the outside says from now on; gives what was asked."""

    def use(status: Any = 200, load: Any = 0.5) -> list[str]:
        asked: list[str] = []

        def answer(what: str, value: Any) -> Any:
            asked.append(what)
            if isinstance(value, Exception):
                raise value
            return value

        monkeypatch.setattr(probes, "get", lambda url: answer(url, status))
        monkeypatch.setattr(probes, "query", lambda text, at: answer(text, load))
        return asked

    return use


def refreshed(plan: RolloutPlan, *, now: datetime) -> list[StageCheck]:
    """The plan's checks after a look at which everything could be asked."""
    assert refresh_checks([plan], Outside(), now=now) == set()
    return [StageCheck.objects.get(plan=plan, name=name) for name in ("Ready", "Load")]


@pytest.mark.parametrize(
    ("status", "load", "outcomes"),
    [
        (200, 0.5, ["passed", "passed"]),
        (204, 0.0, ["passed", "passed"]),
        (302, 0.51, ["failed", "failed"]),
        (500, None, ["failed", "error"]),
        (probes.ProbeError("Away."), probes.ProbeError("Away."), ["error", "error"]),
    ],
)
def test_refresh__answers__passed_failed_or_error(
    status: Any, load: Any, outcomes: list[str], plan: RolloutPlan, outside: Any
) -> None:
    outside(status, load)

    assert [check.outcome for check in refreshed(plan, now=NOW)] == outcomes
    assert {check.name for check in StageCheck.objects.all()} == {"Ready", "Load"}


def test_refresh__asked_a_moment_ago__last_answer_without_asking(plan: RolloutPlan, outside: Any) -> None:
    outside(200)
    refreshed(plan, now=NOW)
    asked = outside(500)

    soon = refreshed(plan, now=NOW + ASKED_EVERY - timedelta(seconds=1))
    assert (asked, soon[0].outcome) == ([], "passed")

    later = refreshed(plan, now=NOW + ASKED_EVERY)
    assert (sorted(asked), later[0].outcome) == (["https://checks.example.org/ready", "load"], "failed")


def test_refresh__errors__are_counted_until_there_is_an_answer(plan: RolloutPlan, outside: Any) -> None:
    outside(probes.ProbeError("Away."))
    for number in range(3):
        refreshed(plan, now=NOW + number * ASKED_EVERY)
    assert StageCheck.objects.get(name="Ready").errors_in_a_row == 3

    outside(200)
    refreshed(plan, now=NOW + 3 * ASKED_EVERY)

    assert StageCheck.objects.get(name="Ready").errors_in_a_row == 0


def test_refresh__clock_went_back__is_asked_again(plan: RolloutPlan, outside: Any) -> None:
    outside(200)
    refreshed(plan, now=NOW + timedelta(days=365))
    asked = outside(500)

    assert refreshed(plan, now=NOW)[0].outcome == "failed"
    assert asked


def test_refresh__stage_without_checks__asks_nobody(bench: PlanBench, outside: Any) -> None:
    asked = outside(200)

    assert refresh_checks([bench.started()], Outside(), now=NOW) == set()
    assert asked == []


def test_refresh__many_plans_with_one_address__it_is_asked_once(
    bench: PlanBench, outside: Any, django_assert_num_queries: Any
) -> None:
    plans = []
    for number in range(3):
        flag = bench.world.flag(f"flag-{number}")
        plans.append(bench.started(definition_of(flag.key, gates={1: {"checks": (READY,)}})))
    asked = outside(200)

    with django_assert_num_queries(2):
        assert refresh_checks(plans, Outside(), now=NOW) == set()

    assert (asked, StageCheck.objects.filter(outcome="passed").count()) == ([READY.url], 3)


def test_refresh__no_time_left__what_was_asked_longest_ago_comes_first_and_the_rest_stays(
    plan: RolloutPlan, bench: PlanBench, outside: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Check("Other", CheckKind.HTTP, url="https://checks.example.org/other")
    flag = bench.world.flag("second")
    second = bench.started(definition_of(flag.key, gates={1: {"checks": (other,)}}))
    outside(200)
    refreshed(plan, now=NOW)
    asked = outside(500)

    class Short(Outside):
        def ask(self, questions: Any) -> None:
            super().ask(list(questions)[:1])

    assert refresh_checks([plan, second], Short(), now=NOW + ASKED_EVERY) == {plan.pk}

    assert asked == [other.url]
    assert StageCheck.objects.get(name="Ready").outcome == "passed"
    assert StageCheck.objects.get(name="Ready").checked_at == NOW


def test_outside__slow_answers__take_the_time_for_all_of_them_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, end = [], threading.Event()

    def tarpit(url: str) -> int:
        begun.append(url)
        end.wait(5)
        return 200

    monkeypatch.setattr(probes, "get", tarpit)
    questions = [asking.Address(f"https://checks.example.org/{number}") for number in range(100)]
    found = Outside(0.2)

    began = time.monotonic()
    found.ask(questions)
    found.ask([asking.Address("https://checks.example.org/later")])
    took = time.monotonic() - began
    end.set()

    assert took < 2
    assert len(begun) == asking.AT_ONCE
    with pytest.raises(asking.NotAsked):
        found.said(questions[0])


def test_outside__something_nobody_thought_of__is_an_error_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "get", lambda url: 1 / 0)
    question, found = asking.Address("https://checks.example.org/"), Outside()

    found.ask([question])

    with pytest.raises(probes.ProbeError, match="could not ask it"):
        found.said(question)


@pytest.mark.parametrize("url", ["http://169.254.169.254/", "http://localhost/", "ftp://checks.example.org/"])
def test_problems__address_inside__is_told_with_its_place(url: str) -> None:
    definition = definition_of(gates={2: {"checks": (READY, Check("Inside", CheckKind.HTTP, url=url))}})

    assert [path for path, _ in check_problems(definition)] == ["stages.1.gates.checks.1.url"]
