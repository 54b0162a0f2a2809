"""Ways back where the flag or its environment is not what it was: what is kept, what is given back, what is said."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.urls import reverse

from flags.authority import NotNarrowing
from flags.errors import PermissionMissing
from flags.models import Environment
from flags.services.tickets import governed_write
from rollouts.deprecations.transitions import TimelineAct, TimelineState
from rollouts.errors import TimelineMovedGround
from rollouts.models import DeprecationTimeline, TimelineStep
from rollouts.selectors.timelines.rights import possible_acts
from rollouts.services.timelines import acting
from rollouts.services.timelines.engine import advance_due
from tests.factories import actor_of, percent_document
from tests.rollouts.timelines.support import (
    BROWNED_OUT,
    RAMPED_DOWN,
    SUNSET,
    WARNED,
    TimelineBench,
    at_day,
    brought_to,
    reloaded,
)
from tests.support.admin import signed_in, text_of

pytestmark = pytest.mark.django_db

DATES = {"deprecated_at": "2026-03-09T09:00:00Z", "sunset_at": "2026-03-30T09:00:00Z"}
# What somebody else does to the flag while a quarter of people is withdrawn.
EDITS: dict[str, dict[str, Any]] = {"switched": {"enabled": True}, "ruled": {"rules": [], "default_variant": "on"}}


def served_to_everybody(bench: TimelineBench) -> None:
    """Staging serves the flag to everybody, so that giving it back widens."""
    served = {**bench.served(), "enabled": True, "default_variant": "on", "rules": []}
    bench.world.serve(bench.flag, bench.staging, served)


def protect(bench: TimelineBench) -> None:
    with governed_write(bench.staging.pk):
        Environment.objects.filter(pk=bench.staging.pk).update(is_protected=True)


def told(bench: TimelineBench, timeline: DeprecationTimeline, day: float, by: Any = None) -> dict[str, Any]:
    sequence = reloaded(timeline).sequence
    return {"actor": actor_of(by or bench.world.rita), "now": at_day(day), "sequence": sequence, "reason": "A reason"}


def last_evidence(timeline: DeprecationTimeline) -> dict[str, Any]:
    found = TimelineStep.objects.filter(timeline=timeline).order_by("-sequence").first()
    assert found is not None
    return dict(found.evidence)


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
@pytest.mark.parametrize("to", [0, WARNED, RAMPED_DOWN])
def test_undo__of_a_flag_that_somebody_else_changed__keeps_the_edit_and_takes_the_end_out(
    bench: TimelineBench, edit: dict[str, Any], to: int
) -> None:
    timeline = brought_to(bench.started(), SUNSET)
    written = timeline.written
    bench.world.serve(bench.flag, bench.staging, {**bench.served(), **edit})
    edited = bench.served()

    acting.undo(timeline.pk, to_milestone=to, **told(bench, timeline, 29))

    ends = {0: {}, WARNED: DATES, RAMPED_DOWN: {**DATES, "withdrawal": {"weight": 25_000, "serves": "off"}}}
    found, evidence = reloaded(timeline), last_evidence(timeline)
    assert bench.ending() == ends[to]
    assert {**bench.served(), "deprecation": None} == {**edited, "deprecation": None}
    assert (found.milestone, found.current_state, found.written) == (to, TimelineState.UNDONE, written)
    assert evidence["kept_version"] == written["version"] + 1
    assert f"(version {evidence['kept_version']}) was kept" in evidence["what_to_do"]


@pytest.mark.parametrize("is_changed", [False, True])
def test_page__after_an_undo__says_what_went_back_and_which_edit_was_kept(
    bench: TimelineBench, is_changed: bool
) -> None:
    timeline = brought_to(bench.started(), RAMPED_DOWN)
    if is_changed:
        bench.change()
    undo = reverse("admin:rollouts_timeline_act", args=[timeline.pk, "undo"])
    fields = {"sequence": timeline.sequence, "to_milestone": 0, "reason": "Not yet"}

    with time_machine.travel(at_day(22), tick=False):
        text = text_of(signed_in(bench.world.rita).post(undo, fields, follow=True))

    assert ("is back where it was" in text) is not is_changed
    assert ("was kept, and only what the flag says of its end went back" in text) is is_changed
    assert ("This timeline does not go on over it" in text) is is_changed


def test_undo__step_by_step_around_an_edit__comes_to_how_it_was_but_for_the_edit(bench: TimelineBench) -> None:
    before = bench.served()
    timeline = brought_to(bench.started(), SUNSET)
    bench.change()

    acting.undo(timeline.pk, to_milestone=RAMPED_DOWN, **told(bench, timeline, 29))
    acting.undo(timeline.pk, to_milestone=0, **told(bench, timeline, 29))
    acting.end_timeline(timeline.pk, **told(bench, timeline, 29))

    assert bench.served() == {**before, "enabled": not before["enabled"]}
    assert last_evidence(timeline)["left_alone"] == ""


def test_resume__after_an_edit_was_kept__waits_for_a_new_timeline(bench: TimelineBench) -> None:
    timeline = brought_to(bench.started(), RAMPED_DOWN)
    left = bench.served()
    bench.change()
    acting.undo(timeline.pk, to_milestone=WARNED, **told(bench, timeline, 22))
    acting.postpone(timeline.pk, BROWNED_OUT, to=at_day(30), **told(bench, timeline, 22))

    for document in (bench.served(), left):
        bench.world.serve(bench.flag, bench.staging, document)
        with pytest.raises(TimelineMovedGround, match="end it, and make a new one"):
            acting.resume(timeline.pk, **told(bench, timeline, 22, by=bench.world.rolf))


def test_undo__where_somebody_else_changed_the_end_itself__stays_where_it_is_and_says_so_in_the_mail(
    bench: TimelineBench, mailoutbox: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    timeline = brought_to(bench.started(), RAMPED_DOWN)
    withdrawn = {**bench.ending(), "withdrawal": {"weight": 60_000, "serves": "off"}}
    bench.world.serve(bench.flag, bench.staging, {**bench.served(), "deprecation": withdrawn})
    left = bench.served()

    with django_capture_on_commit_callbacks(execute=True):
        acting.undo(timeline.pk, to_milestone=0, **told(bench, timeline, 22))

    found = reloaded(timeline)
    assert (found.milestone, found.state, bench.served()) == (RAMPED_DOWN, TimelineState.UNDONE.value, left)
    assert last_evidence(timeline)["left_alone"] == "moved"
    assert mailoutbox
    assert all("left as it is now" in mail.body and "went back" not in mail.body for mail in mailoutbox)


@pytest.mark.parametrize("to", [None, 0, WARNED])
def test_timeline__that_nobody_approved_and_protected_since__is_taken_back_by_a_release_manager(
    bench: TimelineBench, to: int | None
) -> None:
    served_to_everybody(bench)
    before = bench.served()
    timeline = brought_to(bench.started(), RAMPED_DOWN)
    protect(bench)

    def take_back(by: Any) -> None:
        if to is None:
            acting.end_timeline(timeline.pk, **told(bench, timeline, 22, by=by))
        else:
            acting.undo(timeline.pk, to_milestone=to, **told(bench, timeline, 22, by=by))

    with pytest.raises(NotNarrowing, match="ask a release manager"):
        take_back(bench.world.rita)
    take_back(bench.world.rolf)

    assert {**bench.served(), "deprecation": None} == {**before, "deprecation": None}
    assert bench.ending() == (DATES if to else {})
    assert last_evidence(timeline)["left_alone"] == ""


def test_timeline__that_nobody_approved_and_protected_and_edited_since__is_ended_without_a_write(
    bench: TimelineBench,
) -> None:
    served_to_everybody(bench)
    timeline = brought_to(bench.started(), RAMPED_DOWN)
    rules = percent_document(bench.flag.key, 50)["rules"]
    bench.world.serve(bench.flag, bench.staging, {**bench.served(), "rules": rules, "default_variant": "off"})
    protect(bench)
    left, rolf = bench.served(), bench.world.rolf

    with pytest.raises(NotNarrowing, match="or end the timeline, which leaves the flag as it is now"):
        acting.undo(timeline.pk, to_milestone=0, **told(bench, timeline, 22, by=rolf))
    acting.end_timeline(timeline.pk, **told(bench, timeline, 22, by=rolf))

    found, evidence = reloaded(timeline), last_evidence(timeline)
    assert (found.state, found.milestone, bench.served()) == (TimelineState.ENDED.value, RAMPED_DOWN, left)
    assert evidence["left_alone"] == "not_narrowing"
    assert "Propose a change request" in evidence["what_to_do"]


def test_timeline__that_nobody_approved_and_protected_since__is_postponed_by_a_release_manager_alone(
    bench: TimelineBench,
) -> None:
    timeline = brought_to(bench.started(), WARNED)
    protect(bench)
    before, rita, rolf = bench.ending(), bench.world.rita, bench.world.rolf

    with pytest.raises(PermissionMissing, match="release manager"):
        acting.postpone(timeline.pk, SUNSET, to=at_day(35), **told(bench, timeline, 8, by=rita))
    assert bench.ending() == before
    shown = {one.act: one for one in possible_acts(reloaded(timeline), rita)}[TimelineAct.POSTPONE]
    assert (shown.is_allowed, "release manager" in shown.why_not) == (False, True)

    acting.postpone(timeline.pk, SUNSET, to=at_day(35), **told(bench, timeline, 8, by=rolf))
    assert bench.ending() == {**before, "sunset_at": "2026-04-06T09:00:00Z"}


def test_brownout__in_an_environment_protected_since__is_over_all_the_same(bench: TimelineBench) -> None:
    served_to_everybody(bench)
    timeline = brought_to(bench.started(), BROWNED_OUT)
    assert timeline.in_brownout
    protect(bench)

    advance_due(at_day(14) + timedelta(minutes=61))

    assert not reloaded(timeline).in_brownout
    assert bench.ending() == DATES
