"""Ways back that cannot write: what the timeline says then, and where it stands."""

from datetime import timedelta
from typing import Any

import pytest

from flags.authority import NotNarrowing
from flags.models import Environment
from flags.services.tickets import governed_write
from rollouts.deprecations.transitions import TimelineState
from rollouts.models import DeprecationTimeline, TimelineStep
from rollouts.services.timelines import acting
from rollouts.services.timelines.engine import advance_due
from tests.factories import actor_of
from tests.rollouts.timelines.support import BROWNED_OUT, RAMPED_DOWN, TimelineBench, at_day, brought_to, reloaded

pytestmark = pytest.mark.django_db


def served_to_everybody(bench: TimelineBench) -> None:
    """Staging serves the flag to everybody, so that giving it back widens."""
    served = {**bench.served(), "enabled": True, "default_variant": "on", "rules": []}
    bench.world.serve(bench.flag, bench.staging, served)


def protect(bench: TimelineBench) -> None:
    with governed_write(bench.staging.pk):
        Environment.objects.filter(pk=bench.staging.pk).update(is_protected=True)


def told(bench: TimelineBench, timeline: DeprecationTimeline, day: float) -> dict[str, Any]:
    sequence = reloaded(timeline).sequence
    return {"actor": actor_of(bench.world.rita), "now": at_day(day), "sequence": sequence, "reason": "A reason"}


def last_evidence(timeline: DeprecationTimeline) -> dict[str, Any]:
    found = TimelineStep.objects.filter(timeline=timeline).order_by("-sequence").first()
    assert found is not None
    return dict(found.evidence)


def test_undo__of_a_flag_that_moved__stays_where_it_is_and_says_so_in_the_mail(
    bench: TimelineBench, mailoutbox: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    timeline = brought_to(bench.started(), RAMPED_DOWN)
    bench.change()
    left = bench.served()

    with django_capture_on_commit_callbacks(execute=True):
        acting.undo(timeline.pk, to_milestone=0, **told(bench, timeline, 22))

    found = reloaded(timeline)
    assert (found.milestone, found.state, bench.served()) == (RAMPED_DOWN, TimelineState.UNDONE.value, left)
    assert last_evidence(timeline)["left_alone"] == "moved"
    assert mailoutbox
    assert all("left as it is now" in mail.body and "went back" not in mail.body for mail in mailoutbox)


def test_timeline__that_nobody_approved_and_protected_since__is_ended_without_a_write(bench: TimelineBench) -> None:
    served_to_everybody(bench)
    timeline = brought_to(bench.started(), RAMPED_DOWN)
    protect(bench)
    left = bench.served()

    with pytest.raises(NotNarrowing):
        acting.undo(timeline.pk, to_milestone=0, **told(bench, timeline, 22))
    acting.end_timeline(timeline.pk, **told(bench, timeline, 22))

    found, evidence = reloaded(timeline), last_evidence(timeline)
    assert (found.state, found.milestone, bench.served()) == (TimelineState.ENDED.value, RAMPED_DOWN, left)
    assert evidence["left_alone"] == "not_narrowing"
    assert "Propose a change request" in evidence["what_to_do"]


def test_brownout__in_an_environment_protected_since__is_over_all_the_same(bench: TimelineBench) -> None:
    served_to_everybody(bench)
    timeline = brought_to(bench.started(), BROWNED_OUT)
    assert timeline.in_brownout
    protect(bench)

    advance_due(at_day(14) + timedelta(minutes=61))

    assert not reloaded(timeline).in_brownout
