"""What is known of timelines at one look, and what follows from it: for the engine and for pages."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from flags.selectors.kills import open_kills
from flags.selectors.prerequisites import dependents_by_place
from rollouts.deprecations.ahead import MilestoneAhead, milestones_ahead
from rollouts.deprecations.deciding import Decision, MilestoneFacts, decide
from rollouts.deprecations.definition import MilestoneKind, TimelineDefinition
from rollouts.models import DeprecationTimeline
from rollouts.selectors.incidents import open_incidents
from rollouts.selectors.timelines.consents import milestone_consents
from rollouts.selectors.timelines.ground import Ground, definition_of, ground_of, reached_of
from rollouts.selectors.timelines.residual import residual_evaluations

MOVED_GROUND = "timeline_moved_ground"
UNCONSENTED = "timeline_without_consent"
INCIDENT = "incident_open"
FORCED = "flag_forced"
DEPENDENTS = "flag_needed"
QUIET = frozenset({MilestoneKind.ANNOUNCE, MilestoneKind.WARN})
_A_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Signal:
    """Something that holds a timeline: a stable code, a sentence for people, and facts that name no person."""

    code: str
    message: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def detail(self) -> dict[str, Any]:
        """What a timeline keeps of it."""
        return {"message": self.message, **self.facts}


@dataclass(frozen=True, slots=True)
class Reading:
    """A timeline at one look: the facts, what follows from them, and the signal that holds it back from outside."""

    timeline: DeprecationTimeline
    definition: TimelineDefinition
    facts: MilestoneFacts
    decision: Decision
    signal: Signal | None

    @property
    def next_look_at(self) -> datetime:
        """When to look again where nothing moves now."""
        look = self.decision.next_look_at
        return look if look is not None and look > self.facts.now else self.facts.now + _A_MINUTE


def reading_of(timeline: DeprecationTimeline, *, now: datetime) -> Reading:
    """What a timeline would do now: eleven queries at most. Raises InvalidTimeline where it cannot be read."""
    definition = definition_of(timeline)
    signal = signal_of(timeline, definition, ground_of(timeline), now=now)
    facts = MilestoneFacts(
        now=now,
        reached=reached_of(timeline),
        in_brownout=timeline.in_brownout,
        approvals=len(milestone_consents(timeline).counted),
        residual=residual_facts(timeline, definition, now=now),
        blocked_by=signal.message if signal else "",
        look_again_at=now + _A_MINUTE,
    )
    return Reading(timeline, definition, facts, decide(definition, timeline.milestone, facts), signal)


def ahead_of(timeline: DeprecationTimeline, *, now: datetime) -> tuple[MilestoneAhead, ...]:
    """When the milestones ahead come at the earliest, if nobody and nothing holds the timeline."""
    return milestones_ahead(definition_of(timeline), timeline.milestone, reached=reached_of(timeline), now=now)


def residual_facts(timeline: DeprecationTimeline, definition: TimelineDefinition, *, now: datetime) -> int | None:
    """Evaluations in the days that the gate of the next milestone asks about; None without figures, or such a gate."""
    if timeline.milestone >= len(definition.milestones):
        return None
    gates = definition.milestones[timeline.milestone].gates
    if gates.residual_at_most is None:
        return None
    return residual_evaluations(
        timeline.environment_id,
        definition.flag_key,
        days=gates.residual_days,
        now=now,
        at_most=gates.residual_at_most,
    )


def signal_of(
    timeline: DeprecationTimeline, definition: TimelineDefinition, ground: Ground, *, now: datetime
) -> Signal | None:
    """The gravest thing that stands in the way of the next milestone; None for nothing."""
    if timeline.milestone >= len(definition.milestones):
        return None
    kind = definition.milestones[timeline.milestone].kind
    return (
        _unconsented(timeline, ground)
        or _moved_ground(timeline, ground)
        or (None if kind in QUIET else _forced(timeline) or _incident(timeline, now=now))
        or (_needed(timeline) if kind is MilestoneKind.ARCHIVE else None)
    )


def _unconsented(timeline: DeprecationTimeline, ground: Ground) -> Signal | None:
    if not timeline.environment.is_protected or timeline.request_id is not None:
        return None
    name = timeline.environment.name
    way_out = (
        "Somebody else changed the flag since, so it is not simply undone: end the timeline, and propose what people "
        "are to get back."
        if ground.is_moved
        else f"A release manager of {name} undoes or ends it, which gives everybody back what they had. To go on, end "
        "it and propose a new one."
    )
    return Signal(UNCONSENTED, f"{name} is protected now, and nobody approved this timeline. {way_out}")


def _moved_ground(timeline: DeprecationTimeline, ground: Ground) -> Signal | None:
    if not ground.is_moved:
        return None
    return Signal(
        MOVED_GROUND,
        f"Somebody else changed “{timeline.flag.key}” in {timeline.environment.name} since this timeline last wrote "
        "there. Nothing is overwritten: put it back as the timeline left it, or end this timeline and make a new one.",
        {"current_version": ground.version},
    )


def _forced(timeline: DeprecationTimeline) -> Signal | None:
    kills = [kill for kill in open_kills({timeline.environment_id}) if kill.flag_key == timeline.flag.key]
    if not kills:
        return None
    return Signal(
        FORCED,
        f"A kill list forces “{timeline.flag.key}” on {kills[0].host}, so what is served there is not what this "
        "timeline says. It goes on once the kill list is lifted.",
    )


def _incident(timeline: DeprecationTimeline, *, now: datetime) -> Signal | None:
    incidents = open_incidents(timeline.environment, now=now)
    if not incidents:
        return None
    where = "the whole project" if incidents[0].environment_id is None else timeline.environment.name
    return Signal(
        INCIDENT,
        f"The incident “{incidents[0].title}” is open in {where}. The timeline goes on once it is closed.",
        {"incident_id": str(incidents[0].pk)},
    )


def _needed(timeline: DeprecationTimeline) -> Signal | None:
    place = (timeline.environment_id, timeline.flag.key)
    dependents = dependents_by_place([timeline.environment_id]).get(place, [])
    if not dependents:
        return None
    names = ", ".join(f"“{one.key}”" for one in dependents)
    return Signal(
        DEPENDENTS,
        f"{names} {'needs' if len(dependents) == 1 else 'need'} “{timeline.flag.key}” in {timeline.environment.name} "
        "as a prerequisite. Take that prerequisite out first, then the archiving goes on by itself.",
        {"flag_keys": [one.key for one in dependents]},
    )
