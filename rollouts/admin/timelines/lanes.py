"""What ends and what rolls out as lanes along a strip of months: one for a flag in an environment, or each timeline."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.urls import reverse

from flags.models import Environment, Flag
from rollouts.admin.live_plans import share_served
from rollouts.admin.plans.words import state_of as plan_state_of
from rollouts.admin.timelines.gantt import Frame, Part
from rollouts.admin.timelines.strip import ticks_of
from rollouts.admin.timelines.words import KIND_SYMBOLS, state_of
from rollouts.deprecations.definition import MilestoneKind
from rollouts.deprecations.transitions import ENDED_STATES, LIVE_STATES, TimelineState
from rollouts.deprecations.words import local
from rollouts.models import DeprecationTimeline, PlanFlag
from rollouts.selectors.timelines.endings import Endings, Freeze, LoneSunset
from rollouts.selectors.timelines.ground import definition_of

TIMELINE, PLAN, FLAG = (
    "admin:rollouts_deprecationtimeline_change",
    "admin:rollouts_rolloutplan_change",
    "admin:flags_flag_change",
)


_S = TimelineState
_IN_ORDER = (LIVE_STATES, {_S.PROPOSED}, {_S.DRAFT}, ENDED_STATES)


@dataclass(frozen=True, slots=True)
class Bar:
    """A timeline or a plan in a lane. `look` is its class; `label` says everything to who cannot see it."""

    part: Part
    look: str
    words: str
    label: str
    address: str


@dataclass(frozen=True, slots=True)
class Pin:
    """A milestone or a sunset in a lane."""

    left: float
    symbol: str
    look: str
    label: str
    is_sunset: bool


@dataclass(frozen=True, slots=True)
class Shade:
    """A freeze in a lane."""

    part: Part
    label: str


@dataclass(frozen=True, slots=True)
class Event:
    """One thing with a date, for the table."""

    at: datetime
    when: str
    flag: Flag
    environment: Environment
    what: str
    symbol: str
    state: str
    address: str


@dataclass
class Lane:
    """A flag in an environment. `is_first`: the lane that carries the flag's name. Where several timelines end the flag
    there each has a lane, and `note` says whose it is.
    """

    flag: Flag
    environment: Environment
    bars: list[Bar] = field(default_factory=list)
    pins: list[Pin] = field(default_factory=list)
    shades: list[Shade] = field(default_factory=list)
    next_at: datetime | None = None
    is_first: bool = False
    count: int = 1
    note: str = ""


def lanes_of(
    found: Endings, environments: Sequence[Environment], frame: Frame, *, now: datetime
) -> tuple[list[Lane], list[Event]]:
    """The lanes, flags whose next milestone comes first on top, and everything ahead in order."""
    places = {one.pk: one for one in environments}
    lanes: dict[tuple[object, object], Lane] = {}
    further: list[Lane] = []
    events: list[Event] = []

    def lane(flag: Flag, environment: Environment) -> Lane:
        return lanes.setdefault((flag.pk, environment.pk), Lane(flag, environment))

    for timeline in sorted(found.timelines, key=_order):
        one = lane(timeline.flag, timeline.environment)
        if one.bars or one.pins:
            one = Lane(timeline.flag, timeline.environment)
            further.append(one)
        _add_timeline(one, timeline, frame, events, now=now)
    for row in found.plans:
        _add_plan(lane(row.flag, places[row.environment_id]), row, frame, now=now)
    for sunset in found.sunsets:
        _add_sunset(lane(sunset.flag, sunset.environment), sunset, frame, events, now=now)
    seen = [one for one in (*lanes.values(), *further) if one.bars or one.pins]
    for one in seen:
        one.shades = _shades(one, found.freezes, frame)
    return _grouped(seen), sorted(events, key=lambda event: (event.at, event.flag.name))


def _order(timeline: DeprecationTimeline) -> tuple[int, int]:
    """Live timelines come first, then what may become live, then what is over."""
    rank = next(rank for rank, states in enumerate(_IN_ORDER) if timeline.current_state in states)
    return rank, timeline.number


def _add_timeline(
    lane: Lane, timeline: DeprecationTimeline, frame: Frame, events: list[Event], *, now: datetime
) -> None:
    definition, state = definition_of(timeline), state_of(timeline)
    address = reverse(TIMELINE, args=[timeline.pk])
    lane.note = f"Timeline {timeline.number}"
    milestones = definition.milestones
    ends_at = timeline.ended_at or milestones[-1].at
    part = frame.part(min(milestones[0].at, ends_at), ends_at)
    if part is not None:
        label = f"{timeline.label} in {timeline.environment.name}: {state.text}, sunset {_sunset(timeline)}"
        # Its pins say enough; words would stand behind them.
        lane.bars.append(Bar(part, f"en-bar-{timeline.state}", "", label, address))
    for tick in ticks_of(timeline, definition):
        if tick.look in {"never", "back"} and timeline.ended_at:
            continue
        left = frame.place(tick.planned_at)
        label = f"{tick.name}, {tick.planned} ({definition.zone}): {tick.words}"
        if left is not None:
            lane.pins.append(Pin(left, tick.symbol, tick.look, label, tick.kind is MilestoneKind.SUNSET))
        if tick.is_ahead and tick.planned_at >= now:
            lane.next_at = min(lane.next_at or tick.planned_at, tick.planned_at)
            if left is not None:
                when = f"{tick.planned} ({definition.zone})"
                events.append(
                    Event(
                        tick.planned_at, when, lane.flag, lane.environment, tick.name, tick.symbol, state.text, address
                    )
                )


def _sunset(timeline: DeprecationTimeline) -> str:
    definition = definition_of(timeline)
    at = next((one.at for one in definition.milestones if one.kind is MilestoneKind.SUNSET), None)
    return local(at, definition.zone) if at else "without a date"


def _add_plan(lane: Lane, row: PlanFlag, frame: Frame, *, now: datetime) -> None:
    plan = row.plan
    part = frame.part(plan.started_at or plan.created_at, plan.ended_at or max(now, plan.started_at or now))
    if part is None:
        return
    state, share = plan_state_of(plan), share_served(plan)
    label = f"{plan.label} in {lane.environment.name}: {state.text}, {share}"
    look = "en-bar-plan-over" if plan.ended_at else "en-bar-plan"
    lane.bars.append(Bar(part, look, share, label, reverse(PLAN, args=[plan.pk])))


def _add_sunset(lane: Lane, sunset: LoneSunset, frame: Frame, events: list[Event], *, now: datetime) -> None:
    left, zone = frame.place(sunset.sunset_at), frame.zone.key
    if left is None:
        return
    when = f"{local(sunset.sunset_at, zone)} ({zone})"
    look, symbol = "ahead" if sunset.sunset_at > now else "done", KIND_SYMBOLS[MilestoneKind.SUNSET]
    lane.pins.append(Pin(left, symbol, look, f"Sunset, {when}, without a timeline", True))
    if sunset.sunset_at > now:
        lane.next_at = min(lane.next_at or sunset.sunset_at, sunset.sunset_at)
        events.append(
            Event(
                sunset.sunset_at,
                when,
                sunset.flag,
                sunset.environment,
                "Sunset",
                symbol,
                "Announced, no timeline",
                reverse(FLAG, args=[sunset.flag.pk]),
            )
        )


def _shades(lane: Lane, freezes: Iterable[Freeze], frame: Frame) -> list[Shade]:
    found = []
    for freeze in freezes:
        part = frame.part(freeze.starts_at, freeze.ends_at) if freeze.concerns(lane.flag, lane.environment.pk) else None
        if part is not None:
            zone = frame.zone.key
            until = local(freeze.ends_at, zone)
            found.append(Shade(part, f"Freeze “{freeze.title}”, {local(freeze.starts_at, zone)} to {until}"))
    return found


@dataclass(frozen=True, slots=True)
class FreezeLine:
    """A freeze for the list: its next or running time, and how many more follow in the months shown."""

    freeze: Freeze
    more: int


def freeze_lines(freezes: Sequence[Freeze], *, now: datetime) -> list[FreezeLine]:
    """Every freeze that is not over, once each however often it comes."""
    ahead: dict[object, list[Freeze]] = {}
    for freeze in freezes:
        if freeze.ends_at > now:
            ahead.setdefault(freeze.window_id, []).append(freeze)
    return [FreezeLine(found[0], len(found) - 1) for found in ahead.values()]


def _grouped(lanes: Sequence[Lane]) -> list[Lane]:
    """Lanes of a flag together; flags in the order of what comes next, those without anything ahead last."""
    groups: dict[object, list[Lane]] = {}
    for lane in lanes:
        groups.setdefault(lane.flag.pk, []).append(lane)
    found: list[Lane] = []
    for group in sorted(groups.values(), key=_rank):
        group.sort(key=lambda lane: (-lane.environment.position, lane.environment.name))
        group[0].is_first, group[0].count = True, len(group)
        shared = Counter(lane.environment.pk for lane in group)
        for lane in group:
            lane.note = lane.note if shared[lane.environment.pk] > 1 else ""
        found += group
    return found


def _rank(group: Sequence[Lane]) -> tuple[float, str]:
    ahead = [lane.next_at.timestamp() for lane in group if lane.next_at is not None]
    return min(ahead, default=math.inf), group[0].flag.name
