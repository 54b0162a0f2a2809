"""An old world with payloads of every class, and short ways to archive them."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.db.models import TextField
from django.db.models.functions import Cast

from audits.context import Actor, correlation
from flags.models import Flag, FlagConfig
from flags.services.configs import edit_segment
from flags.services.tickets import governed_write
from rollouts.models import ChangeRequest, DrillRun, GuardSample, GuardVerdict, RollbackDrill, RolloutPlan
from rollouts.retention.classes import PayloadClass
from rollouts.selectors.retention import SOURCES
from rollouts.services import change_requests as acts
from rollouts.services.drills import DrillPlan, add_drill, run_drill
from rollouts.services.guarding import refresh_guards
from rollouts.services.retention.archiving import Archived, archive_payloads
from tests.factories import NOW, World, actor_of, make_served_world, percent_document
from tests.rollouts.guard_support import counted as reported
from tests.rollouts.guard_support import guard, minutes
from tests.rollouts.impact.support import counted
from tests.rollouts.plans.support import PlanBench, definition_of, stages_of
from tests.rollouts.support import Bench
from tests.support.remembered import remembered

UNTIL, LATER = NOW + timedelta(days=1), NOW + timedelta(days=500)
SYSTEM = Actor.system("rollouts.archive_payloads", via="command")
BETA = {"schema": 1, "condition": {"attribute": "beta", "operator": "is_true", "value": None}}
GAMMA = {"schema": 1, "condition": {"attribute": "gamma", "operator": "is_true", "value": None}}


@dataclass
class Old:
    """Production served `gone` in three versions before it was archived; `request` was rejected, `plan` ended."""

    world: World
    gone: Flag
    request: ChangeRequest
    plan: RolloutPlan
    drill: RollbackDrill


def old_world() -> Old:
    return remembered("an old world", _make)


def _make() -> Old:
    world = make_served_world(5)
    bench = Bench(world, world.first_flag)
    gone = world.flag("gone")
    for share in (10, 20, 30):
        world.serve(gone, world.production, percent_document("gone", share))
    with governed_write(world.project.pk):
        Flag.objects.filter(pk=gone.pk).update(archived_at=NOW)
    _segments(world)
    drill = _drill(world)
    request = bench.submitted(change_set=bench.content(40))
    counted(bench, request)
    rejected = acts.reject_change_request(request.pk, actor=actor_of(world.abel), reason="Too wide", now=NOW)
    return Old(world, Flag.objects.get(pk=gone.pk), rejected, _plan(world), drill)


def _segments(world: World) -> None:
    for number, document in enumerate((BETA, GAMMA)):
        facts: dict[str, Any] = {"key": "beta", "name": "Beta", "document": document, "base_version": number}
        at = NOW - timedelta(days=1 - number)
        edit_segment(world.development.pk, actor=actor_of(world.rita), reason="", now=at, **facts)


def _drill(world: World) -> RollbackDrill:
    wanted = DrillPlan("Back", world.first_flag.pk, "instant", None, 1, limit_seconds=60, interval_days=1)
    drill = add_drill(world.production.pk, wanted, actor=actor_of(world.rolf), now=NOW)
    for hours in (2, 3):
        run_drill(drill.pk, actor=actor_of(world.rolf), now=NOW + timedelta(hours=hours))
    assert DrillRun.objects.count() == 2
    return drill


def _plan(world: World) -> RolloutPlan:
    stages = stages_of(shares=((50_000, 30),))
    plan = PlanBench(world, world.first_flag).started(definition_of(stages=stages, guards=(guard(),)))
    reported(plan.environment, minutes(NOW, 20), on=(500, 5))
    for count in (1, 10, 21):
        refresh_guards([plan.pk], now=NOW + timedelta(minutes=count, seconds=20))
    assert GuardVerdict.objects.exists()
    facts: dict[str, Any] = {"plan": plan, "environment": plan.environment, "attempt": 1, "metric": "errors"}
    intervals = [["2026-03-02T10:00:00+00:00", 1, 2.5, 3, 4, 0, 0]]
    with governed_write(plan.environment_id):
        GuardSample.objects.create(through=NOW + timedelta(hours=1), intervals=intervals, at=NOW, **facts)
        RolloutPlan.objects.filter(pk=plan.pk).update(state="aborted", ended_at=NOW)
    return RolloutPlan.objects.get(pk=plan.pk)


def archive(old: Old, kind: PayloadClass, folder: Path, **changed: Any) -> Archived | None:
    """Archive a class of the project, as the command does it."""
    facts: dict[str, Any] = {"until": UNTIL, "folder": folder, "actor": SYSTEM, "now": LATER}
    with correlation():
        return archive_payloads(old.world.project, kind, **{**facts, **changed})


def everything() -> dict[str, list[tuple[Any, ...]]]:
    """All rows of every source as the database holds them, payloads to the letter."""
    found = {}
    for source in (source for sources in SOURCES.values() for source in sources):
        others = [field.attname for field in source.model._meta.concrete_fields if field.name != source.column]
        rows = source.rows.annotate(letters=Cast(source.column, TextField())).order_by("pk")
        found[source.table] = list(rows.values_list("letters", *others))
    return found


def config_in_production(old: Old) -> FlagConfig:
    """What production serves of the archived flag."""
    return FlagConfig.objects.select_related("flag", "environment__project").get(
        flag=old.gone, environment=old.world.production
    )
