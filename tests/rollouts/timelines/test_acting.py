"""What people do with a timeline: every act in every state, who may do it, and what it leaves."""

from datetime import datetime
from typing import Any

import pytest
from django.db import transaction

from audits.errors import GovernanceError
from flags.errors import InvalidInput, PermissionMissing
from flags.permissions import Role
from rollouts.deprecations.transitions import TRANSITIONS, InvalidTimelineTransition, TimelineAct, TimelineState
from rollouts.errors import ApprovalRefused, FlagInOtherPlan, FlagIsEnding, TimelineMovedOn, TimelineOutdated
from rollouts.models import DeprecationTimeline, TimelineStep
from rollouts.selectors.timelines.reading import definition_of as says
from rollouts.selectors.timelines.reading import live_timeline_of, possible_acts
from rollouts.selectors.timelines.rights import PERMISSIONS, permissions_for
from rollouts.services.plans import acting as plan_acts
from rollouts.services.timelines import acting, drafting
from rollouts.services.timelines.engine import advance_due
from tests.factories import NOW, actor_of
from tests.rollouts.plans.support import PlanBench
from tests.rollouts.timelines.support import (
    ANNOUNCED,
    ARCHIVED,
    BROWNED_OUT,
    DAY,
    MINUTE,
    RAMPED_DOWN,
    SUNSET,
    WARNED,
    TimelineBench,
    at_day,
    brought_to,
    definition_of,
    reloaded,
    timeline_in,
)

pytestmark = pytest.mark.django_db

HOLDS = {"flags.propose_change": "rita", "flags.approve_change": "abel", "flags.apply_change": "rolf"}
# Nobody has to say yes to the milestones of the bench.
NOT_ASKED = {TimelineAct.APPROVE}


def perform(  # noqa: C901 - a table of acts
    timeline: DeprecationTimeline, act: TimelineAct, by: Any, *, now: datetime = NOW, **wanted: Any
) -> DeprecationTimeline:
    """One act of a person, with input that is right in itself."""
    timeline = reloaded(timeline)
    told: dict[str, Any] = {"actor": actor_of(by), "now": now}
    seen: dict[str, Any] = {"sequence": timeline.sequence, "reason": "A reason"}
    match act:
        case TimelineAct.EDIT:
            return drafting.edit_timeline(timeline.pk, digest=timeline.digest, reason="Other words", **told)
        case TimelineAct.PROPOSE:
            return drafting.propose_timeline(timeline.pk, digest=timeline.digest, **told)
        case TimelineAct.RECALL:
            return drafting.recall_timeline(timeline.pk, **told)
        case TimelineAct.START:
            return acting.start_timeline(timeline.pk, digest=timeline.digest, **told)
        case TimelineAct.APPROVE:
            return acting.approve_milestone(timeline.pk, digest=timeline.digest, **told, **seen)
        case TimelineAct.POSTPONE:
            number = wanted.get("number", min(timeline.milestone + 1, ARCHIVED))
            to = wanted.get("to", max(says(timeline).milestones[number - 1].at, now) + DAY)
            return acting.postpone(timeline.pk, number, to=to, **told, **seen)
        case TimelineAct.PAUSE:
            return acting.pause(timeline.pk, **told, **seen)
        case TimelineAct.RESUME:
            return acting.resume(timeline.pk, **told, **seen)
        case TimelineAct.UNDO:
            return acting.undo(timeline.pk, to_milestone=wanted.get("to_milestone", 0), **told, **seen)
        case TimelineAct.END:
            return acting.end_timeline(timeline.pk, **told, **seen)
    raise AssertionError(act)


@pytest.mark.parametrize("state", TimelineState)
def test_every_act__in_every_state_by_every_role__is_what_the_tables_say(
    bench: TimelineBench, state: TimelineState
) -> None:
    timeline = timeline_in(bench, state)
    now = at_day(15) if timeline.started_at else NOW
    waits = {(TimelineState.PROPOSED, TimelineAct.START)}
    found, expected, told = {}, {}, {}
    for act in PERMISSIONS:
        for permission, name in HOLDS.items():
            person = getattr(bench.world, name)
            is_right = permission in permissions_for(timeline, act)
            is_possible = (state, act) in TRANSITIONS and act not in NOT_ASKED and (state, act) not in waits
            expected[act, name] = is_right and is_possible
            with transaction.atomic():
                try:
                    perform(timeline, act, person, now=now)
                    found[act, name] = True
                except GovernanceError:
                    found[act, name] = False
                transaction.set_rollback(True)
            shown = {one.act: one.is_allowed for one in possible_acts(timeline, person)}
            told[act, name] = shown[act] and (state, act) not in waits

    assert found == expected
    assert told == expected


