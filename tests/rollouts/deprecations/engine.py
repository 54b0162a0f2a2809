"""A worker on paper: what becomes of a timeline when it is looked at again and again."""

from datetime import datetime, timedelta
from typing import Any

from rollouts.deprecations.deciding import Decision, MilestoneFacts, Move, Reached, decide
from rollouts.deprecations.definition import MilestoneKind, TimelineDefinition

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
Outage = tuple[datetime, datetime]


class Engine:
    """Carries a timeline out as a worker would: one decision a look, the document of a brownout tidied later."""

    def __init__(self, definition: TimelineDefinition, **known: Any) -> None:
        self.definition, self.known = definition, known
        self.number, self.in_brownout, self.is_done = 0, False, False
        self.last: Reached | None = None
        self.log: list[tuple[Move, int, datetime]] = []

    def look(self, now: datetime) -> Decision:
        found = decide(
            self.definition,
            self.number,
            MilestoneFacts(now, self.last, self.in_brownout, **self.known),
        )
        if found.move is Move.END_BROWNOUT:
            self.in_brownout = False
        elif found.to_milestone is not None:
            self.number = found.to_milestone
            if found.move is Move.ADVANCE:
                self.in_brownout = self._kind() is MilestoneKind.BROWNOUT
                self.last = Reached(self.number, now)
        self.is_done |= found.move is Move.COMPLETE
        if found.move not in (Move.WAIT, Move.HOLD):
            self.log.append((found.move, self.number, now))
        return found

    def run(
        self, starts_at: datetime, until: datetime, *, outage: Outage | None = None, step: timedelta = MINUTE
    ) -> None:
        now = starts_at
        while now < until and not self.is_done:
            wanted = self.look(now).next_look_at or now + HOUR
            now = max(wanted, now + step)
            if outage and outage[0] <= now < outage[1]:
                now = outage[1]

    def reached(self) -> list[tuple[int, datetime]]:
        return [(number, at) for move, number, at in self.log if move is Move.ADVANCE]

    def missed(self) -> list[int]:
        return [number for move, number, _ in self.log if move is Move.SKIP_MISSED]

    def _kind(self) -> MilestoneKind:
        return self.definition.milestones[self.number - 1].kind
