"""Timelines that cannot be read any more: they are held, their page says so, and people end them."""

from typing import Any

import pytest
from django.urls import reverse

from flags.services.tickets import governed_write
from rollouts.deprecations.transitions import TimelineState
from rollouts.models import DeprecationTimeline, TimelineStep
from rollouts.selectors.manifests import present_state
from rollouts.selectors.timelines.api_reads import timelines_in
from rollouts.services.timelines import acting
from rollouts.services.timelines.engine import advance_due
from tests.factories import actor_of
from tests.rollouts.timelines.support import RAMPED_DOWN, TimelineBench, at_day, brought_to, reloaded, timeline_in
from tests.support.admin import signed_in, text_of

pytestmark = pytest.mark.django_db

BROKEN: dict[str, dict[str, Any]] = {
    "empty": {"definition": {}},
    "no object": {"definition": "nothing"},
    "dates": {"postponed": {"4": "soon"}},
    "base": {"base": {}},
}


def broken(timeline: DeprecationTimeline, fields: dict[str, Any]) -> DeprecationTimeline:
    with governed_write(timeline.environment_id):
        DeprecationTimeline.objects.filter(pk=timeline.pk).update(**fields)
    return reloaded(timeline)


@pytest.mark.parametrize("fields", BROKEN.values(), ids=BROKEN)
def test_timeline__that_cannot_be_read__is_held_and_ends_without_a_write(
    bench: TimelineBench, fields: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    timeline = broken(brought_to(bench.started(), RAMPED_DOWN), fields)
    left, rita = bench.served(), actor_of(bench.world.rita)

    advance_due(at_day(28))
    assert reloaded(timeline).blocked_code == "timeline_unreadable"
    acting.end_timeline(timeline.pk, actor=rita, now=at_day(28), sequence=timeline.sequence, reason="It is broken")

    found = reloaded(timeline)
    step = TimelineStep.objects.get(timeline=timeline, act="end")
    assert (found.current_state, found.blocked_code, bench.served()) == (TimelineState.ENDED, "", left)
    assert step.evidence["left_alone"] == "unreadable"
    assert "change it by hand" in step.evidence["what_to_do"]


def test_draft__that_cannot_be_read__is_ended(bench: TimelineBench) -> None:
    timeline = broken(timeline_in(bench, TimelineState.DRAFT), BROKEN["empty"])

    acting.end_timeline(
        timeline.pk, actor=actor_of(bench.world.rita), now=at_day(1), sequence=timeline.sequence, reason="Broken"
    )

    assert reloaded(timeline).current_state is TimelineState.ENDED


def test_page__of_a_timeline_that_cannot_be_read__says_so_and_ends_it(bench: TimelineBench) -> None:
    timeline = broken(brought_to(bench.started(), RAMPED_DOWN), BROKEN["empty"])
    address = reverse("admin:rollouts_deprecationtimeline_change", args=[timeline.pk])
    act = reverse("admin:rollouts_timeline_act", args=[timeline.pk, "end"])
    rita = signed_in(bench.world.rita)

    assert "cannot be read" in text_of(rita.get(address))
    assert act not in text_of(signed_in(bench.world.vera).get(address))
    refused = rita.post(act, {"sequence": timeline.sequence, "reason": ""})
    assert refused.status_code == 400
    rita.post(act, {"sequence": timeline.sequence, "reason": "It is broken"})

    assert reloaded(timeline).current_state is TimelineState.ENDED
    assert "change it by hand" in text_of(rita.get(address))


def test_lists_and_exports__leave_out_what_cannot_be_read(bench: TimelineBench) -> None:
    readable = bench.draft_in(bench.staging)
    broken(bench.draft_in(bench.staging), BROKEN["empty"])
    broken(bench.draft_in(bench.production), BROKEN["no object"])

    part = timelines_in(bench.staging.pk, size=50)
    exported = present_state(bench.world.project).manifest["environments"]

    assert list(part.timelines) == [readable]
    assert exported["staging"]["flags"]["checkout-redesign"]["timeline"]["definition"] == readable.definition
    assert "timeline" not in exported["production"]["flags"]["checkout-redesign"]
