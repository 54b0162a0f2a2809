"""How long a tick of the rollout engine takes over many running plans: python -m benchmarks.plans [plans]

PostgreSQL, started for this. Every plan has a flag of its own, began a week ago, waits in a monitored stage, and has
three guards with counts in every minute. Measured are the tick that counts the first ten minutes, ticks that count one
more minute, and a tick in which nothing is due; beside them, looking at each plan by itself. After that every guard
gets a week of samples: a tick beside them, one in which every guard keeps an hour for good, and one in which a plan
whose watches were lost is counted anew from the week. A week of 1,000 plans is about two gigabytes.
"""

import os
import platform
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

GOAL_SECONDS = 5.0
MINUTE = timedelta(minutes=1)
METRICS = ("errors", "timeouts", "refunds")
HISTORY, TICKS, ALONE = 10, 3, 50
WEEK = timedelta(days=7)


def main(count: int) -> int:
    """Run the benchmark; 1 when a tick takes longer than it may."""
    from tests import servers

    workspace = servers.Workspace()
    server = servers.start_postgresql(workspace)
    try:
        with tempfile.TemporaryDirectory() as folder:
            _configure(folder, server.url)
            return _measure(count)
    finally:
        server.stop()
        workspace.remove()


def _configure(folder: str, url: str) -> None:
    os.environ.update(
        DJANGO_SETTINGS_MODULE="flagsite.settings", DEMO="1", VAR_DIR=folder, DATABASE_URL=url, LOG_LEVEL="ERROR"
    )
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


def _measure(count: int) -> int:
    from flagsite.celery import keep_what_is_loaded
    from rollouts.services.plans.engine import advance_due, advance_if_due
    from tests.factories import NOW

    plan_ids = _seed(count)
    keep_what_is_loaded()
    now = NOW + HISTORY * MINUTE + MINUTE + timedelta(seconds=20)
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{count:,} running plans, {len(METRICS)} guards each, PostgreSQL")
    first = _took(lambda: advance_due(now))
    print(f"a tick that counts the first {HISTORY} minutes: {first}, {count / first.wall:,.0f} plans/s")
    ticks: list[Took] = []
    for _ in range(TICKS):
        now += MINUTE
        ticks.append(_took(lambda now=now: advance_due(now)))  # type: ignore[misc]
    tick = sorted(ticks)[TICKS // 2]
    verdict = f"goal {GOAL_SECONDS:.0f} s {'met' if tick.wall < GOAL_SECONDS else 'MISSED'}"
    print(f"a tick that counts one more minute: {tick}, {count / tick.wall:,.0f} plans/s ({verdict})")
    print(f"a tick in which nothing is due: {_took(lambda: advance_due(now)).wall * 1000:.1f} ms")
    now += MINUTE
    alone = _took(lambda: [advance_if_due(plan_id, now=now) for plan_id in plan_ids[:ALONE]])
    ratio = count / tick.wall / (ALONE / alone.wall)
    print(f"each plan by itself: {ALONE / alone.wall:,.0f} plans/s; together {ratio:.1f} times as fast")
    _measure_week(plan_ids, now)
    return 0 if tick.wall < GOAL_SECONDS else 1


def _measure_week(plan_ids: list[uuid.UUID], now: datetime) -> None:
    """Ticks beside a week of kept minutes."""
    from rollouts.models import GuardWatch
    from rollouts.services.plans.engine import advance_due

    advance_due(now)
    _keep_week()
    now += MINUTE
    print(f"a tick beside a week of samples: {_took(lambda: advance_due(now))}")
    hour_ago = now - timedelta(hours=1, minutes=2)
    GuardWatch.objects.update(kept_through=hour_ago)
    now += MINUTE
    print(f"a tick in which every guard keeps its minutes for good: {_took(lambda: advance_due(now))}")
    GuardWatch.objects.filter(plan=plan_ids[0]).delete()
    now += MINUTE
    print(f"a tick that counts one plan anew from a week: {_took(lambda: advance_due(now))}")


def _keep_week() -> None:
    """A week of samples for every guard, an hour in each."""
    from flags.services.tickets import governed_write
    from rollouts.models import GuardSample, GuardWatch
    from tests.factories import NOW

    watches = list(GuardWatch.objects.select_related("plan"))
    hours = [NOW - WEEK + number * timedelta(hours=1) for number in range(7 * 24)]
    with governed_write(watches[0].plan.environment_id):
        for hour in hours:
            minutes = [[(hour + number * MINUTE).isoformat(), 30, 1, 30, 1, 0, 0] for number in range(60)]
            rows = [
                GuardSample(
                    plan=watch.plan,
                    environment_id=watch.plan.environment_id,
                    attempt=watch.attempt,
                    metric=watch.metric,
                    through=hour + 59 * MINUTE,
                    intervals=minutes,
                    at=hour,
                )
                for watch in watches
            ]
            GuardSample.objects.bulk_create(rows, batch_size=1_000)


class Took(NamedTuple):
    """Seconds on the clock, and of CPU in this process; the database has its own."""

    wall: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.wall:.2f} s ({self.cpu:.2f} s of CPU in Python)"


