"""Test traffic: from the button to the counts, never where it would mislead anybody; the command with real calls."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from audits.actions import Action
from audits.models import AuditEvent
from flags import snapshots
from flags.api import edge
from flags.errors import InvalidInput, PermissionMissing
from flags.models import EvaluationCount, MetricCount
from flags.services.telemetry_places import forget_places
from flags.services.tokens import issue_token
from rollouts import tasks
from rollouts.models import RolloutPlan
from rollouts.services.plans import acting
from rollouts.services.test_traffic import LASTS, PEOPLE, Run, prepare_test_traffic, send_some
from tests.factories import NOW, actor_of
from tests.rollouts.guard_support import guard
from tests.rollouts.plans.support import PlanBench, definition_of, reloaded, stages_of
from tests.support.admin import signed_in

HALF = stages_of("checkout-redesign", shares=((50_000, 30), (100_000, 30)))


@pytest.fixture(autouse=True)
def _own_state(settings: Any) -> Any:
    settings.REDIS_URL = ""
    settings.DEMO = False
    forget_places()
    yield
    forget_places()


@pytest.fixture
def bench(world: Any) -> PlanBench:
    return PlanBench(world, world.first_flag)


@pytest.fixture
def plan(bench: PlanBench) -> RolloutPlan:
    """A plan with a guard at its first stage, in staging."""
    return bench.started(definition_of("checkout-redesign", stages=HALF, guards=(guard(),)))


def prepared(plan: RolloutPlan, bench: PlanBench, scenario: str = "healthy", **more: Any) -> Run:
    return prepare_test_traffic(plan.pk, scenario=scenario, actor=actor_of(more.get("by", bench.world.rita)), now=NOW)


def counts(plan: RolloutPlan) -> dict[str, tuple[int, int]]:
    rows = MetricCount.objects.filter(environment=plan.environment, metric="errors")
    return {row.variant: (row.units or 0, row.bad_units or 0) for row in rows}


@pytest.mark.parametrize("scenario", ["healthy", "breach"])
def test_send__people__are_counted_as_the_story_says(
    scenario: str, bench: PlanBench, plan: RolloutPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Everybody draws 10 %: bad where the part is 40 %, good where it is 5 %.
    monkeypatch.setattr("rollouts.services.test_traffic.secrets.randbelow", lambda most: most // 10)

    assert send_some(prepared(plan, bench, scenario), now=NOW)

    found = counts(plan)
    assert sum(units for units, _ in found.values()) == PEOPLE
    assert found["off"][1] == 0
    assert found["on"][1] == (found["on"][0] if scenario == "breach" else 0)
    assert sum(EvaluationCount.objects.values_list("count", flat=True)) == PEOPLE


def test_send__again_in_the_same_seconds__counts_once(bench: PlanBench, plan: RolloutPlan) -> None:
    run = prepared(plan, bench)

    for seconds in (0, 2, 10):
        send_some(run, now=NOW + timedelta(seconds=seconds))

    assert sum(units for units, _ in counts(plan).values()) == 2 * PEOPLE


@pytest.mark.parametrize("after", [LASTS, timedelta(days=1), -timedelta(seconds=1)])
def test_send__outside_its_time__has_ended(after: timedelta, bench: PlanBench, plan: RolloutPlan) -> None:
    assert not send_some(prepared(plan, bench), now=NOW + after)
    assert counts(plan) == {}


def test_send__plan_that_was_ended__stops(bench: PlanBench, plan: RolloutPlan) -> None:
    run, found = prepared(plan, bench), reloaded(plan)
    acting.abort_plan(plan.pk, actor=actor_of(bench.world.rolf), now=NOW, sequence=found.sequence, reason="Enough")

    assert not send_some(run, now=NOW)


def test_prepare__while_another_runs__is_refused_and_possible_later(bench: PlanBench, plan: RolloutPlan) -> None:
    send_some(prepared(plan, bench), now=NOW)

    with pytest.raises(InvalidInput, match="on its way already"):
        prepared(plan, bench)
    later = NOW + timedelta(minutes=1)
    again = prepare_test_traffic(plan.pk, scenario="gap", actor=actor_of(bench.world.rita), now=later)
    assert again.began_at == later


def test_prepare__run__is_on_record(bench: PlanBench, plan: RolloutPlan) -> None:
    prepared(plan, bench, "breach")

    [event] = AuditEvent.objects.filter(action=Action.PLAN_TEST_TRAFFIC_ASKED)
    assert (event.target_id, event.actor_id) == (str(plan.pk), str(bench.world.rita.pk))
    assert json.loads(event.data)["scenario"] == "breach"


def test_prepare__viewer__may_not(bench: PlanBench, plan: RolloutPlan) -> None:
    with pytest.raises(PermissionMissing):
        prepared(plan, bench, by=bench.world.vera)


def test_prepare__production__is_refused_but_for_the_demo(bench: PlanBench, settings: Any) -> None:
    plan = bench.approved_and_started(definition_of("checkout-redesign", stages=HALF, guards=(guard(),)))

    with pytest.raises(InvalidInput, match="outside production"):
        prepared(plan, bench)
    settings.DEMO = True
    assert prepared(plan, bench).plan_id == plan.pk


def test_prepare__plan_without_guards__is_refused(bench: PlanBench) -> None:
    unguarded = bench.started(definition_of("checkout-redesign", stages=HALF))

    with pytest.raises(InvalidInput, match="run with guards"):
        prepared(unguarded, bench)


def test_prepare__unknown_scenario__is_refused(bench: PlanBench, plan: RolloutPlan) -> None:
    with pytest.raises(InvalidInput, match="Choose what should happen"):
        prepared(plan, bench, "nonsense")


def test_button__editor__sends_until_the_time_is_over(
    bench: PlanBench, plan: RolloutPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    bells: list[dict[str, Any]] = []
    monkeypatch.setattr(tasks.send_test_traffic, "apply_async", lambda **bell: bells.append(bell))
    page = reverse("admin:rollouts_rolloutplan_change", args=[plan.pk])
    client = signed_in(bench.world.rita)

    offered = client.get(page).content.decode()
    answer = client.post(reverse("admin:rollouts_plan_act", args=[plan.pk, "test_traffic"]), {"scenario": "breach"})

    assert "Send test traffic" in offered
    assert answer.status_code == 302
    assert "Send test traffic" not in signed_in(bench.world.vera).get(page).content.decode()
    assert tasks.send_test_traffic(**bells[0]["kwargs"]) is True
    assert [bell["countdown"] for bell in bells] == [0, 10]
    over = {**bells[0]["kwargs"], "began_at": (timezone.now() - LASTS).isoformat()}
    assert tasks.send_test_traffic(**over) is False
    assert len(bells) == 2


@pytest.mark.django_db(transaction=True)
def test_command__real_server__evaluates_and_reports(
    live_server: Any, bench: PlanBench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = bench.started(definition_of("checkout-redesign", stages=HALF, guards=(guard(),)))
    edge.reset()
    tokens = {}
    for scope in ("evaluate", "telemetry"):
        tokens[scope] = issue_token(
            plan.environment_id, actor=actor_of(bench.world.ada), name=scope, scope=scope, expires_at=None, now=NOW
        ).secret
    snapshots.store.reset()
    facts = tmp_path / "facts.json"
    facts.write_text(json.dumps({"base_url": live_server.url, "tokens": tokens}))

    call_command("simulate_traffic", "--flag=checkout-redesign", f"--tokens={facts}", "--minutes=0.004", "--speed=100")
    snapshots.store.reset()

    assert "rows counted, 0 refused" in capsys.readouterr().out
    assert sum(row.count + row.late_count for row in MetricCount.objects.filter(metric="errors")) >= 20


@pytest.mark.parametrize("content", ["", "{}", '{"base_url": "http://127.0.0.1:1", "tokens": {"evaluate": "x"}}'])
def test_command__without_tokens__says_so(content: str, tmp_path: Path) -> None:
    facts = tmp_path / "facts.json"
    facts.write_text(content)

    with pytest.raises(CommandError, match="no file with") as ended:
        call_command("simulate_traffic", "--flag=checkout-redesign", f"--tokens={facts}")
    assert ended.value.returncode == 2


def test_command__nobody_listens__says_so(tmp_path: Path) -> None:
    facts = tmp_path / "facts.json"
    facts.write_text(json.dumps({"base_url": "http://127.0.0.1:1", "tokens": {"evaluate": "x", "telemetry": "y"}}))

    with pytest.raises(CommandError, match="does not answer"):
        call_command("simulate_traffic", "--flag=checkout-redesign", f"--tokens={facts}")
