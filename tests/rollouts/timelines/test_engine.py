"""What the engine does with a timeline as time goes by."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.core import mail

from audits.models import AuditEvent
from flags.models import Flag, FlagConfig, ServiceOwner, Tombstone
from flags.services.tickets import governed_write
from rollouts.deprecations.schedules import fill
from rollouts.deprecations.templates import template_for
from rollouts.deprecations.transitions import TimelineState
from rollouts.models import DeprecationTimeline, TimelineStep
from rollouts.services.incidents import close_incident, open_incident
from rollouts.services.timelines import acting
from rollouts.services.timelines.drafting import create_timelines
from rollouts.services.timelines.engine import advance_due
from tests.factories import NOW, actor_of
from tests.rollouts.calendars import freeze
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
    reloaded,
)

pytestmark = pytest.mark.django_db

HOUR = 60 * MINUTE
DATES = {"deprecated_at": "2026-03-09T09:00:00Z", "sunset_at": "2026-03-30T09:00:00Z"}
EVERYBODY = {"weight": 100_000, "serves": "off"}
RUNNING_BROWNOUT = {**DATES, "withdrawal": {**EVERYBODY, "until": "2026-03-16T10:00:00Z"}}


def acts_of(timeline: DeprecationTimeline) -> list[str]:
    return list(TimelineStep.objects.filter(timeline=timeline).values_list("act", flat=True))


def test_timeline__day_by_day__serves_what_each_milestone_says(bench: TimelineBench) -> None:
    before, timeline = bench.served(), bench.started()
    table: list[tuple[datetime, int, dict[str, Any]]] = [
        (NOW, ANNOUNCED, {}),
        (at_day(7) - MINUTE, ANNOUNCED, {}),
        (at_day(7), WARNED, DATES),
        (at_day(14), BROWNED_OUT, RUNNING_BROWNOUT),
        (at_day(14) + 59 * MINUTE, BROWNED_OUT, RUNNING_BROWNOUT),
        (at_day(14) + 60 * MINUTE, BROWNED_OUT, DATES),
        (at_day(21), RAMPED_DOWN, {**DATES, "withdrawal": {"weight": 25_000, "serves": "off"}}),
        (at_day(28), SUNSET, {**DATES, "withdrawal": EVERYBODY}),
        (at_day(42), ARCHIVED, {**DATES, "withdrawal": EVERYBODY, "is_archived": True}),
    ]

    for now, milestone, ending in table:
        advance_due(now)
        advance_due(now)
        assert (reloaded(timeline).milestone, bench.ending()) == (milestone, ending), now
    assert {**bench.served(), "deprecation": None} == {**before, "deprecation": None}
    assert reloaded(timeline).current_state is TimelineState.DONE
    reached = ["reach"] * 3
    assert acts_of(timeline) == ["start", *reached, "end_brownout", *reached, "complete"]
    events = AuditEvent.objects.filter(correlation_id=timeline.correlation_id, action__startswith="timeline.")
    assert events.count() == 1 + len(acts_of(timeline))


def test_announcement__serves_the_same__and_tells_everybody_concerned(
    bench: TimelineBench, django_capture_on_commit_callbacks: Any
) -> None:
    world = bench.world
    owner = ServiceOwner(project=world.project, service="billing", person=world.otto, changed_at=NOW)
    owner.save()
    bench.report(3, NOW - DAY)
    bench.report(9, NOW - DAY, key="other", service="search")
    timeline = bench.started()
    version = FlagConfig.objects.get(flag=bench.flag, environment=bench.staging).version

    with django_capture_on_commit_callbacks(execute=True):
        advance_due(NOW)

    assert FlagConfig.objects.get(flag=bench.flag, environment=bench.staging).version == version
    told = {address for letter in mail.outbox for address in letter.to}
    assert told == {world.rita.email, world.rolf.email, world.otto.email}
    assert "checkout-redesign here in the last 14 days: billing." in mail.outbox[0].body
    assert "Next: from 9 March 2026, 09:00: every evaluation says" in mail.outbox[0].body
    step = TimelineStep.objects.get(timeline=timeline, act="reach")
    assert step.evidence["services"] == ["billing"]
    assert str(world.otto.pk) in step.evidence["told"]


def test_last_environment__archived__archives_the_flag(bench: TimelineBench) -> None:
    timelines = [bench.approved_and_started(), bench.started(), bench.started_in(bench.world.development)]
    brought_to(timelines[0], ARCHIVED)

    assert {reloaded(timeline).current_state for timeline in timelines} == {TimelineState.DONE}
    assert Flag.objects.get(pk=bench.flag.pk).archived_at == at_day(42)
    assert Tombstone.objects.get(flag=bench.flag).key == bench.flag.key
    assert AuditEvent.objects.filter(action="flag.archived").count() == 1


def test_first_environment__archived__leaves_the_flag(bench: TimelineBench) -> None:
    brought_to(bench.started(), ARCHIVED)

    assert Flag.objects.get(pk=bench.flag.pk).archived_at is None
    assert not Tombstone.objects.exists()


def test_outage__over_several_dates__one_milestone_at_a_time_and_the_brownout_is_missed(bench: TimelineBench) -> None:
    timeline = brought_to(bench.started(), WARNED)

    log = []
    now = at_day(30)
    for _ in range(6 * 24):
        if advance_due(now):
            log.append((now - at_day(30), reloaded(timeline).milestone))
        now += HOUR

    assert log == [
        (timedelta(0), RAMPED_DOWN),
        (DAY, SUNSET),
    ]
    assert acts_of(timeline)[-3:] == ["miss", "reach", "reach"]
    assert "until" not in str([row.document for row in FlagConfig.history.filter(flag=bench.flag)])


@pytest.mark.parametrize(("ends_after", "acts"), [(30, ["reach", "end_brownout"]), (90, ["miss"])])
def test_brownout__in_a_freeze__waits_and_is_missed_with_its_window(
    bench: TimelineBench, ends_after: int, acts: list[str]
) -> None:
    timeline = brought_to(bench.started(), WARNED)
    begins = at_day(14)
    freeze(bench.world, begins - MINUTE, begins + ends_after * MINUTE)

    for minute in range(0, 120, 5):
        advance_due(begins + minute * MINUTE)

    held = TimelineStep.objects.get(timeline=timeline, act="hold")
    assert held.evidence["code"] == "frozen"
    assert acts_of(timeline)[3:] == ["hold", *acts]
    assert bench.ending() == DATES
    assert reloaded(timeline).blocked_code == ""


def test_warning__in_a_freeze__is_given(bench: TimelineBench) -> None:
    timeline = brought_to(bench.started(), ANNOUNCED)
    freeze(bench.world, at_day(7) - MINUTE, at_day(8))

    advance_due(at_day(7))

    assert reloaded(timeline).milestone == WARNED


def test_end_of_a_brownout__in_a_freeze_and_while_paused__is_tidied(bench: TimelineBench) -> None:
    timeline = brought_to(bench.started(), BROWNED_OUT)
    freeze(bench.world, at_day(14) + MINUTE, at_day(15))
    rita = actor_of(bench.world.rita)
    acting.pause(timeline.pk, actor=rita, now=at_day(14) + MINUTE, sequence=timeline.sequence)

    advance_due(at_day(14) + 61 * MINUTE)

    assert bench.ending() == DATES
    assert reloaded(timeline).current_state is TimelineState.PAUSED
    assert advance_due(at_day(40)) == 0


def test_somebody_else__changed_the_flag__holds_the_timeline_until_it_is_back(bench: TimelineBench) -> None:
    timeline = brought_to(bench.started(), WARNED)
    left = bench.served()
    bench.change()

    advance_due(at_day(21))
    advance_due(at_day(21) + MINUTE)
    assert reloaded(timeline).blocked_code == "timeline_moved_ground"
    assert acts_of(timeline).count("hold") == 1

    bench.world.serve(bench.flag, bench.staging, left)
    advance_due(at_day(21) + 5 * MINUTE)
    assert (reloaded(timeline).milestone, reloaded(timeline).blocked_code) == (RAMPED_DOWN, "")


def test_archiving__a_flag_that_others_need__waits(bench: TimelineBench) -> None:
    timeline = brought_to(bench.started(), SUNSET)
    other = bench.world.flag("express-checkout")
    document = bench.served(flag=other)
    needs = [{"flag": bench.flag.key, "variants": ["on"]}]
    bench.world.serve(other, bench.staging, {**document, "prerequisites": needs})

    advance_due(at_day(42))
    found = reloaded(timeline)
    assert (found.milestone, found.blocked_code) == (SUNSET, "flag_needed")
    assert "express-checkout" in found.blocked_detail["message"]

    bench.world.serve(other, bench.staging, document)
    advance_due(at_day(42) + HOUR)
    assert reloaded(timeline).current_state is TimelineState.DONE


@pytest.mark.parametrize(
    ("reports", "reached", "code"),
    [
        ([], False, "residual"),
        ([("other", 5, 1)], True, ""),
        ([("checkout-redesign", 100, 1)], True, ""),
        ([("checkout-redesign", 101, 1)], False, "residual"),
        ([("checkout-redesign", 60, 1), ("checkout-redesign", 60, 6)], False, "residual"),
        ([("checkout-redesign", 500, 8), ("other", 1, 1)], True, ""),
    ],
)
def test_residual_use__before_the_sunset__decides(
    bench: TimelineBench, reports: list[tuple[str, int, int]], reached: bool, code: str
) -> None:
    gates = {SUNSET: {"residual_days": 7, "residual_at_most": 100}}
    timeline = brought_to(bench.started(gates=gates), RAMPED_DOWN)
    if reports:
        bench.report_all_along(7, at_day(28))
    for number, (key, count, days_before) in enumerate(reports):
        bench.report(count, at_day(28) - days_before * DAY, key=key, service=f"service-{number}")

    advance_due(at_day(28))

    found = reloaded(timeline)
    assert (found.milestone == SUNSET, found.blocked_code) == (reached, code)


def test_missing_figures__a_person_who_says_why__lets_it_pass(bench: TimelineBench) -> None:
    gates = {SUNSET: {"residual_days": 7, "residual_at_most": 0}}
    timeline = brought_to(bench.started(gates=gates), RAMPED_DOWN)
    advance_due(at_day(28))
    found = reloaded(timeline)
    assert "somebody has to approve this" in found.blocked_detail["message"]

    acting.approve_milestone(
        timeline.pk,
        actor=actor_of(bench.world.abel),
        now=at_day(28),
        digest=found.digest,
        sequence=found.sequence,
        reason="Services report nothing here; I asked both teams",
    )
    advance_due(at_day(28))

    assert reloaded(timeline).milestone == SUNSET
    step = TimelineStep.objects.get(timeline=timeline, act="approve")
    assert step.reason == "Services report nothing here; I asked both teams"


def test_hours_and_minutes__of_the_same_evaluations__are_counted_once(bench: TimelineBench) -> None:
    gates = {SUNSET: {"residual_days": 60, "residual_at_most": 100}}
    timeline = brought_to(bench.started(gates=gates), RAMPED_DOWN)
    recent, old = at_day(28) - DAY, at_day(28) - 50 * DAY
    bench.report_all_along(60, at_day(28))
    for span in ("minute", "hour"):
        bench.report(60, recent, span=span)
    bench.report(40, old, span="hour")

    advance_due(at_day(28))

    assert reloaded(timeline).milestone == SUNSET
    step = TimelineStep.objects.filter(timeline=timeline, act="reach").last()
    assert step is not None
    assert step.evidence["residual"] == 100


def test_one_broken_timeline__does_not_stop_the_others(bench: TimelineBench) -> None:
    other = bench.world.flag("express-checkout")
    broken, timeline = bench.started(), TimelineBench(bench.world, other).started()
    with governed_write(bench.staging.pk):
        DeprecationTimeline.objects.filter(pk=broken.pk).update(postponed={"2": "never"})

    advance_due(NOW)

    assert reloaded(timeline).milestone == ANNOUNCED
    assert reloaded(broken).milestone == 0


@pytest.mark.parametrize(
    ("minutes", "acts"),
    [
        (-1, []),
        (0, ["reach"]),
        (59, ["reach"]),
        (60, ["miss"]),
        (24 * 60, ["miss"]),
        (8 * 24 * 60, ["miss", "reach"]),
    ],
)
def test_next_tick__so_long_after_a_brownout_began__runs_it_only_inside_its_window(
    bench: TimelineBench, minutes: int, acts: list[str]
) -> None:
    timeline = brought_to(bench.started(), WARNED)

    advance_due(at_day(14) + minutes * MINUTE)

    assert acts_of(timeline)[3:] == acts
    ending = RUNNING_BROWNOUT if acts == ["reach"] else DATES
    assert {**bench.ending(), "withdrawal": None} == {**ending, "withdrawal": None}
    assert ("until" in str(bench.ending())) == (acts == ["reach"])


@pytest.mark.parametrize(("reached", "now", "is_held"), [(ANNOUNCED, 7, False), (WARNED, 14, True), (SUNSET, 42, True)])
def test_open_incident__holds_what_changes_answers__and_nothing_else(
    bench: TimelineBench, reached: int, now: int, is_held: bool
) -> None:
    timeline, ada = brought_to(bench.started(), reached), actor_of(bench.world.ada)
    told: dict[str, Any] = {"title": "Payments are slow", "severity": "major", "link": "", "actor": ada}
    incident = open_incident(bench.world.project.pk, environment_id=bench.staging.pk, now=at_day(now), **told)

    advance_due(at_day(now))

    assert (reloaded(timeline).blocked_code == "incident_open") == is_held
    assert (reloaded(timeline).milestone == reached) == is_held
    close_incident(incident.pk, actor=ada, reason="Over", now=at_day(now))
    advance_due(at_day(now) + 5 * MINUTE)
    assert (reloaded(timeline).milestone, reloaded(timeline).blocked_code) == (reached + 1, "")


def test_dates__by_the_clocks_of_a_zone__stay_so_when_they_change(bench: TimelineBench) -> None:
    definition = fill(
        template_for("release"), flag_key=bench.flag.key, starts_on=date(2026, 3, 3), zone="Europe/Berlin"
    )
    [timeline] = create_timelines(
        bench.flag.pk, [bench.staging.pk], definition, actor=actor_of(bench.world.rita), now=NOW
    )
    acting.start_timeline(timeline.pk, actor=actor_of(bench.world.rita), now=NOW, digest=timeline.digest)
    brownout = definition.milestones[2]

    # Clocks go forward on 29 March, so 09:00 in Berlin is 08:00 UTC before and 07:00 UTC after.
    assert [item.at.hour for item in definition.milestones[:4]] == [8, 8, 9, 7]
    for milestone in definition.milestones[:3]:
        advance_due(milestone.at - MINUTE)
        advance_due(milestone.at)
    assert bench.ending()["withdrawal"]["until"] == f"{brownout.at + 10 * MINUTE:%Y-%m-%dT%H:%M:%SZ}"