def test_steps__of_every_act__name_who_and_why(bench: TimelineBench) -> None:
    timeline = brought_to(bench.started(), WARNED)
    for act, by in [
        (TimelineAct.PAUSE, bench.world.rita),
        (TimelineAct.POSTPONE, bench.world.rolf),
        (TimelineAct.RESUME, bench.world.rita),
        (TimelineAct.UNDO, bench.world.rita),
        (TimelineAct.RESUME, bench.world.rolf),
        (TimelineAct.END, bench.world.rita),
    ]:
        perform(timeline, act, by, now=at_day(8) if act is not TimelineAct.RESUME else NOW)

    rows = TimelineStep.objects.filter(timeline=timeline, sequence__gt=3)
    assert [(row.act, row.actor_id, row.is_automatic) for row in rows] == [
        ("pause", str(bench.world.rita.pk), False),
        ("postpone", str(bench.world.rolf.pk), False),
        ("resume", str(bench.world.rita.pk), False),
        ("undo", str(bench.world.rita.pk), False),
        ("resume", str(bench.world.rolf.pk), False),
        ("end", str(bench.world.rita.pk), False),
    ]
    assert {row.reason for row in rows} == {"A reason"}


@pytest.mark.parametrize("reached", [WARNED, BROWNED_OUT, RAMPED_DOWN, SUNSET])
@pytest.mark.parametrize("act", [TimelineAct.UNDO, TimelineAct.END])
def test_way_back__from_every_milestone__serves_what_was_before(
    bench: TimelineBench, reached: int, act: TimelineAct
) -> None:
    before = bench.served()
    timeline = brought_to(bench.started(), reached)
    assert bench.served() != before

    perform(timeline, act, bench.world.rita, now=at_day(29))

    found = reloaded(timeline)
    assert bench.served() == before
    state = TimelineState.UNDONE if act is TimelineAct.UNDO else TimelineState.ENDED
    assert (found.current_state, found.milestone, found.attempt) == (state, 0, 2)
    assert advance_due(at_day(60)) == 0


def test_undo__to_a_ramp_down__serves_it_and_goes_on_from_there(bench: TimelineBench) -> None:
    timeline = brought_to(bench.started(), SUNSET)
    perform(timeline, TimelineAct.UNDO, bench.world.rita, to_milestone=RAMPED_DOWN, now=at_day(29))
    assert bench.ending()["withdrawal"] == {"weight": 25_000, "serves": "off"}

    with pytest.raises(TimelineOutdated):
        perform(timeline, TimelineAct.RESUME, bench.world.rolf, now=at_day(30))
    perform(timeline, TimelineAct.POSTPONE, bench.world.rolf, to=at_day(40), now=at_day(30))
    assert bench.ending()["sunset_at"] == "2026-04-11T09:00:00Z"
    perform(timeline, TimelineAct.RESUME, bench.world.rolf, now=at_day(30))
    advance_due(at_day(39))
    assert reloaded(timeline).milestone == RAMPED_DOWN
    advance_due(at_day(40))

    found = reloaded(timeline)
    assert found.milestone == SUNSET
    assert says(found).milestones[-1].at == at_day(54)
    assert found.digest == timeline.digest


def test_archived_flag__of_a_timeline_that_is_not_completed_yet__is_not_undone(bench: TimelineBench) -> None:
    timeline = brought_to(bench.started(), SUNSET)
    advance_due(at_day(42))

    for act in (TimelineAct.UNDO, TimelineAct.END):
        with pytest.raises(InvalidTimelineTransition):
            perform(timeline, act, bench.world.rolf, now=at_day(42))


@pytest.mark.parametrize("offset", [-DAY, 0 * DAY])
def test_postponing__to_no_later_date__is_refused(bench: TimelineBench, offset: Any) -> None:
    timeline = brought_to(bench.started(), WARNED)

    with pytest.raises(GovernanceError) as refused:
        perform(timeline, TimelineAct.POSTPONE, bench.world.rita, to=at_day(14) + offset, now=at_day(8))
    assert refused.value.code == "invalid_timeline"


def test_postponing__what_was_reached_or_to_the_past__is_refused(bench: TimelineBench) -> None:
    timeline = brought_to(bench.started(), WARNED)

    with pytest.raises(InvalidInput):
        perform(timeline, TimelineAct.POSTPONE, bench.world.rita, number=WARNED, to=at_day(20), now=at_day(8))
    with pytest.raises(InvalidInput):
        perform(timeline, TimelineAct.POSTPONE, bench.world.rita, to=at_day(15), now=at_day(16))


def test_page__that_is_old__does_nothing(bench: TimelineBench) -> None:
    timeline = brought_to(bench.started(), ANNOUNCED)
    seen = timeline.sequence
    advance_due(at_day(7))
    rita = actor_of(bench.world.rita)

    with pytest.raises(TimelineMovedOn):
        acting.postpone(
            timeline.pk, BROWNED_OUT, to=at_day(20), actor=rita, now=at_day(8), sequence=seen, reason="More time"
        )
    acting.pause(timeline.pk, actor=rita, now=at_day(8), sequence=seen)

    assert reloaded(timeline).current_state is TimelineState.PAUSED


