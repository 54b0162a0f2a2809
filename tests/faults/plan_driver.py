"""Ticks of the engine that are killed at a chosen point, each in a child of its own, and what later ticks make of it.

`python -m tests.faults.plan_driver RUNS` with `DATABASE_URL` kills that many ticks at every point and prints a line of
JSON: how many runs there were, what was not as it should be, and how long it took. The points are patched in from
here; the product knows nothing of them.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pkgutil import resolve_name
from typing import Any
from unittest.mock import patch

import django

# Each plan has as many stages as a plan may have, less one to start from.
STAGES = 29
SOAK = timedelta(minutes=1)


def main(runs: int) -> None:
    """Seed, kill, and say what was found."""
    django.setup()
    from django.core.management import call_command
    from django.db import connections

    # A pool cannot be shared with a child.
    connections["default"].settings_dict["OPTIONS"].pop("pool")
    call_command("migrate", verbosity=0)
    began = time.monotonic()
    driver = _Driver()
    for _ in range(runs):
        for point in POINTS:
            driver.run(point)
    driver.look_at_everything()
    print(json.dumps({"runs": driver.runs, "problems": driver.problems, "seconds": time.monotonic() - began}))


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def before(target: str) -> Iterator[None]:
    """Die where `target` would be called."""
    with patch(target, die):
        yield


@contextmanager
def after(target: str) -> Iterator[None]:
    """Die once `target` has returned."""
    module, name = target.rsplit(".", 1)
    real = getattr(sys.modules[module], name)

    def call(*args: Any, **kwargs: Any) -> None:
        real(*args, **kwargs)
        die()

    with patch(target, call):
        yield


@contextmanager
def commit(step_of_a_move: str, *, is_done: bool) -> Iterator[None]:
    """Die at the commit that would keep the move: before the database hears of it, or once it has answered."""
    from django.db import connections

    step = resolve_name(step_of_a_move)
    moved: list[bool] = []
    connection: Any = connections["default"]
    keep = connection._commit

    def noting(*args: Any, **kwargs: Any) -> Any:
        moved.append(True)
        return step(*args, **kwargs)

    def dying() -> None:
        if moved and not is_done:
            die()
        keep()
        if moved:
            die()

    with patch(step_of_a_move, noting), patch.object(connection, "_commit", dying):
        yield


@contextmanager
def nowhere() -> Iterator[None]:
    yield


_ENGINE, _STEP = "rollouts.services.plans.engine", "rollouts.services.plans.stages.step"
# Name: what dies where, and whether the move is in the database by then.
POINTS: dict[str, tuple[Callable[[], Any], bool]] = {
    "before the lock": (lambda: before(f"{_ENGINE}.lock_plan"), False),
    "after the lock": (lambda: after(f"{_ENGINE}.lock_plan"), False),
    "in the middle of writing": (lambda: before(_STEP), False),
    "before the commit": (lambda: commit(_STEP, is_done=False), False),
    "after the commit": (lambda: commit(_STEP, is_done=True), True),
    "before it is published": (lambda: before("flags.snapshots.publish"), True),
    "before the acknowledgement": (nowhere, True),
}


@dataclass
class _Driver:
    """The world of the runs: one plan after the other, each on a flag of its own."""

    runs: int = 0
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        from flags.services.tokens import issue_token
        from tests.factories import NOW, actor_of, make_world
        from tests.rollouts.plans.support import PlanBench

        world = make_world("shop")
        # An environment that nobody asks is not kept in memory.
        issue_token(
            world.staging.pk, actor=actor_of(world.ada), name="Shop", scope="evaluate", expires_at=None, now=NOW
        )
        self.bench = PlanBench(world, world.flag("flag-0"))
        self.now: datetime = NOW
        self.plan: Any = None
        self.plans: list[Any] = []

    def run(self, name: str) -> None:
        """One tick that is killed, and the next ones."""
        from rollouts.services.plans.engine import advance_due

        if self.plan is None:
            self._next_plan()
        elif self._stage() == STAGES:
            self.now += SOAK
            advance_due(self.now)
            self._next_plan()
        before = self._stage()
        self.now += SOAK
        patched, is_kept = POINTS[name]
        status = self._kill(patched)
        self.runs += 1
        self._expect(name, "the signal", os.WTERMSIG(status), signal.SIGKILL)
        self._expect(name, "the stage after the kill", self._stage(), before + is_kept)
        moved = [advance_due(self.now) for _ in range(2)]
        self._expect(name, "moves of later ticks", moved, [1 - is_kept, 0])
        self._expect(name, "the stage after later ticks", self._stage(), before + 1)
        self._expect(name, "the share that is served", self._share(), before + 1)

    def look_at_everything(self) -> None:
        """Steps, versions, revisions and events of all runs agree, and the chains hold."""
        from django.core.management import call_command
        from django.core.management.base import CommandError

        from audits.models import AuditEvent
        from flags.models import ApplyTicket, FlagConfig
        from rollouts.models import PlanStep, RolloutPlan

        advances = PlanStep.objects.filter(act="advance")
        events = AuditEvent.objects.filter(action="plan.advanced")
        self._expect("all", "steps", advances.count(), self.runs)
        self._expect("all", "events", events.count(), self.runs)
        self._expect("all", "revisions", len(set(advances.values_list("revision", flat=True))), self.runs)
        self._expect("all", "tickets", ApplyTicket.objects.count(), 0)
        for plan in self.plans:
            [key] = plan.definition["flags"]
            version = FlagConfig.objects.get(flag__key=key, environment=self.bench.staging).version
            stage = RolloutPlan.objects.get(pk=plan.pk).stage
            self._expect("all", "writes", version, plan.base[key]["version"] + stage)
            steps = PlanStep.objects.filter(plan=plan)
            told = AuditEvent.objects.filter(target_id=str(plan.pk), correlation_id=plan.correlation_id)
            self._expect("all", "sequence", sorted(steps.values_list("sequence", flat=True))[-1], steps.count())
            self._expect("all", "events of a plan", told.count(), steps.count() + 1)
        try:
            call_command("verify_audit_trail", verbosity=0, stdout=sys.stderr)
        except (CommandError, SystemExit) as error:
            self.problems.append(f"The audit trail does not verify: {error}")

    def _kill(self, patched: Callable[[], Any]) -> int:
        """Let a child tick until it dies; its wait status. Both have database connections of their own."""
        from django.db import connections

        connections.close_all()
        child = os.fork()
        if child == 0:
            self._tick(patched)
        return os.waitpid(child, 0)[1]

    def _tick(self, patched: Callable[[], Any]) -> None:
        from rollouts.services.plans.engine import advance_due

        try:
            with patched():
                advance_due(self.now)
            die()
        finally:
            os._exit(1)

    def _next_plan(self) -> None:
        from flags.documents import initial_document
        from tests.rollouts.plans.support import definition_of, stages_of

        key = f"flag-{len(self.plans) + 1}"
        world = self.bench.world
        world.serve(world.flag(key), self.bench.staging, {**initial_document(key, "boolean"), "enabled": True})
        stages = stages_of(key, shares=tuple((1_000 * number, 1) for number in range(1, STAGES + 1)))
        self.plan = self.bench.started(definition_of(key, stages=stages), now=self.now)
        self.plans.append(self.plan)

    def _stage(self) -> int:
        from rollouts.models import RolloutPlan

        return int(RolloutPlan.objects.get(pk=self.plan.pk).stage)

    def _share(self) -> int:
        """Thousandths that the snapshot of this process serves once it looked again."""
        from flags import snapshots
        from rollouts.plans.patches import share_of

        snapshots.store.refresh()
        served = snapshots.store.served[self.bench.staging.pk].snapshot
        return share_of(served.flags[self.plan.definition["flags"][0]].document, "on") // 1_000

    def _expect(self, name: str, what: str, found: object, wanted: object) -> None:
        if found != wanted:
            self.problems.append(f"Run {self.runs}, killed {name}: {what} is {found}, not {wanted}.")


if __name__ == "__main__":
    main(int(sys.argv[1]))
