"""Many engines at once, and people beside them: each milestone is reached once, and nobody sees a database error."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from audits.models import AuditEvent
from flags.models import FlagConfig
from rollouts.deprecations.transitions import TimelineState
from rollouts.models import TimelineStep
from rollouts.services.timelines import acting
from rollouts.services.timelines.engine import advance_due
from tests.factories import NOW, actor_of
from tests.rollouts.plans.test_engine_races import Crowd
from tests.rollouts.timelines.support import (
    RAMPED_DOWN,
    SUNSET,
    TimelineBench,
    at_day,
    brought_to,
    definition_of,
    reloaded,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]

ENGINES, TIMELINES = 6, 5


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    """As many engines as two beats and three workers come to."""
    made = Crowd(ENGINES)
    yield made
    made.leave()


def test_milestones__that_many_engines_look_at__are_reached_once_each(bench: TimelineBench, crowd: Crowd) -> None:
    flags = [bench.world.flag(f"flag-{number}") for number in range(TIMELINES)]
    timelines = [TimelineBench(bench.world, flag).started() for flag in flags]
    dates = [milestone.at for milestone in definition_of().milestones]

    for now in [*dates, dates[-1]]:
        crowd.run([lambda now=now: advance_due(now)] * ENGINES)  # type: ignore[misc]

    steps = TimelineStep.objects.filter(act="reach")
    assert Counter(steps.values_list("to_milestone", flat=True)) == dict.fromkeys(range(1, 7), TIMELINES)
    assert AuditEvent.objects.filter(action="timeline.milestone_reached").count() == 6 * TIMELINES
    for timeline in timelines:
        assert reloaded(timeline).current_state is TimelineState.DONE
        config = FlagConfig.objects.get(flag=timeline.flag, environment=bench.staging)
        assert config.version == timeline.base["version"] + 6


def test_undo__beside_engines__wins_or_comes_too_late_but_never_mixes(bench: TimelineBench, crowd: Crowd) -> None:
    timeline = brought_to(bench.started(), RAMPED_DOWN)
    rita = actor_of(bench.world.rita)
    told: dict[str, Any] = {"now": at_day(28), "sequence": timeline.sequence, "reason": "Too early"}

    results = crowd.run(
        [
            lambda: advance_due(at_day(28)),
            lambda: acting.undo(timeline.pk, to_milestone=0, actor=rita, **told),
            lambda: advance_due(at_day(28)),
        ]
    )

    found, steps = reloaded(timeline), TimelineStep.objects.filter(timeline=timeline)
    assert not isinstance(results[1], Exception)
    assert (found.current_state, found.milestone) == (TimelineState.UNDONE, 0)
    assert bench.ending() == {}
    assert sorted(steps.values_list("sequence", flat=True)) == list(range(1, found.sequence + 1))
    assert steps.filter(to_milestone=SUNSET).count() <= 1


def test_two_timelines__of_one_flag_started_at_once__one_runs(bench: TimelineBench, crowd: Crowd) -> None:
    rita = actor_of(bench.world.rita)
    drafts = [bench.draft_in(bench.staging) for _ in range(3)]

    results = crowd.run(
        [
            lambda draft=draft: acting.start_timeline(draft.pk, actor=rita, now=NOW, digest=draft.digest)  # type: ignore[misc]
            for draft in drafts
        ]
    )

    states = Counter(reloaded(draft).current_state for draft in drafts)
    assert states == {TimelineState.RUNNING: 1, TimelineState.DRAFT: 2}
    assert sorted(getattr(one, "code", "") for one in results) == ["", "flag_is_ending", "flag_is_ending"]
