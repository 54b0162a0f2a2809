"""Test traffic for a plan: people who do not exist are served what is served, and counts say how they fared.

Never in production, but for the demo: guards cannot tell such counts from real ones. The door refuses them there, too.
"""

import secrets
import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError, transaction

from audits.actions import Action
from audits.context import Actor
from flags import permissions
from flags.models import TelemetryBatch
from flags.models.environments import EnvironmentKind
from flags.services.keys import problem
from flags.services.telemetry_buffer import deliver
from flags.snapshots.sources import EnvironmentUnreadable
from flags.telemetry.closing import minute_of
from flags.telemetry.labels import TEST_TRAFFIC
from flags.telemetry.rows import Batch, EvaluationRow, MetricRow
from rollouts.guarding.scenarios import Scenario, bad_part, chosen
from rollouts.models import RolloutPlan
from rollouts.plans.codec import from_json
from rollouts.plans.definition import GuardSource, GuardSpec
from rollouts.plans.transitions import PlanState
from rollouts.services.plans.writing import record
from rollouts.services.verifying import served_now

LASTS = timedelta(minutes=10)
EVERY_SECONDS = 10
PEOPLE = 60
_STATES = frozenset({PlanState.RUNNING, PlanState.PAUSED})
_QUIET_AFTER = timedelta(seconds=3 * EVERY_SECONDS)

Served = Counter[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class Run:
    """Test traffic of one plan from `began_at` on, for `LASTS` at most."""

    plan_id: uuid.UUID
    scenario: Scenario
    began_at: datetime


def takes_test_traffic(plan: RolloutPlan) -> bool:
    """Whether test traffic may be sent for a plan at all, whoever asks."""
    is_place = settings.DEMO or plan.environment.kind != EnvironmentKind.PRODUCTION
    return is_place and plan.current_state in _STATES and bool(_guards(plan))


def prepare_test_traffic(plan_id: uuid.UUID, *, scenario: str, actor: Actor, now: datetime) -> Run:
    """A run that may begin now, with an event that says who asked. Needs the role editor in the plan's environment.

    Raises PermissionMissing, and InvalidInput in production, for a plan that does not run or has no guard that counts
    telemetry, for an unknown scenario, and while another run of the plan goes on.
    """
    plan = RolloutPlan.objects.select_related("environment__project").get(pk=plan_id)
    permissions.require(actor, permissions.PROPOSE, plan.environment)
    found = chosen(scenario)
    if found is None:
        raise problem("scenario", "Choose what should happen.")
    if not takes_test_traffic(plan):
        raise problem(
            "scenario",
            "Test traffic is for plans that run with guards, outside production. Start one in another environment.",
        )
    recent = TelemetryBatch.objects.filter(environment=plan.environment, received_at__gt=now - _QUIET_AFTER)
    if recent.filter(batch_id__startswith=_prefix(plan_id)).exists():
        raise problem("scenario", "Test traffic for this plan is on its way already. It ends by itself.")
    with transaction.atomic():
        record(Action.PLAN_TEST_TRAFFIC_ASKED, plan, actor=actor, now=now, scenario=scenario)
    return Run(plan_id, found, now)


def send_some(run: Run, *, now: datetime) -> bool:
    """Serve some people and report them; whether more is to come. Sent again in the same seconds it counts once."""
    elapsed = (now - run.began_at) / LASTS
    plan = RolloutPlan.objects.select_related("environment").filter(pk=run.plan_id).first()
    if plan is None or not 0 <= elapsed < 1 or not takes_test_traffic(plan):
        return False
    try:
        served = _serve(plan, now)
    except (DatabaseError, EnvironmentUnreadable):
        return True
    minute, guards = minute_of(now), _guards(plan)
    metrics = tuple(
        row
        for spec in guards
        for (flag_key, variant, _), count in served.items()
        if flag_key == spec.flag_key and (row := _row(run.scenario, spec, variant, count, minute, elapsed))
    )
    if metrics:
        evaluations = tuple(EvaluationRow(*key, minute, count) for key, count in served.items())
        batch = Batch(
            f"{_prefix(plan.pk)}{int(now.timestamp()) // EVERY_SECONDS}", TEST_TRAFFIC, "", evaluations, metrics
        )
        deliver(batch, plan.environment_id, None, now=now)
    return True


def _prefix(plan_id: uuid.UUID) -> str:
    return f"test-{plan_id.hex}-"


def _guards(plan: RolloutPlan) -> list[GuardSpec]:
    return [spec for spec in from_json(plan.definition).guards if spec.source is GuardSource.TELEMETRY]


def _serve(plan: RolloutPlan, now: datetime) -> Served:
    """What so many new people get of the flags that guards look at."""
    served: Served = Counter()
    snapshot = served_now(plan.environment_id)
    flag_keys = sorted({spec.flag_key for spec in _guards(plan)})
    for _ in range(PEOPLE):
        person = {"targetingKey": f"test-{secrets.token_hex(8)}"}
        for flag_key in flag_keys:
            found = snapshot.evaluate(flag_key, person, now)
            if found.variant is not None:
                served[flag_key, found.variant, found.reason.value] += 1
    return served


def _row(
    scenario: Scenario, spec: GuardSpec, variant: str, count: int, minute: datetime, elapsed: float
) -> MetricRow | None:
    part = bad_part(scenario, is_treatment=variant == spec.treatment, elapsed=elapsed)
    if part is None:
        return None
    bad = sum(secrets.randbelow(10_000) < part * 10_000 for _ in range(count))
    # Of a success the good ones are reported.
    reported = count - bad if spec.is_success_metric else bad
    return MetricRow(spec.metric, spec.flag_key, variant, minute, count, reported, units=count, bad_units=reported)
