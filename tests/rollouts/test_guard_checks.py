"""Outside checks of a stage: asked now and then, the last answer kept."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from rollouts.models import RolloutPlan, StageCheck
from rollouts.plans.definition import Check, CheckKind
from rollouts.services import probes
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

    checks = refresh_checks(plan, now=NOW)

    assert [check.outcome for check in checks] == outcomes
    assert [check.name for check in checks] == ["Ready", "Load"]
    assert {check.name for check in StageCheck.objects.all()} == {"Ready", "Load"}


def test_refresh__asked_a_moment_ago__last_answer_without_asking(plan: RolloutPlan, outside: Any) -> None:
    outside(200)
    refresh_checks(plan, now=NOW)
    asked = outside(500)

    soon = refresh_checks(plan, now=NOW + ASKED_EVERY - timedelta(seconds=1))
    assert (asked, soon[0].outcome) == ([], "passed")

    later = refresh_checks(plan, now=NOW + ASKED_EVERY)
    assert (asked, later[0].outcome) == (["https://checks.example.org/ready", "load"], "failed")


def test_refresh__errors__are_counted_until_there_is_an_answer(plan: RolloutPlan, outside: Any) -> None:
    outside(probes.ProbeError("Away."))
    for number in range(3):
        refresh_checks(plan, now=NOW + number * ASKED_EVERY)
    assert StageCheck.objects.get(name="Ready").errors_in_a_row == 3

    outside(200)
    refresh_checks(plan, now=NOW + 3 * ASKED_EVERY)

    assert StageCheck.objects.get(name="Ready").errors_in_a_row == 0


def test_refresh__clock_went_back__is_asked_again(plan: RolloutPlan, outside: Any) -> None:
    outside(200)
    refresh_checks(plan, now=NOW + timedelta(days=365))
    asked = outside(500)

    assert refresh_checks(plan, now=NOW)[0].outcome == "failed"
    assert asked


def test_refresh__stage_without_checks__asks_nobody(bench: PlanBench, outside: Any) -> None:
    asked = outside(200)

    assert refresh_checks(bench.started(), now=NOW) == ()
    assert asked == []


@pytest.mark.parametrize("url", ["http://169.254.169.254/", "http://localhost/", "ftp://checks.example.org/"])
def test_problems__address_inside__is_told_with_its_place(url: str) -> None:
    definition = definition_of(gates={2: {"checks": (READY, Check("Inside", CheckKind.HTTP, url=url))}})

    assert [path for path, _ in check_problems(definition)] == ["stages.1.gates.checks.1.url"]
