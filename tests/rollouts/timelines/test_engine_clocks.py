"""Milestones by eight zones' clocks, over both changes of each, under clocks that jump, outages and freezes.

What decides without a database is walked through the whole matrix, the engine through a gap and an hour that comes
twice on either side of the equator; that its freezes and milestones agree on the clocks, in every zone.
"""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from flags.models import FlagConfig
from rollouts.deprecations.deciding import MilestoneFacts, Move, Reached, decide
from rollouts.deprecations.definition import MilestoneKind, TimelineDefinition
from rollouts.models import DeprecationTimeline, TimelineStep
from rollouts.schedules.zones import instant_in
from rollouts.services.timelines import acting, drafting
from rollouts.services.timelines.engine import advance_if_due
from tests.factories import NOW, actor_of
from tests.rollouts.calendars import freeze, weekly
from tests.rollouts.deprecations.test_schedules import ACROSS, EDGES, HOUR, JUMPS, MINUTE, around, wall
from tests.rollouts.timelines.support import TimelineBench

DAY = timedelta(days=1)
LENGTHS = (HOUR, DAY, 30 * DAY)
ANNOUNCED, WARNED, BROWNED_OUT, SUNSET, ARCHIVED = range(1, 6)
SOME = [edge for edge in EDGES if edge[0] in {"Europe/Berlin", "Australia/Lord_Howe"}]
_ACTS = {Move.ADVANCE: "reach", Move.SKIP_MISSED: "miss", Move.END_BROWNOUT: "end_brownout", Move.COMPLETE: "complete"}
Told = list[tuple[str, int, datetime]]


def started(bench: TimelineBench, number: int, definition: TimelineDefinition) -> DeprecationTimeline:
    """A running timeline in staging of a flag of its own, which has a tag of its own."""
    rita, flag = actor_of(bench.world.rita), bench.world.flag(f"flag-{number}", tags=[f"edge-{number}"])
    [made] = drafting.create_timelines(flag.pk, [bench.staging.pk], definition, actor=rita, now=NOW, reason="Clocks")
    return acting.start_timeline(made.pk, actor=rita, now=NOW, digest=made.digest)


def timelines(
    bench: TimelineBench, edges: Collection[tuple[str, datetime]]
) -> Iterator[tuple[str, datetime, TimelineDefinition, DeprecationTimeline]]:
    """A timeline for each change of clocks. Its brownout is due at a time that is skipped, or that comes twice."""
    for number, (name, edge) in enumerate(edges):
        definition = around(name, edge)
        yield name, edge, definition, started(bench, number, definition)


def instants(definition: TimelineDefinition) -> list[datetime]:
    """When everything is due, the end of the brownout included, and right before what changes anything for people."""
    due = [milestone.at for milestone in definition.milestones]
    due.append(due[BROWNED_OUT - 1] + HOUR)
    return sorted([*due, *(at - MINUTE for at in due[BROWNED_OUT - 1 :])])


def told(timeline: DeprecationTimeline, looks: Iterable[datetime]) -> Told:
    """What the engine does with the timeline when it looks at these times; never two milestones in one look."""
    for now in looks:
        advance_if_due(timeline.pk, now=now)
    rows = TimelineStep.objects.filter(timeline=timeline).exclude(act="start")
    found = list(rows.values_list("act", "to_milestone", "at"))
    reached = [at for act, _, at in found if act == "reach"]
    assert len(reached) == len(set(reached))
    return found


def decided(definition: TimelineDefinition, looks: Iterable[datetime]) -> Told:
    """What would be done at these times if nothing stood in the way."""
    found: Told = []
    number, in_brownout = 0, False
    last: Reached | None = None
    for now in looks:
        while not found or found[-1][0] != "complete":
            decision = decide(definition, number, MilestoneFacts(now, last, in_brownout))
            if decision.move is Move.WAIT:
                break
            number = decision.to_milestone or number
            in_brownout = False
            if decision.move is Move.ADVANCE:
                last = Reached(number, now)
                in_brownout = definition.milestones[number - 1].kind is MilestoneKind.BROWNOUT
            found.append((_ACTS[decision.move], number, now))
    return found


def on_time(definition: TimelineDefinition) -> Told:
    """What happens where nothing comes in between."""
    at = [milestone.at for milestone in definition.milestones]
    return [
        ("reach", ANNOUNCED, at[0]),
        ("reach", WARNED, at[1]),
        ("reach", BROWNED_OUT, at[2]),
        ("end_brownout", BROWNED_OUT, at[2] + HOUR),
        ("reach", SUNSET, at[3]),
        ("reach", ARCHIVED, at[4]),
        ("complete", ARCHIVED, at[4]),
    ]