def test_approval__of_a_milestone__counts_people_who_are_not_involved(bench: TimelineBench) -> None:
    world, gates = bench.world, {WARNED: {"approvals": 1}}
    world.grant(world.rita, bench.staging, Role.EDITOR, Role.APPROVER)
    timeline = brought_to(bench.started(gates=gates), ANNOUNCED)
    advance_due(at_day(7))
    assert reloaded(timeline).blocked_code == "approval"

    with pytest.raises(ApprovalRefused):
        perform(timeline, TimelineAct.APPROVE, world.rita, now=at_day(7))
    perform(timeline, TimelineAct.APPROVE, world.abel, now=at_day(7))
    with pytest.raises(ApprovalRefused):
        perform(timeline, TimelineAct.APPROVE, world.abel, now=at_day(7))
    advance_due(at_day(7) + MINUTE)
    assert reloaded(timeline).milestone == WARNED

    perform(timeline, TimelineAct.UNDO, world.rolf, to_milestone=ANNOUNCED, now=at_day(8))
    perform(timeline, TimelineAct.POSTPONE, world.rolf, to=at_day(9), now=at_day(8))
    perform(timeline, TimelineAct.RESUME, world.rolf, now=at_day(8))
    advance_due(at_day(9) + MINUTE)
    assert reloaded(timeline).milestone == ANNOUNCED


def test_approval__where_there_are_figures__is_refused(bench: TimelineBench) -> None:
    gates = {WARNED: {"residual_days": 7, "residual_at_most": 0}}
    timeline = brought_to(bench.started(gates=gates), ANNOUNCED)
    bench.report(5, at_day(6))

    with pytest.raises(ApprovalRefused, match="waits for fewer"):
        perform(timeline, TimelineAct.APPROVE, bench.world.abel, now=at_day(7))


def test_plan_and_timeline__on_one_flag__exclude_each_other(bench: TimelineBench) -> None:
    plans = PlanBench(bench.world, bench.flag)
    rita = actor_of(bench.world.rita)
    draft = bench.draft_in(bench.staging)
    plan = plans.started()
    ending: dict[str, Any] = {"now": NOW, "actor": rita}

    bench.world.serve(bench.flag, bench.staging, draft.base["document"])
    with pytest.raises(FlagInOtherPlan, match="works on checkout-redesign"):
        acting.start_timeline(draft.pk, digest=draft.digest, **ending)
    plan_acts.abort_plan(plan.pk, sequence=plan.sequence, reason="Not wanted", **ending)
    another = plans.plan(environment=bench.staging)
    timeline = acting.start_timeline(draft.pk, digest=draft.digest, **ending)
    assert live_timeline_of(bench.flag, bench.staging) == timeline
    with pytest.raises(FlagIsEnding, match="Timeline 1 of checkout-redesign is running"):
        plan_acts.start_plan(another.pk, digest=another.digest, **ending)
    second = bench.draft_in(bench.staging)
    with pytest.raises(FlagIsEnding):
        acting.start_timeline(second.pk, digest=second.digest, **ending)


def test_start__of_a_draft_whose_dates_are_past__is_refused(bench: TimelineBench) -> None:
    draft = bench.draft_in(bench.staging)

    with pytest.raises(TimelineOutdated):
        perform(draft, TimelineAct.START, bench.world.rita, now=at_day(8))
    perform(draft, TimelineAct.START, bench.world.rita, now=at_day(3))
    advance_due(at_day(3))
    assert reloaded(draft).milestone == ANNOUNCED


def test_draft__edited_or_for_somewhere_else__is_prepared_anew(bench: TimelineBench) -> None:
    draft = bench.draft_in(bench.staging)
    bench.change()
    rita = actor_of(bench.world.rita)

    edited = drafting.edit_timeline(
        draft.pk, actor=rita, now=NOW, digest=draft.digest, definition=definition_of(final_variant="on")
    )

    assert edited.base["document"] == bench.served()
    assert edited.digest != draft.digest
    with pytest.raises(TimelineMovedOn):
        drafting.edit_timeline(draft.pk, actor=rita, now=NOW, digest=draft.digest, reason="Again")


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        ({"starts": NOW - 8 * DAY}, "milestones.1.at"),
        ({"successor": "nothing", "mapping": {"on": "on", "off": "off"}}, "successor"),
        ({"final_variant": "blue"}, "final_variant"),
    ],
)
def test_new_timeline__that_cannot_be_carried_out__is_refused(
    bench: TimelineBench, wanted: dict[str, Any], path: str
) -> None:
    with pytest.raises(GovernanceError) as refused:
        bench.draft_in(bench.staging, **wanted)
    assert [item["path"] for item in refused.value.facts["problems"]] == [path]


def test_new_timelines__for_several_environments__are_all_or_none(bench: TimelineBench) -> None:
    world, rita = bench.world, actor_of(bench.world.rita)
    places = [world.production.pk, world.staging.pk]

    made = drafting.create_timelines(bench.flag.pk, places, definition_of(), actor=rita, now=NOW)
    assert sorted(one.number for one in made) == [1, 2]
    world.grant(world.rita, world.production, Role.VIEWER)
    with pytest.raises(PermissionMissing):
        drafting.create_timelines(bench.flag.pk, places, definition_of(), actor=rita, now=NOW)
    assert DeprecationTimeline.objects.count() == 2
