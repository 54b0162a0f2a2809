"""What the engine does at what guards say: back once and no more, pause, extend, wait, and what is kept of why."""

from collections import Counter
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import IntegrityError, transaction

from audits.models import AuditEvent
from flags.permissions import Role
from flags.services.tickets import governed_write
from rollouts.guarding.judging import GuardOutcome, Judgement, Samples
from rollouts.models import GuardVerdict, GuardWatch, PlanStep, RolloutPlan
from rollouts.plans.definition import GuardAction
from rollouts.selectors.guards import GuardReading
from rollouts.selectors.plans.rollbacks import verification_of
from rollouts.services.plans import acting, engine
from rollouts.services.plans.engine import advance_due
from tests.factories import NOW, actor_of
from tests.rollouts.guard_support import MINUTE, counted, guard, minutes
from tests.rollouts.plans.support import PlanBench, reloaded, stages_of

pytestmark = pytest.mark.django_db

# Whoever starts at a whole minute is counted from it on.
CLOSED = timedelta(minutes=1, seconds=20)
MONITORED = {1: {"is_monitored": True}, 2: {"is_monitored": True}, 3: {"is_monitored": True}}
GOOD, BAD = (500, 5), (500, 60)


def _started(bench: PlanBench, *, soak: int = 5, **wanted: Any) -> RolloutPlan:
    stages = stages_of(shares=((10_000, soak), (50_000, soak), (90_000, soak)), gates=MONITORED)
    return bench.started(**{"stages": stages, "guards": (guard(),), **wanted})


def _look(minute: datetime) -> datetime:
    """The first instant at which the minute is closed."""
    return minute + CLOSED


