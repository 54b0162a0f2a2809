"""The milestones of a timeline as a strip: behind it, running now, next, and still to come."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rollouts.admin.timelines.words import KIND_SYMBOLS, days_apart
from rollouts.deprecations.ahead import MilestoneAhead
from rollouts.deprecations.codec import from_json
from rollouts.deprecations.definition import MilestoneGates, MilestoneKind, TimelineDefinition
from rollouts.deprecations.documents import brownout_ends_at
from rollouts.deprecations.transitions import ENDED_STATES, TimelineAct, TimelineState
from rollouts.deprecations.words import local, milestone_name, milestone_sentence
from rollouts.models import DeprecationTimeline, TimelineStep
from rollouts.plans.words import amount
from rollouts.schedules.zones import zone_of

LOOK_WORDS = {
    "done": "done",
    "missed": "missed",
    "now": "running now",
    "next": "next",
    "held": "next, held",
    "ahead": "planned",
    "back": "taken back",
    "never": "not reached",
}


@dataclass(frozen=True, slots=True)
class Tick:
    """One milestone in the strip. `look` is a key of LOOK_WORDS; `at` is when it came or, ahead, when it may at the
    earliest; `was` is the date that was laid down, of one that was put off; `gates` is what it waits for beside its
    date.
    """

    number: int
    kind: MilestoneKind
    name: str
    sentence: str
    look: str
    planned: str
    short: str
    planned_at: datetime
    at: datetime | None
    note: str = ""
    was: str = ""
    gates: Sequence[str] = ()
    is_here: bool = False

    @property
    def symbol(self) -> str:
        """The symbol of its kind."""
        return KIND_SYMBOLS[self.kind]

    @property
    def words(self) -> str:
        """Its look in words."""
        return LOOK_WORDS[self.look]

    @property
    def is_ahead(self) -> bool:
        """Whether it is still to come."""
        return self.look in {"next", "held", "ahead"}


def ticks_of(
    timeline: DeprecationTimeline,
    definition: TimelineDefinition,
    *,
    steps: Iterable[TimelineStep] = (),
    ahead: Sequence[MilestoneAhead] = (),
) -> list[Tick]:
    """Every milestone of a timeline. `ahead` is when those ahead come at the earliest."""
    came, missed = _behind(steps)
    was = _former_dates(timeline, definition)
    expected = {one.number: one for one in ahead}
    ticks = []
    for number, milestone in enumerate(definition.milestones, 1):
        look = _look(timeline, number, came, missed)
        later = expected.get(number) if look in {"next", "held", "ahead"} else None
        at = later.earliest_at if later else came.get(number)
        ticks.append(
            Tick(
                number,
                milestone.kind,
                milestone_name(milestone),
                later.sentence if later else milestone_sentence(definition, number),
                look,
                local(milestone.at, definition.zone),
                _short(milestone.at, definition.zone),
                milestone.at,
                at or milestone.at,
                _note(definition, number, look, later),
                was.get(number, ""),
                gate_words(milestone.gates) if look in {"next", "held", "ahead"} else (),
                look in {"now", "next", "held"},
            )
        )
    return ticks


def gate_words(gates: MilestoneGates) -> list[str]:
    """What a milestone waits for beside its date, in words."""
    found = []
    if gates.residual_at_most is not None:
        days = "day" if gates.residual_days == 1 else f"{gates.residual_days} days"
        most = "no use" if gates.residual_at_most == 0 else f"at most {amount(gates.residual_at_most)} evaluations"
        found.append(f"waits for {most} in {days}")
    if gates.approvals:
        found.append(f"waits for {gates.approvals} approval{'' if gates.approvals == 1 else 's'}")
    return found


def _short(at: datetime, zone: str) -> str:
    """“3 Mar 2026, 09:00” by the clocks of a zone."""
    shown = at.astimezone(zone_of(zone))
    return f"{shown.day} {shown:%b %Y, %H:%M}"


def _former_dates(timeline: DeprecationTimeline, definition: TimelineDefinition) -> Mapping[int, str]:
    """The dates that were laid down, by number, of the milestones that were put off."""
    if not timeline.postponed:
        return {}
    pairs = zip(from_json(timeline.definition).milestones, definition.milestones, strict=True)
    return {
        number: days_apart(laid.at, now.at, definition.zone)[0]
        for number, (laid, now) in enumerate(pairs, 1)
        if laid.at != now.at
    }


def _behind(steps: Iterable[TimelineStep]) -> tuple[Mapping[int, datetime], set[int]]:
    """When each milestone was last reached, and which ones were missed last."""
    came: dict[int, datetime] = {}
    missed: set[int] = set()
    for step in steps:
        if step.act in {TimelineAct.REACH, TimelineAct.MISS}:
            came[step.to_milestone] = step.at
            (missed.add if step.act == TimelineAct.MISS else missed.discard)(step.to_milestone)
    return came, missed


def _look(timeline: DeprecationTimeline, number: int, came: Mapping[int, datetime], missed: set[int]) -> str:
    state = timeline.current_state
    if number <= timeline.milestone:
        if number in missed:
            return "missed"
        return "now" if number == timeline.milestone and timeline.in_brownout else "done"
    if state in ENDED_STATES or state is TimelineState.UNDONE:
        if number in came:
            return "back"
        if state in ENDED_STATES:
            return "never"
    if number != timeline.milestone + 1 or timeline.in_brownout:
        return "ahead"
    return "held" if state is TimelineState.PAUSED or timeline.blocked_code else "next"


def _note(definition: TimelineDefinition, number: int, look: str, later: MilestoneAhead | None) -> str:
    milestone = definition.milestones[number - 1]
    if look == "now":
        return f"ends {local(brownout_ends_at(milestone), definition.zone)}"
    if later is None or not later.is_late:
        return ""
    if later.earliest_at is None:
        return "will be missed"
    return f"late: {local(later.earliest_at, definition.zone)} at the earliest"
