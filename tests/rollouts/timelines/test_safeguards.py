"""What keeps a timeline from surprising people: freezes by way of others, notice of outages, who says yes."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.urls import reverse

from flags.errors import InvalidInput
from flags.models import Flag
from flags.permissions import Role
from flags.services.tickets import governed_write
from rollouts.deprecations.codec import InvalidTimeline
from rollouts.deprecations.transitions import TimelineAct
from rollouts.errors import ApprovalRefused, ExceptionRefused
from rollouts.models import CalendarWindow, ChangeRequest, DeprecationTimeline, TimelineStep
from rollouts.selectors.freeze_tasks import exceptions_to_decide
from rollouts.selectors.timelines.rights import possible_acts
from rollouts.services.freezes import ask_for_exception, decide_exception
from rollouts.services.timelines import acting
from rollouts.services.timelines.consent import digest_of
from rollouts.services.timelines.engine import advance_due
from rollouts.services.timelines.successors import propose_successor
from tests.factories import NOW, actor_of, percent_document
from tests.rollouts.calendars import freeze
from tests.rollouts.timelines.support import (
    ANNOUNCED,
    BROWNED_OUT,
    RAMPED_DOWN,
    STEPS,
    WARNED,
    K,
    TimelineBench,
    at_day,
    brought_to,
    reloaded,
)
from tests.support.admin import signed_in, text_of

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def told(bench: TimelineBench, timeline: Any, by: Any = None, **wanted: Any) -> dict[str, Any]:
    """What every act is told, by the release manager unless somebody else does it."""
    found = reloaded(timeline)
    who = {"actor": actor_of(by or bench.world.rolf), "sequence": found.sequence, "reason": "A reason"}
    return {**who, **wanted}


@pytest.mark.parametrize(("tag", "held"), [("frozen", True), ("other", False)])
def test_milestone__that_widens_a_flag_above__is_held_by_a_freeze_of_that_flag(
    bench: TimelineBench, tag: str, held: bool
) -> None:
    world, staging = bench.world, bench.staging
    above = world.flag("pay-now")
    with governed_write(world.project.pk):
        Flag.objects.filter(pk=above.pk).update(tags=["frozen"])
    needs = [{"flag": "checkout-redesign", "variants": ["on"]}]
    document = {**percent_document("pay-now", 99), "default_variant": "on", "rules": [], "prerequisites": needs}
    world.serve(above, staging, document)
    served = {**bench.served(), "enabled": True, "default_variant": "off", "rules": []}
    world.serve(bench.flag, staging, served)
    freeze(world, at_day(20), at_day(50), tags=[tag], environments=[staging])
    timeline = brought_to(bench.started(final_variant="on"), BROWNED_OUT)

    advance_due(at_day(21))

    found = reloaded(timeline)
    assert (found.milestone, bool(found.blocked_code)) == (BROWNED_OUT if held else RAMPED_DOWN, held)


@pytest.mark.parametrize(("notice", "is_open"), [(timedelta(minutes=1), False), (23 * HOUR, False), (24 * HOUR, True)])
def test_postponing__a_brownout__gives_people_a_day(bench: TimelineBench, notice: timedelta, is_open: bool) -> None:
    timeline = brought_to(bench.started(), WARNED)
    now = at_day(14) + HOUR / 2

    def put_off() -> None:
        wanted = told(bench, timeline, now=now, with_later=False)
        acting.postpone(timeline.pk, BROWNED_OUT, to=now + notice, **wanted)

    if is_open:
        put_off()
    else:
        with pytest.raises(InvalidInput, match="24 hours before"):
            put_off()
    assert bool(reloaded(timeline).postponed) is is_open


def test_approval__given_before_a_postponement__is_asked_anew(bench: TimelineBench) -> None:
    world = bench.world
    timeline = brought_to(bench.started(gates={BROWNED_OUT: {"approvals": 1}}), WARNED)
    digest, now = timeline.digest, at_day(13)
    world.grant(world.rolf, bench.staging, Role.RELEASE_MANAGER, Role.APPROVER)
    acting.approve_milestone(timeline.pk, digest=digest, **told(bench, timeline, by=world.abel, now=now))

    acting.postpone(timeline.pk, BROWNED_OUT, to=at_day(16), with_later=False, **told(bench, timeline, now=now))

    advance_due(at_day(16))
    assert reloaded(timeline).milestone == WARNED
    with pytest.raises(ApprovalRefused, match="postponed"):
        acting.approve_milestone(timeline.pk, digest=digest, **told(bench, timeline, now=at_day(16)))
    acting.approve_milestone(timeline.pk, digest=digest, **told(bench, timeline, by=world.abel, now=at_day(16)))
    advance_due(at_day(16))
    assert reloaded(timeline).milestone == BROWNED_OUT


def test_approval__by_whoever_resumed__is_refused(bench: TimelineBench) -> None:
    world = bench.world
    world.grant(world.rolf, bench.staging, Role.RELEASE_MANAGER, Role.APPROVER)
    timeline = brought_to(bench.started(gates={BROWNED_OUT: {"approvals": 1}}), WARNED)
    acting.pause(timeline.pk, **told(bench, timeline, now=at_day(8)))
    acting.resume(timeline.pk, **told(bench, timeline, now=at_day(9)))

    with pytest.raises(ApprovalRefused, match="resumed"):
        acting.approve_milestone(timeline.pk, digest=timeline.digest, **told(bench, timeline, now=at_day(9)))


def test_milestone__after_a_brownout_that_was_missed__leaves_people_time_since_what_they_really_had(
    bench: TimelineBench,
) -> None:
    ramp_down = (K.RAMP_DOWN, 15, {"weight": 25_000})
    timeline = bench.started(steps=[*STEPS[:3], ramp_down, *STEPS[4:]])
    brought_to(timeline, ANNOUNCED)
    advance_due(at_day(14.9))
    advance_due(at_day(14.9))

    for day, number in [(15, BROWNED_OUT), (15.5, BROWNED_OUT), (15.9, RAMPED_DOWN)]:
        advance_due(at_day(day))
        assert reloaded(timeline).milestone == number, day


@pytest.mark.parametrize("approvals", [0, 1])
def test_approval__where_figures_are_missing__says_why_and_is_kept_with_the_milestone(
    bench: TimelineBench, approvals: int
) -> None:
    gates = {WARNED: {"residual_days": 7, "residual_at_most": 0, "approvals": approvals}}
    timeline = brought_to(bench.started(gates=gates), ANNOUNCED)
    wanted = told(bench, timeline, by=bench.world.abel, now=at_day(7), digest=timeline.digest)
    shown = {one.act: one.needs_reason for one in possible_acts(timeline, bench.world.abel)}
    assert shown[TimelineAct.APPROVE]

    with pytest.raises(InvalidInput):
        acting.approve_milestone(timeline.pk, **{**wanted, "reason": " "})
    acting.approve_milestone(timeline.pk, **wanted)
    advance_due(at_day(7))

    steps = {step.act: step for step in TimelineStep.objects.filter(timeline=timeline)}
    assert steps["approve"].evidence["figures_missing"] is True
    assert steps["reach"].to_milestone == WARNED
    assert steps["reach"].evidence["waivers"] == [{"approver_id": str(bench.world.abel.pk), "reason": "A reason"}]


def test_approval__where_there_are_figures__waives_nothing(bench: TimelineBench) -> None:
    gates = {WARNED: {"residual_days": 7, "residual_at_most": 9, "approvals": 1}}
    timeline = brought_to(bench.started(gates=gates), ANNOUNCED)
    bench.report(5, at_day(6.9))
    bench.report_all_along(7, at_day(7))
    wanted = told(bench, timeline, by=bench.world.abel, now=at_day(7), digest=timeline.digest)

    acting.approve_milestone(timeline.pk, **wanted)
    advance_due(at_day(7))

    steps = {step.act: step for step in TimelineStep.objects.filter(timeline=timeline)}
    assert steps["approve"].evidence["figures_missing"] is False
    assert "waivers" not in steps["reach"].evidence


def test_people__are_not_moved_to_another_flag_that_was_given_the_key_of_the_successor(bench: TimelineBench) -> None:
    world = bench.world
    world.flag("new-checkout")
    mapping = {"on": "on", "off": "off"}
    timeline = bench.draft_in(bench.staging, successor="new-checkout", mapping=mapping)
    with governed_write(bench.staging.pk):
        changed = {**timeline.base, "successor_id": str(bench.flag.pk)}
        DeprecationTimeline.objects.filter(pk=timeline.pk).update(base=changed)

    with pytest.raises(InvalidTimeline, match="another flag"):
        propose_successor(timeline.pk, actor=actor_of(world.rita), now=NOW, reason="Everybody moves")

    assert digest_of(reloaded(timeline)) != timeline.digest


def held_by_a_freeze(bench: TimelineBench) -> tuple[Any, ChangeRequest, CalendarWindow]:
    """A timeline in production whose ramp-down meets a freeze, its request, and the freeze."""
    timeline = brought_to(bench.approved_and_started(), BROWNED_OUT)
    window = freeze(bench.world, at_day(20), at_day(25))
    advance_due(at_day(21))
    found = reloaded(timeline)
    assert (found.milestone, found.blocked_code) == (BROWNED_OUT, "frozen")
    assert found.request is not None
    return found, found.request, window


def test_milestone__held_by_a_freeze__says_that_it_waits_whichever_way_and_where_to_ask(bench: TimelineBench) -> None:
    timeline, _, _ = held_by_a_freeze(bench)

    message = timeline.blocked_detail["message"]
    assert "“Black Friday freeze” keeps Production quiet until" in message
    assert "on the page of the timeline's change request for an exception" in message
    assert "widen" not in message


def test_milestone__held_by_a_freeze__comes_with_an_exception_that_a_second_person_grants(bench: TimelineBench) -> None:
    timeline, request, window = held_by_a_freeze(bench)
    world, now = bench.world, at_day(21)
    address = reverse("admin:rollouts_changerequest_change", args=[request.pk])
    with time_machine.travel(now, tick=False):
        assert "Ask for an exception" in text_of(signed_in(world.rita).get(address))
    wanted: dict[str, Any] = {
        "window_id": window.pk,
        "digest": request.digest,
        "reason": "It was announced",
        "now": now,
    }

    asked = ask_for_exception(request.pk, actor=actor_of(world.rita), **wanted)
    assert [task.title for task in exceptions_to_decide(world.rolf, now)] == [
        f"{request.label}: an exception from “Black Friday freeze”"
    ]
    world.grant(world.rita, bench.production, Role.EDITOR, Role.RELEASE_MANAGER)
    with pytest.raises(ExceptionRefused):
        decide_exception(asked.pk, is_granted=True, actor=actor_of(world.rita), reason="", now=now)
    advance_due(now + HOUR)
    assert reloaded(timeline).milestone == BROWNED_OUT
    decide_exception(asked.pk, is_granted=True, actor=actor_of(world.rolf), reason="", now=now)
    advance_due(now + 2 * HOUR)

    assert reloaded(timeline).milestone == RAMPED_DOWN


def test_exception__for_a_timeline_that_is_over__is_refused(bench: TimelineBench) -> None:
    timeline, request, window = held_by_a_freeze(bench)
    acting.end_timeline(timeline.pk, **told(bench, timeline, now=at_day(21)))

    with pytest.raises(ExceptionRefused, match="is applied"):
        ask_for_exception(
            request.pk,
            window_id=window.pk,
            digest=request.digest,
            actor=actor_of(bench.world.rita),
            reason="It was announced",
            now=at_day(21),
        )