def _count(plan: RolloutPlan, first: datetime, count: int, *, on: tuple[int, int], step: Any = None) -> datetime:
    """Count minutes and look after each; the first minute that was not counted."""
    for minute in minutes(first, count):
        stage = reloaded(plan).stage
        weight = {1: 10_000, 2: 50_000, 3: 90_000}.get(stage, 50_000)
        treated = on[0] * weight // 50_000
        control = on[0] * (100_000 - weight) // 50_000
        counted(
            plan.environment,
            [minute],
            on=(treated, on[1] * treated // on[0]),
            off=(control, GOOD[1] * control // GOOD[0]),
        )
        advance_due(_look(minute))
    return first + count * MINUTE


def _last(plan: RolloutPlan) -> PlanStep:
    return PlanStep.objects.filter(plan=plan).latest("sequence")


def test_breach__rolls_back_once_and_says_to_whom_and_why(
    bench: PlanBench, django_capture_on_commit_callbacks: Any
) -> None:
    plan = _started(bench)

    with django_capture_on_commit_callbacks(execute=True):
        after = _count(plan, NOW, 8, on=BAD)

    found, step = reloaded(plan), PlanStep.objects.get(plan=plan, act="roll_back")
    verdict = GuardVerdict.objects.get(pk=step.evidence["verdict_ids"][0])
    assert (found.state, found.stage, found.automatic_reversals, found.attempt) == ("rolled_back", 0, 1, 2)
    assert bench.share_of(plan) == 0
    assert verdict.outcome in {"breach", "hard_break"}
    assert (step.is_automatic, step.reason, step.correlation_id) == (True, verdict.sentence, plan.correlation_id)
    assert step.evidence["samples"]["errors"]["treatment"] > 50
    assert step.evidence["told"] == sorted(str(person.pk) for person in (bench.world.rita, bench.world.rolf))
    assert verification_of(step).action == "rollback.verified"  # type: ignore[union-attr]
    assert sorted(address for one in mail.outbox for address in one.to) == sorted(
        [bench.world.rita.email, bench.world.rolf.email]
    )
    assert "rolled back by itself" in mail.outbox[0].subject
    told = Counter(AuditEvent.objects.filter(target_id=str(plan.pk)).values_list("action", flat=True))
    assert (told["plan.rolled_back"], told["rollback.verified"]) == (1, 1)
    assert [advance_due(after + day * timedelta(days=1)) for day in range(3)] == [0, 0, 0]


def test_stages__that_guards_find_safe__are_left_and_the_last_good_one_is_where_it_goes_back_to(
    bench: PlanBench,
) -> None:
    plan = _started(bench)

    after = _count(plan, NOW, 6, on=(500, 2))
    moved = reloaded(plan)
    _count(plan, after, 8, on=BAD)

    found = reloaded(plan)
    assert (moved.stage, moved.good_stage, moved.state) == (2, 1, "running")
    assert (found.stage, found.good_stage, found.state) == (1, 1, "rolled_back")
    assert bench.share_of(plan) == 10_000


class Said:
    """Guards that say what the test wants, in place of those that count."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.outcome = GuardOutcome.COLLECTING
        self.action: GuardAction | None = None
        monkeypatch.setattr(engine, "refresh_guards_of", self._read)

    def say(self, outcome: GuardOutcome, action: GuardAction | None = None) -> None:
        """From now on every guard says this."""
        self.outcome, self.action = outcome, action

    def _read(self, plans: Collection[RolloutPlan], *, now: datetime, **_: Any) -> dict[Any, tuple[GuardReading, ...]]:
        return {plan.pk: (self._reading(plan, now),) for plan in plans}

    def _reading(self, plan: RolloutPlan, now: datetime) -> GuardReading:
        arm = {"units": 900, "bad": 9}
        statistics = {"control": arm, "treatment": arm, "log_e_fail": "0x0p0", "log_e_pass": "0x0p0"}
        judgement = Judgement(
            self.outcome,
            self.action,
            f"Errors: {self.outcome.label}.",
            {**statistics, "log_threshold": "0x1p0", "method": 1},
            1.0,
            1.0,
            20.0,
            Samples(900, 900),
        )
        watch = GuardWatch(plan=plan, attempt=plan.attempt, metric="errors", through=now, fresh_minutes=10_000)
        return GuardReading(guard(), judgement, watch, 0.05, now)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Said:
    """Guards that say what the test wants."""
    return Said(monkeypatch)


def test_guard__that_is_good_and_bad_a_hundred_times__reverses_the_plan_once(bench: PlanBench, said: Said) -> None:
    plan, rolf = _started(bench), actor_of(bench.world.rolf)
    bench.world.grant(bench.world.rolf, bench.staging, Role.RELEASE_MANAGER)

    for number in range(100):
        now = NOW + 2 * number * MINUTE
        said.say(*((GuardOutcome.COLLECTING,) if number % 2 else (GuardOutcome.BREACH, GuardAction.ROLL_BACK)))
        advance_due(now)
        found = reloaded(plan)
        if found.state != "running" and number < 50:
            acting.resume_plan(plan.pk, actor=rolf, now=now + MINUTE, sequence=found.sequence, reason="Fixed")

    acts = Counter(PlanStep.objects.filter(plan=plan, is_automatic=True).values_list("act", flat=True))
    assert acts["roll_back"] == 1
    assert acts["pause"] == 25
    assert reloaded(plan).state == "paused"


def test_plan__that_reversed_itself__cannot_do_so_again_in_the_database(bench: PlanBench) -> None:
    plan = _started(bench)

    with pytest.raises(IntegrityError), transaction.atomic(), governed_write(bench.staging.pk):
        RolloutPlan.objects.filter(pk=plan.pk).update(automatic_reversals=2)


def test_stage__that_stays_undecided__is_extended_once_and_then_waits_for_a_person(
    bench: PlanBench, said: Said
) -> None:
    plan = _started(bench)

    acts = []
    for number in range(1, 16):
        advance_due(NOW + number * MINUTE + timedelta(seconds=20))
        acts.append(_last(plan).act)

    assert acts == ["start"] * 4 + ["extend"] * 5 + ["pause"] * 6
    assert reloaded(plan).extra_soak_minutes == 5
    assert (reloaded(plan).state, bench.share_of(plan)) == ("paused", 10_000)


CASES = [
    ("breach that pauses", GuardOutcome.BREACH, GuardAction.PAUSE, ["pause"], ""),
    ("missing data", GuardOutcome.MISSING, GuardAction.PAUSE, ["pause"], ""),
    ("old data", GuardOutcome.STALE, GuardAction.HOLD, ["hold"], "guards"),
    ("shares that are off", GuardOutcome.SAMPLE_RATIO, GuardAction.HOLD, ["hold"], "guards"),
    ("both arms bad", GuardOutcome.SHARED_INCIDENT, GuardAction.HOLD, ["hold"], "guards"),
    ("hard break", GuardOutcome.HARD_BREAK, GuardAction.ROLL_BACK, ["roll_back"], ""),
    ("a warning", GuardOutcome.BREACH, GuardAction.WARN, [], ""),
    ("nothing yet", GuardOutcome.COLLECTING, None, [], ""),
]


@pytest.mark.parametrize(("name", "outcome", "action", "acts", "code"), CASES, ids=[case[0] for case in CASES])
def test_outcome__of_a_guard__is_acted_on_once(
    name: str,
    outcome: GuardOutcome,
    action: GuardAction | None,
    acts: list[str],
    code: str,
    bench: PlanBench,
    said: Said,
) -> None:
    plan = _started(bench, soak=30)
    said.say(outcome, action)

    for number in range(2, 12, 2):
        advance_due(NOW + number * MINUTE)

    steps = PlanStep.objects.filter(plan=plan).exclude(act="start").order_by("sequence")
    assert list(steps.values_list("act", flat=True)) == acts
    assert reloaded(plan).blocked_code == code


def test_guards__of_a_stage_without_a_draw__advise_and_do_not_roll_back(bench: PlanBench, said: Said) -> None:
    shares = ((100_000, 30),)
    plan = _started(bench, stages=stages_of(shares=shares))
    said.say(GuardOutcome.BREACH, GuardAction.ROLL_BACK)

    advance_due(NOW + 2 * MINUTE)

    assert (reloaded(plan).state, _last(plan).act) == ("paused", "pause")
    assert bench.share_of(plan) == 100_000
