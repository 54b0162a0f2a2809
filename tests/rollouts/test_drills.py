"""Rollback drills: what passes, what fails, when they are due, and that they touch nothing that is served."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from audits.models import AuditEvent
from flags import snapshots
from flags.changes import document_digest
from flags.errors import InvalidInput, PermissionMissing
from flags.models import Environment, FlagConfig
from flags.services.tickets import governed_write
from rollouts.models import DrillRun, RollbackDrill
from rollouts.selectors.desk_tasks import desk_tasks
from rollouts.selectors.drills import GRACE, RETRY_AFTER, drill_lines
from rollouts.services import drills
from rollouts.services.drills import DrillPlan
from rollouts.tasks import run_due_drills
from tests.factories import NOW, actor_of, percent_document
from tests.rollouts.support import Bench

LATER = NOW + timedelta(hours=2)
PLAN = DrillPlan("Checkout goes back", None, "previous", None, None, limit_seconds=5, interval_days=30)


def ticking(seconds: float) -> Callable[[], float]:
    """A stopwatch that shows so much more at every look."""
    return itertools.count(0.0, seconds).__next__


def plan(bench: Bench, **fields: Any) -> DrillPlan:
    return replace(PLAN, flag_id=bench.flag.pk, **fields)


def add(bench: Bench, *, now: datetime = NOW, by: Any = None, **fields: Any) -> RollbackDrill:
    return drills.add_drill(bench.production.pk, plan(bench, **fields), actor=actor_of(by or bench.world.rolf), now=now)


def run(bench: Bench, drill: RollbackDrill, *, now: datetime = LATER, seconds: float = 0.001) -> DrillRun:
    return drills.run_drill(drill.pk, actor=actor_of(bench.world.rita), now=now, clock=ticking(seconds))


def serve(bench: Bench, *shares: int) -> None:
    for share in shares:
        bench.world.serve(bench.flag, bench.production, percent_document(bench.flag.key, share))


# What a drill is about when production served version 1, then 10 %, then 40 %; and the versions it puts back.
TARGETS: list[tuple[dict[str, Any], dict[str, int]]] = [
    ({"target": "previous"}, {"flag checkout-redesign": 2}),
    ({"target": "version", "target_version": 1}, {"flag checkout-redesign": 1}),
    ({"target": "instant", "target_hours": 1}, {"flag checkout-redesign": 3}),
    ({"target": "instant", "target_hours": 1, "flag_id": None}, {"flag checkout-redesign": 3}),
]


@pytest.mark.parametrize(("fields", "versions"), TARGETS)
def test_run__sound_anchor__passes_with_evidence_and_touches_nothing(
    bench: Bench, fields: dict[str, Any], versions: dict[str, int]
) -> None:
    serve(bench, 10, 40)
    environment_plan = replace(plan(bench), **fields)
    drill = drills.add_drill(bench.production.pk, environment_plan, actor=actor_of(bench.world.rolf), now=NOW)
    before = (bench.version(), Environment.objects.get(pk=bench.production.pk).revision)
    events = AuditEvent.objects.filter(action="flag_config.applied").count()

    done = run(bench, drill)

    assert (done.has_passed, done.problem) == (True, "")
    assert {name: one["version"] for name, one in done.evidence["anchor"]["versions"].items()} == versions
    assert done.evidence["evaluations"] == 200
    assert set(done.evidence["steps_ms"]) == {"read", "validate", "serve", "verify"}
    assert (bench.version(), Environment.objects.get(pk=bench.production.pk).revision) == before
    assert AuditEvent.objects.filter(action="flag_config.applied").count() == events
    assert not snapshots.store.is_loaded
    assert RollbackDrill.objects.get(pk=drill.pk).next_due_at == LATER + timedelta(days=30)
    assert AuditEvent.objects.get(action="drill.passed").correlation_id == done.correlation_id


def broken_version(bench: Bench, document: dict[str, Any], digest: str) -> None:
    """A history row as a fault of the storage would leave it."""
    row = FlagConfig.objects.get(flag=bench.flag, environment=bench.production)
    model = FlagConfig.history.model
    copy = model.objects.get(id=row.pk, version=row.version)
    copy.history_id, copy.version, copy.document, copy.digest = None, 99, document, digest
    with governed_write(bench.production.pk):
        copy.save(force_insert=True)


INVALID = {"schema": 1, "enabled": True}
# A fault of the anchor, and what the drill says of it.
FAULTS: list[tuple[str, dict[str, Any], str]] = [
    ("no version before", {"target": "previous"}, "There is no version before the present one of"),
    ("no such version", {"target": "version", "target_version": 50}, "There is no version 50 of"),
    ("not there yet", {"target": "instant", "target_hours": 24}, "Nothing was set up 24 hours ago"),
    ("empty", {"target": "version", "target_version": 99}, "does not match its digest"),
    ("changed afterwards", {"target": "version", "target_version": 99}, "does not match its digest"),
    ("invalid today", {"target": "version", "target_version": 99}, "It would be refused today: "),
]


@pytest.mark.parametrize(("fault", "fields", "problem"), FAULTS)
def test_run__anchor_that_cannot_be_served__fails(
    bench: Bench, fault: str, fields: dict[str, Any], problem: str
) -> None:
    sound = percent_document(bench.flag.key, 5)
    stored = {
        "empty": ({}, document_digest(sound)),
        "changed afterwards": (percent_document(bench.flag.key, 6), document_digest(sound)),
        "invalid today": (INVALID, document_digest(INVALID)),
    }
    if fault in stored:
        broken_version(bench, *stored[fault])
    drill = add(bench, **fields)

    done = run(bench, drill)

    assert not done.has_passed
    assert problem in done.problem
    row = RollbackDrill.objects.get(pk=drill.pk)
    assert (row.next_due_at, row.last_run_at) == (drill.next_due_at, LATER)
    assert AuditEvent.objects.get(action="drill.failed").details["problem"] == done.problem


@pytest.mark.parametrize(("seconds", "has_passed"), [(0.5, True), (4.0, False)])
def test_run__around_the_limit__counts_the_time_until_it_is_served(
    bench: Bench, seconds: float, has_passed: bool
) -> None:
    serve(bench, 10)

    done = run(bench, add(bench), seconds=seconds)

    assert done.has_passed is has_passed
    assert ("the limit is 5 s" in done.problem) is not has_passed


def test_run__shadow_store_serves_something_else__fails(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(bench, 10, 40)
    monkeypatch.setattr(
        "rollouts.services.rehearsing._restored", lambda drill, anchor: snapshots.build(bench.production.pk)
    )

    done = run(bench, add(bench))

    assert (
        done.problem == "The shadow store serves something else than what was to be put back: flag checkout-redesign."
    )


DAY = timedelta(days=1)


def test_sweep__due_drills__run_once_again_a_day_after_a_failure(bench: Bench) -> None:
    drill = add(bench)

    ran = [
        drills.run_if_due(drill.pk, now=now) for now in (NOW - DAY, NOW, NOW, NOW + RETRY_AFTER / 2, NOW + RETRY_AFTER)
    ]

    assert ran == [False, True, False, False, True]
    assert {(one.actor_kind, one.has_passed) for one in DrillRun.objects.all()} == {("system", False)}


def test_sweep__passed_drill__rests_for_its_interval(bench: Bench) -> None:
    serve(bench, 10)
    drill = add(bench)

    ran = [drills.run_if_due(drill.pk, now=NOW + days * DAY) for days in (0, 1, 29, 30)]

    assert ran == [True, False, False, True]


def test_alarm__overdue_drill__is_raised_once_and_again_after_it_was_passed(bench: Bench) -> None:
    drill = add(bench)

    raised = [drills.alarm_if_overdue(drill.pk, now=NOW + delay) for delay in (GRACE / 2, GRACE, 2 * GRACE)]

    assert raised == [False, True, False]
    assert AuditEvent.objects.filter(action="drill.overdue").count() == 1
    serve(bench, 10)
    run(bench, drill, now=NOW + 3 * DAY)
    assert RollbackDrill.objects.get(pk=drill.pk).overdue_since is None
    assert drills.alarm_if_overdue(drill.pk, now=NOW + 33 * DAY + GRACE)


def test_alarm__inactive_drill__is_silent_and_never_run(bench: Bench) -> None:
    drill = add(bench, is_active=False)

    assert not drills.run_if_due(drill.pk, now=NOW + 9 * DAY)
    assert not drills.alarm_if_overdue(drill.pk, now=NOW + 9 * DAY)


def test_task__everything_due__is_run(bench: Bench) -> None:
    serve(bench, 10)
    drill = add(bench)

    assert [run_due_drills(), run_due_drills()] == [1, 0]
    assert DrillRun.objects.get(drill=drill).has_passed


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"title": " "}, "title"),
        ({"target": "yesterday"}, "target"),
        ({"flag_id": None}, "target"),
        ({"target": "version", "target_version": None}, "target_version"),
        ({"target": "instant", "target_hours": 0}, "target_hours"),
        ({"limit_seconds": 0}, "limit_seconds"),
        ({"limit_seconds": 3_601}, "limit_seconds"),
        ({"interval_days": 0}, "interval_days"),
        ({"interval_days": 367}, "interval_days"),
    ],
)
def test_add__field_that_cannot_be__is_named(bench: Bench, fields: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        drills.add_drill(bench.production.pk, replace(plan(bench), **fields), actor=actor_of(bench.world.rolf), now=NOW)

    assert refused.value.facts["problems"][0]["path"] == path
    assert not RollbackDrill.objects.exists()


@pytest.mark.parametrize("who", ["rita", "abel", "vera", "otto", "ada"])
def test_add_and_change__without_the_role_release_manager__are_refused(bench: Bench, who: str) -> None:
    drill, person = add(bench), getattr(bench.world, who)

    with pytest.raises(PermissionMissing):
        add(bench, by=person)
    with pytest.raises(PermissionMissing):
        drills.change_drill(drill.pk, plan(bench, limit_seconds=9), actor=actor_of(person), now=NOW)


def test_change__limit_and_rest__are_kept_and_the_flag_stays(bench: Bench) -> None:
    drill, rolf = add(bench), actor_of(bench.world.rolf)

    drills.change_drill(drill.pk, plan(bench, limit_seconds=9, is_active=False), actor=rolf, now=NOW)
    with pytest.raises(InvalidInput):
        drills.change_drill(
            drill.pk, replace(plan(bench), flag_id=None, target="instant", target_hours=1), actor=rolf, now=NOW
        )

    row = RollbackDrill.objects.get(pk=drill.pk)
    assert (row.limit_seconds, row.is_active, row.flag_id) == (9, False, bench.flag.pk)
    assert AuditEvent.objects.get(action="drill.changed").details["before"]["limit_seconds"] == 5


@pytest.mark.parametrize(("who", "sees"), [("rolf", True), ("rita", False), ("vera", False), ("otto", False)])
def test_desk__failed_drill__waits_for_owner_and_release_managers(bench: Bench, who: str, sees: bool) -> None:
    run(bench, add(bench))

    found = [task.title for task in desk_tasks(getattr(bench.world, who), now=LATER)]

    assert found == (["Rollback drill “Checkout goes back” failed"] if sees else [])


def test_lines__runs_of_a_drill__oldest_first_for_those_who_may_look(
    bench: Bench, django_assert_num_queries: Any
) -> None:
    drill = add(bench)
    for minutes in (1, 2, 3):
        run(bench, drill, now=NOW + timedelta(minutes=minutes))

    with django_assert_num_queries(4):
        line = drill_lines(bench.world.rita, now=LATER)[0]

    assert [one.started_at.minute for one in line.runs] == [1, 2, 3]
    assert (line.has_failed, line.is_due, line.is_overdue, line.may_run, line.may_change) == (
        True,
        True,
        False,
        True,
        False,
    )
    assert drill_lines(bench.world.otto, now=LATER) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE rollouts_drillrun SET has_passed = true, problem = ''",
        "DELETE FROM rollouts_drillrun",
        "DELETE FROM rollouts_rollbackdrill",
        "UPDATE rollouts_rollbackdrill SET limit_seconds = 900",
    ],
)
def test_evidence__bare_sql__is_refused_by_the_database(bench: Bench, statement: str) -> None:
    run(bench, add(bench))

    with pytest.raises(IntegrityError, match="flagsite:"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.parametrize(
    ("fields", "due"),
    [
        ({"interval_days": 1}, LATER + timedelta(days=1)),
        ({"interval_days": 366}, LATER + timedelta(days=30)),
        ({"target": "version", "target_version": 1}, LATER + timedelta(hours=1)),
    ],
)
def test_change__passed_before__is_due_no_later_than_the_new_plan_says(
    bench: Bench, fields: dict[str, Any], due: datetime
) -> None:
    serve(bench, 10)
    drill = add(bench)
    assert run(bench, drill).has_passed

    changed = drills.change_drill(
        drill.pk, plan(bench, **fields), actor=actor_of(bench.world.rolf), now=LATER + timedelta(hours=1)
    )

    assert changed.next_due_at == due