def under_a_jump(definition: TimelineDefinition, edge: datetime, jump: timedelta) -> tuple[list[datetime], Told]:
    """What a clock shows that is wrong from an hour before the change on, and what then happens."""
    before, expected = edge - HOUR, on_time(definition)
    # One that is slow shows the hours before it once more.
    late = [at - min(jump, timedelta(0)) for at in instants(definition)]
    true = sorted({*instants(definition), *late})
    shown = [at + (jump if at >= before else timedelta(0)) for at in true]
    if jump > timedelta(0):
        # Nobody can tell that it is wrong: the window is over by it, and people still get a rest before the last.
        first = next(at for at in true if at >= before) + jump
        archived = next(at for at in shown if at >= first + DAY / 2)
        ends = [("reach", ARCHIVED, archived), ("complete", ARCHIVED, archived)]
        expected = [*expected[:2], ("miss", BROWNED_OUT, first), ("reach", SUNSET, first), *ends]
    return shown, expected


def after_an_outage(definition: TimelineDefinition, length: timedelta) -> tuple[list[datetime], Told]:
    """When there are looks, if there are none from right before the brownout on, and what then happens."""
    begins, sunset, archived = (definition.milestones[place - 1].at for place in (BROWNED_OUT, SUNSET, ARCHIVED))
    back, expected = begins - MINUTE + length, on_time(definition)
    if length == HOUR:
        # It is late, and ends when it was announced to.
        expected[2] = ("reach", BROWNED_OUT, back)
    else:
        sunset = max(back, sunset)
        archived = max(sunset + DAY / 2, archived)
        ends = [("reach", ARCHIVED, archived), ("complete", ARCHIVED, archived)]
        expected = [*expected[:2], ("miss", BROWNED_OUT, back), ("reach", SUNSET, sunset), *ends]
    looks = sorted({*instants(definition), back, archived - MINUTE, archived})
    return [at for at in looks if at < begins - MINUTE or at >= back], expected


def windows_written(timeline: DeprecationTimeline) -> int:
    """How many brownouts were ever served."""
    rows = FlagConfig.history.filter(flag_id=timeline.flag_id, environment_id=timeline.environment_id)
    withdrawals = [row.document.get("deprecation", {}).get("withdrawal") or {} for row in rows]
    return sum("until" in withdrawal for withdrawal in withdrawals)


@ACROSS
def test_decide__around_changes_of_clocks__does_everything_once_whatever_is_wrong(name: str, edge: datetime) -> None:
    definition = around(name, edge)

    for jump in JUMPS:
        looks, expected = under_a_jump(definition, edge, jump)
        assert decided(definition, looks) == expected, jump
    for length in LENGTHS:
        looks, expected = after_an_outage(definition, length)
        assert decided(definition, looks) == expected, length


@pytest.mark.django_db
@pytest.mark.parametrize("jump", JUMPS, ids=str)
def test_milestones__around_changes_of_clocks__come_once_whatever_the_clock_does(
    bench: TimelineBench, jump: timedelta
) -> None:
    for name, edge, definition, timeline in timelines(bench, SOME):
        looks, expected = under_a_jump(definition, edge, jump)
        assert told(timeline, looks) == expected, name
        assert windows_written(timeline) == (0 if jump > timedelta(0) else 1), name


@pytest.mark.django_db
@pytest.mark.parametrize("length", LENGTHS, ids=str)
def test_outage__from_right_before_a_brownout__is_made_up_for_one_by_one_and_the_brownout_not(
    bench: TimelineBench, length: timedelta
) -> None:
    for name, _, definition, timeline in timelines(bench, SOME):
        looks, expected = after_an_outage(definition, length)
        assert told(timeline, looks) == expected, name
        assert windows_written(timeline) == (1 if length == HOUR else 0), name


@pytest.mark.django_db
def test_freeze__by_the_clock_of_the_same_zone__holds_the_brownout_as_long_as_that_clock_says(
    bench: TimelineBench,
) -> None:
    """A weekly freeze at the very wall time of the brownout, which the clocks skip or show twice on that day."""
    for number, (name, _, definition, timeline) in enumerate(timelines(bench, EDGES)):
        # Both lengths for a gap and for an hour that comes twice: zones have two edges each.
        minutes, begins = 30 if number % 4 < 2 else 90, definition.milestones[BROWNED_OUT - 1].at
        shown = wall(definition.milestones[ANNOUNCED - 1].at, name)
        freeze(bench.world, timing=weekly(shown.isoformat(), minutes, zone=name), tags=[f"edge-{number}"])
        ends = instant_in(ZoneInfo(name), shown + timedelta(days=7, minutes=minutes))

        expected, held = on_time(definition), ("hold", WARNED, begins)
        if begins < ends < begins + HOUR:
            expected[2:3] = [held, ("reach", BROWNED_OUT, ends)]
        elif ends > begins:
            expected[2:4] = [held, ("miss", BROWNED_OUT, begins + HOUR)]
        assert told(timeline, sorted({*instants(definition), ends})) == expected, name
