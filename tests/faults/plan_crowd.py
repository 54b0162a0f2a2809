"""Beats and workers, each a process of its own, that all look at the same plans.

`python -m tests.faults.plan_crowd` with `DATABASE_URL` and `REDIS_URL` starts plans, then forks Celery's own beats and
workers and lets one stage of every plan after the other become due, at the same moment for all plans. It prints a line
of JSON: what each worker moved, what is written down, what was not as it should be, and how long it took.
"""

import json
import os
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import django

BEATS, WORKERS, PLANS, STAGES = 3, 4, 10, 11
DUE = PLANS * (STAGES - 1)
# Longer than all of this takes: nothing becomes due but what is made due.
SOAK = timedelta(hours=1)
RING_SECONDS = 0.5
ROUND_SECONDS = 120
_TASK = "rollouts.tasks.advance_due_plans"


def main(folder: Path) -> None:
    """Start, let time pass, and say what was found."""
    django.setup()
    from django.core.management import call_command
    from django.db import connections

    # A pool cannot be shared with a child.
    connections["default"].settings_dict["OPTIONS"].pop("pool")
    call_command("migrate", verbosity=0)
    crowd = _Crowd(folder)
    children = [_forked(_beat, folder / f"beat-{number}") for number in range(BEATS)]
    children += [_forked(_work, folder / f"worker-{number}") for number in range(WORKERS)]
    try:
        seconds = crowd.pass_stages()
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    print(json.dumps({**crowd.look_at_everything(), "seconds": seconds, "problems": crowd.problems}))


def _forked(run: Callable[[Path], None], path: Path) -> int:
    """A child that runs until it is killed, with connections of its own."""
    from django.db import connections

    connections.close_all()
    if child := os.fork():
        return child
    try:
        run(path)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def _beat(path: Path) -> None:
    """Ring for the engine as Celery's beat does."""
    from flagsite.celery import app

    ring = {"task": _TASK, "schedule": RING_SECONDS, "options": {"expires": 15.0}}
    app.conf.beat_schedule = {"advance-due-plans": ring}
    app.Beat(schedule=str(path), loglevel="ERROR", quiet=True).run()


def _work(path: Path) -> None:
    """Carry out what is rung for, and write down how many plans each look moved."""
    from celery.signals import task_success

    from flagsite.celery import app

    def note(sender: Any, result: int, **_: Any) -> None:
        if sender.name == _TASK:
            with path.open("a") as moved:
                moved.write(f"{result}\n")

    task_success.connect(note)
    name = f"{path.name}@%h"
    arguments = ["worker", "-P", "solo", "-n", name, "-l", "ERROR", "--without-gossip", "--without-mingle"]
    app.worker_main(arguments)


class _Crowd:
    """The plans, and what was found of them."""

    def __init__(self, folder: Path) -> None:
        from django.utils import timezone

        from flags.documents import initial_document
        from tests.factories import make_world
        from tests.rollouts.plans.support import PlanBench, definition_of, stages_of

        self.problems: list[str] = []
        self.looks = [folder / f"worker-{number}" for number in range(WORKERS)]
        world = make_world("shop")
        self.staging = world.staging
        self.plans = []
        shares = tuple((1_000 * number, SOAK.seconds // 60) for number in range(1, STAGES + 1))
        for number in range(PLANS):
            flag = world.flag(f"flag-{number}")
            world.serve(flag, world.staging, {**initial_document(flag.key, "boolean"), "enabled": True})
            definition = definition_of(flag.key, stages=stages_of(flag.key, shares=shares))
            self.plans.append(PlanBench(world, flag).started(definition, now=timezone.now()))

    def pass_stages(self) -> float:
        """Let the stages become due, once every worker looks; how long they took to be applied."""
        self._wait("every worker looks", lambda: all(self._moved(path) for path in self.looks))
        began = time.monotonic()
        for stage in range(2, STAGES + 1):
            self._let_time_pass()
            self._wait(f"every plan is at stage {stage}", lambda stage=stage: self._stages() == {stage})  # type: ignore[misc]
        seconds = time.monotonic() - began
        looked = [len(self._moved(path)) for path in self.looks]
        # Looks that were on their way find nothing left to do.
        self._wait(
            "every worker looked again",
            lambda: all(len(self._moved(path)) > was + 1 for path, was in zip(self.looks, looked, strict=True)),
        )
        return seconds

    def look_at_everything(self) -> dict[str, Any]:
        """Steps, events, versions and revisions agree, and the chains hold."""
        from django.core.management import call_command
        from django.core.management.base import CommandError

        from audits.models import AuditEvent
        from flags.models import ApplyTicket, FlagConfig
        from rollouts.models import PlanStep

        advances = PlanStep.objects.filter(act="advance")
        events = AuditEvent.objects.filter(action="plan.advanced")
        moved = [sum(self._moved(path)) for path in self.looks]
        self._expect("steps", advances.count(), DUE)
        self._expect("events", events.count(), DUE)
        self._expect("moves of all workers", sum(moved), DUE)
        self._expect("revisions", len(set(advances.values_list("revision", flat=True))), DUE)
        self._expect("times a stage was reached", set(Counter(advances.values_list("plan", "to_stage")).values()), {1})
        self._expect("other acts", set(PlanStep.objects.values_list("act", flat=True)), {"start", "advance"})
        self._expect("tickets", ApplyTicket.objects.count(), 0)
        for plan in self.plans:
            [key] = plan.definition["flags"]
            config = FlagConfig.objects.get(flag__key=key, environment=self.staging)
            written = plan.base[key]["version"] + STAGES
            self._expect(f"versions of {key}", (config.version, config.history.count()), (written, written))
            told = events.filter(target_id=str(plan.pk), correlation_id=plan.correlation_id)
            self._expect(f"events of {key}", told.count(), STAGES - 1)
        try:
            call_command("verify_audit_trail", verbosity=0, stdout=sys.stderr)
        except (CommandError, SystemExit) as error:
            self.problems.append(f"The audit trail does not verify: {error}")
        return {"applied": advances.count(), "moved": moved, "looks": [len(self._moved(path)) for path in self.looks]}

    def _let_time_pass(self) -> None:
        """Make every plan's stage older than its soak, as somebody who acts on it: who read it before does nothing."""
        from django.db.models import F
        from django.utils import timezone

        from flags.services.tickets import governed_write
        from rollouts.models import RolloutPlan

        began = timezone.now() - SOAK
        older = {"stage_entered_at": began, "next_look_at": began, "lock_version": F("lock_version") + 1}
        with governed_write(self.staging.pk):
            RolloutPlan.objects.update(**older)

    def _stages(self) -> set[int]:
        from rollouts.models import RolloutPlan

        return set(RolloutPlan.objects.values_list("stage", flat=True))

    def _moved(self, path: Path) -> list[int]:
        """How many plans each look of a worker moved."""
        return [int(line) for line in path.read_text().splitlines()] if path.exists() else []

    def _wait(self, what: str, condition: Callable[[], bool]) -> None:
        until = time.monotonic() + ROUND_SECONDS
        while not condition():
            if time.monotonic() > until:
                raise TimeoutError(f"Not within {ROUND_SECONDS} s: {what}.")
            time.sleep(0.05)

    def _expect(self, what: str, found: object, wanted: object) -> None:
        if found != wanted:
            self.problems.append(f"The {what} are {found}, not {wanted}.")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
