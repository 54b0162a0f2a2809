"""What keeps a timeline from surprising people: freezes by way of others, notice of outages, who says yes."""

from datetime import timedelta
from typing import Any

import pytest

from flags.errors import InvalidInput
from flags.models import Flag
from flags.permissions import Role
from flags.services.tickets import governed_write
from rollouts.errors import ApprovalRefused
from rollouts.services.timelines import acting
from rollouts.services.timelines.engine import advance_due
from tests.factories import actor_of, percent_document
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