def _took(do: Callable[[], Any]) -> Took:
    wall, cpu = time.perf_counter(), time.process_time()
    do()
    return Took(time.perf_counter() - wall, time.process_time() - cpu)


def _seed(count: int) -> list[uuid.UUID]:
    """One plan through the services, and copies of its rows for flags of their own."""
    from flags.documents import initial_document
    from tests.factories import NOW, make_world
    from tests.rollouts.guard_support import guard
    from tests.rollouts.plans.support import PlanBench, definition_of, stages_of

    world = make_world("shop")
    first = world.flag("flag-0")
    world.serve(first, world.staging, {**initial_document(first.key, "boolean"), "enabled": True})
    guards = tuple(guard(metric, flag_key=first.key) for metric in METRICS)
    stages = stages_of(
        first.key, shares=((50_000, 20_000), (90_000, 10)), gates={1: {"is_monitored": True, "minimum_sample": 1}}
    )
    plan = PlanBench(world, first).started(definition_of(first.key, stages=stages, guards=guards), now=NOW - WEEK)
    keys = [f"flag-{number}" for number in range(1, count)]
    copies = _copies(plan, keys)
    _count(plan, [first.key, *keys])
    return [plan.pk, *copies]


def _copies(plan: Any, keys: list[str]) -> list[uuid.UUID]:
    """The plan once more for each key, with flag, config and the step that started it."""
    import json

    from flags.models import Flag, FlagConfig
    from flags.services.tickets import governed_write
    from rollouts.models import PlanFlag, PlanStep, RolloutPlan

    [old] = plan.definition["flags"]
    flag, step = Flag.objects.get(key=old), PlanStep.objects.filter(plan=plan).latest("sequence")
    config = FlagConfig.objects.get(flag=flag, environment=plan.environment)
    flags: list[Any] = []
    configs: list[Any] = []
    plans: list[Any] = []
    members: list[Any] = []
    steps: list[Any] = []
    columns = ("definition", "base", "documents", "written")
    for number, key in enumerate(keys, start=plan.number + 1):
        mine = _copy(flag, key=key)
        renamed = {
            name: json.loads(json.dumps(getattr(plan, name)).replace(f'"{old}"', f'"{key}"')) for name in columns
        }
        copied = _copy(plan, number=number, correlation_id=uuid.uuid4(), **renamed)
        flags.append(mine)
        configs.append(_copy(config, flag=mine))
        plans.append(copied)
        members.append(PlanFlag(plan=copied, environment=plan.environment, flag=mine, is_live=True))
        steps.append(_copy(step, plan=copied))
    with governed_write(plan.project_id), governed_write(plan.environment_id):
        for model, rows in (
            (Flag, flags),
            (FlagConfig, configs),
            (RolloutPlan, plans),
            (PlanFlag, members),
            (PlanStep, steps),
        ):
            model._default_manager.bulk_create(rows, batch_size=500)
    return [one.pk for one in plans]


def _copy(row: Any, **changed: Any) -> Any:
    names = [field.attname for field in row._meta.concrete_fields if field.name not in {"id", *changed}]
    return type(row)(**{name: getattr(row, name) for name in names}, **changed)


def _count(plan: Any, keys: list[str]) -> None:
    """What telemetry would have counted of every flag in every minute."""
    from tests.factories import NOW
    from tests.rollouts.guard_support import counted, minutes

    every: list[datetime] = minutes(NOW, HISTORY + TICKS + 6)
    for key in keys:
        for metric in METRICS:
            counted(plan.environment, every, on=(30, 1), off=(30, 1), metric=metric, flag_key=key)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000))
