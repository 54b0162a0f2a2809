"""A flag from its birth to its end and back, over half a year, with an outage, a freeze and second thoughts."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine

from flags.api import edge
from flags.authority import NotNarrowing
from flags.changes import ChangeSet, ConfigEdit
from flags.documents import initial_document
from flags.errors import KeyKeptBack
from flags.lifecycle.stages import LifecycleStage
from flags.models import Flag, FlagConfig, ServiceOwner, Tombstone
from flags.services.telemetry_places import forget_places
from rollouts.deprecations.transitions import TimelineState
from rollouts.errors import TimelineOutdated
from rollouts.models import RolloutPlan, TimelineStep
from rollouts.services.retirement import revive_flag
from rollouts.services.timelines import acting, drafting
from tests.factories import NOW, actor_of, make_world
from tests.journeys.endings import (
    ANNOUNCED,
    ARCHIVED,
    CUSTOMERS,
    FIRST_BROWNOUT,
    HALF,
    KEY,
    MOST,
    QUARTER,
    SECOND_BROWNOUT,
    SUNSET,
    WARNED,
    Trip,
    addresses,
    ending,
    on,
)
from tests.rollouts.calendars import freeze
from tests.rollouts.plans.support import PlanBench, stages_of

pytestmark = pytest.mark.django_db(transaction=True)

S = LifecycleStage
MINUTE = timedelta(minutes=1)
LINK = ", ".join(
    [
        '</ofrep/v1/evaluate/flags/new-checkout>; rel="successor-version"',
        '<https://example.org/checkout>; rel="deprecation"',
    ]
)


@pytest.fixture
def trip(settings: Any) -> Iterator[Trip]:
    # Stored at the door: what the buffer does has tests of its own.
    settings.REDIS_URL = ""
    edge.reset()
    forget_places()
    with time_machine.travel(NOW, tick=False) as traveller:
        yield Trip.begun(make_world(), traveller)
    edge.reset()


def test_flag__from_birth_to_archive_and_back__keeps_every_promise_on_the_way(trip: Trip) -> None:
    _is_born_and_rolled_out(trip)
    _is_agreed_to_end(trip)
    _is_announced_and_warned_about(trip)
    _browns_out_once_and_misses_the_other(trip)
    quarter = _begins_to_ramp_down_after_a_freeze(trip)
    half, most = _ramps_down_later_than_planned(trip, quarter)
    _goes_back_and_on_again(trip, half, most)
    _waits_for_the_last_user_and_sets(trip, most)
    _is_archived(trip)
    _is_revived(trip)


def _is_born_and_rolled_out(trip: Trip) -> None:
    document = initial_document(KEY, "boolean")
    trip.world.serve(trip.flag, trip.production, document)
    assert trip.stages() == (S.DRAFT, S.DRAFT)

    trip.until(NOW + timedelta(days=1))
    switched_on = ChangeSet(str(trip.production.pk), (ConfigEdit(KEY, 1, {**document, "enabled": True}),))
    trip.approved(change_set=switched_on, now=trip.now)
    plan = PlanBench(trip.world, trip.flag).approved_and_started(
        stages=stages_of(shares=((10_000, 1440), (50_000, 1440), (100_000, 1440))), now=trip.now
    )
    trip.demand = 500
    seen = []
    for _ in range(4):
        seen.append((RolloutPlan.objects.get(pk=plan.pk).stage, *trip.stages()))
        trip.until(trip.now + timedelta(days=1))

    rolling = [(number, S.ROLLING_OUT, S.ROLLING_OUT) for number in (1, 2, 3)]
    assert seen == [*rolling, (3, S.SETTLED, S.SETTLED)]
    assert trip.withdrawn() == frozenset()
    assert trip.told() == ({}, {})
    trip.verify()


def _is_agreed_to_end(trip: Trip) -> None:
    """Production asks for two people, development and staging for nobody."""
    world, rita = trip.world, actor_of(trip.world.rita)
    trip.until(on(3, 30))
    trip.require(2, now=trip.now)
    ServiceOwner.objects.create(project=world.project, service="billing", person=world.otto, changed_at=trip.now)
    told: dict[str, Any] = {"actor": rita, "now": trip.now, "reason": "The new checkout replaces it"}
    others = [world.development.pk, world.staging.pk]
    for draft in drafting.create_timelines(trip.flag.pk, others, ending(gates=False), **told):
        acting.start_timeline(draft.pk, actor=rita, now=trip.now, digest=draft.digest)
    [draft] = drafting.create_timelines(trip.flag.pk, [trip.production.pk], ending(gates=True), **told)
    request = drafting.propose_timeline(draft.pk, actor=rita, now=trip.now, digest=draft.digest).request
    assert request is not None

    states = []
    for person in (world.abel, world.anna):
        trip.approve(request, by=person, now=trip.now)
        states.append(trip.timeline.current_state)

    assert states == [TimelineState.PROPOSED, TimelineState.RUNNING]
    assert (trip.stages(), trip.timeline.milestone) == ((S.SETTLED, S.SETTLED), 0)
    trip.mails()


def _is_announced_and_warned_about(trip: Trip) -> None:
    world = trip.world
    concerned = addresses([world.rita, world.rolf, world.vera, world.otto])

    trip.until(on(4, 1))
    assert trip.timeline.milestone == ANNOUNCED
    assert trip.mails() == [("announcement", concerned)]
    assert (trip.stages(), trip.told()) == ((S.SETTLED, S.SETTLED), ({}, {}))

    trip.until(on(4, 15) - MINUTE)
    assert trip.timeline.milestone == ANNOUNCED
    trip.until(on(4, 15))
    assert trip.timeline.milestone == WARNED
    assert trip.mails() == [("warning to services", concerned)]
    _is_told(trip, sunset="Mon, 20 Jul 2026 08:00:00 GMT", sunset_at="2026-07-20T08:00:00Z")
    assert trip.stages() == (S.DEPRECATED, S.DEPRECATED)
    assert trip.withdrawn() == frozenset()
    trip.verify()


def _is_told(trip: Trip, *, sunset: str, sunset_at: str) -> None:
    """What every single answer says from the warning on."""
    headers, metadata = trip.told()
    assert headers == {"Deprecation": f"@{int(on(4, 15).timestamp())}", "Sunset": sunset, "Link": LINK}
    assert metadata == {"deprecated": True, "sunsetAt": sunset_at, "successor": "new-checkout"}


def _browns_out_once_and_misses_the_other(trip: Trip) -> None:
    begins = on(5, 4)
    trip.until(begins - MINUTE)
    assert trip.withdrawn() == frozenset()
    trip.until(begins)
    assert (trip.timeline.milestone, trip.timeline.in_brownout) == (FIRST_BROWNOUT, True)
    assert trip.withdrawn() == frozenset(CUSTOMERS)
    assert trip.stages() == (S.DEPRECATED, S.DEPRECATED)
    # It ends by the clock: nothing runs at that moment.
    trip.outage(begins + 60 * MINUTE)
    assert trip.withdrawn() == frozenset()
    assert trip.timeline.in_brownout
    trip.until(begins + 61 * MINUTE)
    assert not trip.timeline.in_brownout
    assert [subject for subject, _ in trip.mails()] == ["brownout of 1 hour", "the brownout is over"]

    trip.until(on(5, 14))
    trip.outage(on(5, 18, 11))
    assert trip.withdrawn() == frozenset()
    trip.outage(on(5, 24))
    trip.until(on(5, 24) + MINUTE)
    assert trip.timeline.milestone == SECOND_BROWNOUT
    assert trip.acts()[-3:] == ["reach 3", "end_brownout 3", "miss 4"]
    assert trip.withdrawn() == frozenset()
    assert [subject for subject, _ in trip.mails()] == ["a brownout was missed"]
    _was_never_withdrawn_since(trip, begins + 60 * MINUTE)
    trip.verify()


def _was_never_withdrawn_since(trip: Trip, ended: datetime) -> None:
    """No version since the first brownout says anything of a second one."""
    rows = FlagConfig.history.filter(flag_id=trip.flag.pk, history_date__gt=ended)
    assert [row.version for row in rows if "withdrawal" in row.document.get("deprecation", {})] == []


def _begins_to_ramp_down_after_a_freeze(trip: Trip) -> frozenset[str]:
    freeze(trip.world, on(5, 31, 0), on(6, 3, 12), environments=(trip.production,), now=trip.now)
    trip.until(on(6, 1))
    trip.until(on(6, 3, 11, 59))
    assert (trip.timeline.milestone, trip.timeline.blocked_code) == (SECOND_BROWNOUT, "frozen")
    assert trip.timeline_in(trip.staging).milestone == QUARTER
    assert trip.withdrawn() == frozenset()
    assert [subject for subject, _ in trip.mails()] == ["held"]

    trip.until(on(6, 3, 12))
    assert (trip.timeline.milestone, trip.timeline.blocked_code) == (QUARTER, "")
    assert trip.acts()[-2:] == ["hold 4", "reach 5"]
    quarter = trip.withdrawn()
    assert 440 <= len(quarter) <= 560
    assert trip.stages() == (S.DEPRECATED, S.DEPRECATED)
    assert [subject for subject, _ in trip.mails()] == ["ramp-down of 25 %"]
    return quarter


def _ramps_down_later_than_planned(trip: Trip, quarter: frozenset[str]) -> tuple[frozenset[str], frozenset[str]]:
    world = trip.world
    trip.until(on(6, 15))
    half = trip.withdrawn()
    assert trip.timeline.milestone == HALF
    assert quarter < half
    assert 920 <= len(half) <= 1_080

    trip.until(on(6, 29))
    assert trip.withdrawn() == half
    trip.act(acting.postpone, world.rolf, MOST, to=on(7, 3), reason="Billing needs two days more")
    _is_told(trip, sunset="Wed, 22 Jul 2026 08:00:00 GMT", sunset_at="2026-07-22T08:00:00Z")
    trip.until(on(7, 3) - MINUTE)
    assert (trip.timeline.milestone, trip.withdrawn()) == (HALF, half)
    trip.until(on(7, 3))
    most = trip.withdrawn()
    assert trip.timeline.milestone == MOST
    assert half < most
    assert 1_440 <= len(most) <= 1_560
    trip.verify()
    return half, most


def _goes_back_and_on_again(trip: Trip, half: frozenset[str], most: frozenset[str]) -> None:
    world = trip.world
    trip.until(on(7, 5))
    trip.mails()
    with pytest.raises(NotNarrowing, match="release manager of Production"):
        trip.act(acting.undo, world.rita, to_milestone=HALF)
    trip.act(acting.undo, world.rolf, to_milestone=HALF, reason="Billing is not ready after all")
    assert (trip.timeline.current_state, trip.timeline.milestone) == (TimelineState.UNDONE, HALF)
    assert trip.withdrawn() == half
    assert [subject for subject, _ in trip.mails()] == ["undone"]
    trip.until(on(7, 6))
    assert trip.withdrawn() == half
    with pytest.raises(TimelineOutdated):
        trip.act(acting.resume, world.rolf)
    trip.act(acting.postpone, world.rolf, MOST, to=on(7, 8), reason="They get until Wednesday")
    trip.act(acting.resume, world.rolf, reason="Billing is ready")
    trip.until(on(7, 8))
    assert (trip.timeline.milestone, trip.timeline.attempt) == (MOST, 2)
    assert trip.withdrawn() == most
    _is_told(trip, sunset="Mon, 27 Jul 2026 08:00:00 GMT", sunset_at="2026-07-27T08:00:00Z")


def _waits_for_the_last_user_and_sets(trip: Trip, most: frozenset[str]) -> None:
    trip.until(on(7, 20))
    trip.mails()
    trip.until(on(7, 27))
    assert trip.timeline_in(trip.staging).milestone == SUNSET
    assert (trip.timeline.milestone, trip.timeline.blocked_code) == (MOST, "residual")
    trip.demand = 10
    trip.until(on(8, 1))
    assert (trip.timeline.milestone, trip.withdrawn()) == (MOST, most)
    trip.demand = 0
    assert [subject for subject, _ in trip.mails()] == ["held"]

    trip.until(on(8, 4))
    assert (trip.timeline.milestone, trip.timeline.blocked_code) == (SUNSET, "")
    assert trip.withdrawn() == frozenset(CUSTOMERS)
    assert trip.stages() == (S.SUNSET, S.SUNSET)
    step = TimelineStep.objects.filter(timeline=trip.timeline, act="reach").last()
    assert step is not None
    assert step.evidence["residual"] <= 100
    assert [subject for subject, _ in trip.mails()] == ["sunset"]
    trip.verify()


def _is_archived(trip: Trip) -> None:
    world = trip.world
    trip.until(on(9, 8) - MINUTE)
    assert trip.timeline_in(trip.staging).current_state is TimelineState.DONE
    assert Flag.objects.get(pk=trip.flag.pk).archived_at is None
    trip.until(on(9, 8))
    assert (trip.timeline.current_state, trip.timeline.milestone) == (TimelineState.DONE, ARCHIVED)
    assert trip.stages() == (S.ARCHIVED, S.ARCHIVED)
    flag = Flag.objects.get(pk=trip.flag.pk)
    assert flag.archived_at == trip.now
    answer = trip.ask()
    assert (answer.status_code, answer.json()["errorCode"]) == (404, "FLAG_NOT_FOUND")
    assert not any(name in answer.headers for name in ("Deprecation", "Sunset", "Link"))
    # Nobody who is told by use is left, since nobody uses it.
    assert trip.mails() == [("archiving", addresses([world.rita, world.rolf, world.vera]))]

    trip.demand = 3
    trip.until(on(9, 10))
    assert Tombstone.objects.get(flag=flag, released_at=None).key == KEY
    with pytest.raises(KeyKeptBack, match="billing"):
        world.flag(KEY)
    _was_done_on_proven_word(trip)
    trip.verify()


def _was_done_on_proven_word(trip: Trip) -> None:
    """Every version names its authority, and each milestone the very request that two people approved."""
    timeline, world = trip.timeline, trip.world
    request = timeline.request
    assert request is not None
    events = trip.applied()
    milestones = [event for event in events if event.details["authority"] == "milestone"]

    kinds = [event.details["authority"] for event in events]
    assert kinds == ["approved_change", "approved_change", *["plan_stage"] * 3, *["milestone"] * len(milestones)]
    forward = [event.details for event in milestones if not event.details["goes_back"]]
    assert [told["milestone"] for told in forward] == [
        WARNED,
        FIRST_BROWNOUT,
        QUARTER,
        HALF,
        MOST,
        MOST,
        SUNSET,
        ARCHIVED,
    ]
    for event in milestones:
        assert event.details["timeline_id"] == str(timeline.pk)
        assert event.details["request_id"] == str(request.pk)
        assert event.details["approved_digest"] == request.digest
        assert event.correlation_id == timeline.correlation_id
    for told in forward:
        assert set(told["approver_ids"]) == {str(world.abel.pk), str(world.anna.pk)}
        assert told["required_approvals"] == 2
    steps = TimelineStep.objects.filter(timeline=timeline)
    assert list(steps.values_list("sequence", flat=True)) == list(range(1, steps.count() + 1))


def _is_revived(trip: Trip) -> None:
    world = trip.world
    asked = revive_flag(trip.flag.pk, actor=actor_of(world.rita), reason="The new one fails", now=trip.now)
    [request] = asked.requests
    for person in (world.abel, world.anna):
        trip.approve(request, by=person, now=trip.now)

    flag = Flag.objects.get(pk=trip.flag.pk)
    assert (flag.archived_at, flag.lifecycle, flag.lifecycle_started_at) == (None, 2, trip.now)
    assert not Tombstone.objects.filter(flag=flag, released_at=None).exists()
    answer = trip.ask()
    assert (answer.status_code, answer.json()["value"], answer.json()["reason"]) == (200, False, "DISABLED")
    assert trip.told() == ({}, {})
    assert trip.stages() == (S.DRAFT, S.DRAFT)
    trip.verify()
