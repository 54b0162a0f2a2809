"""Ticks of deprecation timelines that are killed at a chosen point, and what later ticks make of it.

`python -m tests.faults.milestone_driver RUNS` with `DATABASE_URL` does what `plan_driver` does for stages of plans.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import django

from tests.faults.plan_driver import after, before, commit, die, nowhere

# Announced and warned about, then a share more each day, and at last the sunset. None is archived.
SHARES = tuple(range(5_000, 85_000, 5_000))
WARNED, SUNSET = 2, len(SHARES) + 3
DAY = timedelta(days=1)
_ENGINE, _STEP = "rollouts.services.timelines.engine", "rollouts.services.timelines.milestones.step"
# Name: what dies where, and whether the milestone is in the database by then.
POINTS: dict[str, tuple[Callable[[], Any], bool]] = {
    "before the lock": (lambda: before(f"{_ENGINE}.lock_timeline"), False),
    "after the lock": (lambda: after(f"{_ENGINE}.lock_timeline"), False),
    "in the middle of writing": (lambda: before(_STEP), False),
    "before the commit": (lambda: commit(_STEP, is_done=False), False),
    "after the commit": (lambda: commit(_STEP, is_done=True), True),
    "before it is published": (lambda: before("flags.snapshots.publish"), True),
    "before the acknowledgement": (nowhere, True),
}


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


@dataclass
class _Driver:
    """The world of the runs: one timeline after the other, each of a flag of its own."""

    runs: int = 0
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        from flags.services.tokens import issue_token
        from tests.factories import NOW, actor_of, make_world

        self.world = make_world("shop")
        # An environment that nobody asks is not kept in memory.
        place, ada = self.world.staging.pk, actor_of(self.world.ada)
        issue_token(place, actor=ada, name="Shop", scope="evaluate", expires_at=None, now=NOW)
        self.now: datetime = NOW
        self.timelines: list[Any] = []

    def run(self, name: str) -> None:
        """One tick that is killed, and the next ones."""
        from rollouts.services.timelines.engine import advance_due

        if not self.timelines or self._milestone() == SUNSET:
            self._next_timeline()
        reached = self._milestone()
        self.now += DAY
        patched, is_kept = POINTS[name]
        status = self._kill(patched)
        self.runs += 1
        self._expect(name, "the signal", os.WTERMSIG(status), signal.SIGKILL)
        self._expect(name, "the milestone after the kill", self._milestone(), reached + is_kept)
        moved = [advance_due(self.now) for _ in range(2)]
        self._expect(name, "moves of later ticks", moved, [1 - is_kept, 0])
        self._expect(name, "the milestone after later ticks", self._milestone(), reached + 1)
        self._expect(name, "the share that is withdrawn", self._share(), (*SHARES, 100_000)[reached - WARNED])

    def look_at_everything(self) -> None:
        """Steps, versions, revisions and events of all timelines agree, and the chains hold."""
        from django.core.management import call_command
        from django.core.management.base import CommandError

        from audits.models import AuditEvent
        from flags.models import ApplyTicket, FlagConfig
        from rollouts.models import DeprecationTimeline, TimelineStep

        # The first two milestones of a timeline are not killed, and the announcement writes nothing.
        reached = TimelineStep.objects.filter(act="reach")
        events = AuditEvent.objects.filter(action="timeline.milestone_reached")
        written = set(reached.exclude(revision=None).values_list("revision", flat=True))
        self._expect("all", "steps", reached.count(), self.runs + WARNED * len(self.timelines))
        self._expect("all", "events", events.count(), reached.count())
        self._expect("all", "revisions", len(written), self.runs + len(self.timelines))
        self._expect("all", "tickets", ApplyTicket.objects.count(), 0)
        for made in self.timelines:
            timeline = DeprecationTimeline.objects.get(pk=made.pk)
            version = FlagConfig.objects.get(flag=timeline.flag_id, environment=timeline.environment_id).version
            self._expect("all", "writes", version, timeline.base["version"] + timeline.milestone - 1)
            steps = TimelineStep.objects.filter(timeline=timeline).order_by("sequence")
            numbers = list(steps.values_list("sequence", flat=True))
            self._expect("all", "sequence", numbers, list(range(1, timeline.sequence + 1)))
            told = AuditEvent.objects.filter(target_id=str(timeline.pk), correlation_id=timeline.correlation_id)
            self._expect("all", "events of a timeline", told.count(), steps.count() + 1)
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
        from rollouts.services.timelines.engine import advance_due

        try:
            with patched():
                advance_due(self.now)
            die()
        finally:
            os._exit(1)

    def _next_timeline(self) -> None:
        """The next timeline, at its warning."""
        from rollouts.deprecations.definition import MilestoneKind
        from rollouts.services.timelines.engine import advance_due
        from tests.rollouts.timelines.support import TimelineBench

        shares = [(MilestoneKind.RAMP_DOWN, day, {"weight": weight}) for day, weight in enumerate(SHARES, WARNED)]
        steps = [(MilestoneKind.ANNOUNCE, 0, {}), (MilestoneKind.WARN, 1, {}), *shares]
        steps += [(MilestoneKind.SUNSET, SUNSET - 1, {}), (MilestoneKind.ARCHIVE, SUNSET + 10_000, {})]
        flag = self.world.flag(f"flag-{len(self.timelines) + 1}")
        self.timelines.append(TimelineBench(self.world, flag).started(steps=steps, starts=self.now, now=self.now))
        advance_due(self.now)
        self.now += DAY
        advance_due(self.now)

    def _milestone(self) -> int:
        from rollouts.models import DeprecationTimeline

        return int(DeprecationTimeline.objects.get(pk=self.timelines[-1].pk).milestone)

    def _share(self) -> int:
        """The weight of people without the flag in the snapshot of this process once it looked again."""
        from flags import snapshots

        snapshots.store.refresh()
        served = snapshots.store.served[self.world.staging.pk].snapshot
        document = served.flags[self.timelines[-1].flag.key].document
        return int(document["deprecation"]["withdrawal"]["weight"])

    def _expect(self, name: str, what: str, found: object, wanted: object) -> None:
        if found != wanted:
            self.problems.append(f"Run {self.runs}, killed {name}: {what} is {found}, not {wanted}.")


if __name__ == "__main__":
    main(int(sys.argv[1]))
