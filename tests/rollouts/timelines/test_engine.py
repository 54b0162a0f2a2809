"""What the engine does with a timeline as time goes by."""

from datetime import datetime
from typing import Any

import pytest

from rollouts.deprecations.transitions import TimelineState
from rollouts.models import TimelineStep
from rollouts.services.timelines.engine import advance_due
from tests.factories import NOW
from tests.rollouts.timelines.support import (
    ANNOUNCED,
    ARCHIVED,
    BROWNED_OUT,
    MINUTE,
    RAMPED_DOWN,
    SUNSET,
    WARNED,
    TimelineBench,
    at_day,
    reloaded,
)

pytestmark = pytest.mark.django_db


def test_a_timeline__day_by_day__serves_what_each_milestone_says(bench: TimelineBench) -> None:
    before = bench.served()
    timeline = bench.started()
    dates = {"deprecated_at": "2026-03-09T09:00:00Z", "sunset_at": "2026-03-30T09:00:00Z"}
    everybody = {"weight": 100_000, "serves": "off"}
    table: list[tuple[datetime, int, dict[str, Any]]] = [
        (NOW, ANNOUNCED, {}),
        (at_day(7) - MINUTE, ANNOUNCED, {}),
        (at_day(7), WARNED, dates),
        (at_day(14), BROWNED_OUT, {**dates, "withdrawal": {**everybody, "until": "2026-03-16T10:00:00Z"}}),
        (
            at_day(14) + 59 * MINUTE,
            BROWNED_OUT,
            {**dates, "withdrawal": {**everybody, "until": "2026-03-16T10:00:00Z"}},
        ),
        (at_day(14) + 60 * MINUTE, BROWNED_OUT, dates),
        (at_day(21), RAMPED_DOWN, {**dates, "withdrawal": {"weight": 25_000, "serves": "off"}}),
        (at_day(28), SUNSET, {**dates, "withdrawal": everybody}),
        (at_day(42), ARCHIVED, {**dates, "withdrawal": everybody, "is_archived": True}),
    ]

    for now, milestone, ending in table:
        advance_due(now)
        assert (reloaded(timeline).milestone, bench.ending()) == (milestone, ending), now
    assert {**bench.served(), "deprecation": None} == {**before, "deprecation": None}
    assert reloaded(timeline).current_state is TimelineState.DONE
    acts = TimelineStep.objects.filter(timeline=timeline).values_list("act", flat=True)
    assert list(acts) == [
        "start", "reach", "reach", "reach", "end_brownout", "reach", "reach", "reach", "complete",
    ]  # fmt: skip
