"""A process that is killed on the way to a milestone: nothing of it happened, and the next tick does all of it once."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from audits.models import AuditEvent
from flags.models import FlagConfig
from rollouts.models import TimelineStep
from rollouts.services.timelines import engine, milestones, notices, writing
from rollouts.services.timelines.engine import advance_due
from tests.rollouts.timelines.support import (
    BROWNED_OUT,
    MINUTE,
    SUNSET,
    WARNED,
    TimelineBench,
    at_day,
    brought_to,
    reloaded,
)

pytestmark = pytest.mark.django_db

PLACES = [(milestones, "apply_change_set"), (milestones, "_written"), (writing, "_insert"), (writing, "record")]


class Killed(BaseException):
    """The end of a process, which nothing in it catches."""


def then_killed(done: Callable[..., Any]) -> Callable[..., Any]:
    """The call is made, and the process ends after it."""

    def call(*args: Any, **kwargs: Any) -> Any:
        done(*args, **kwargs)
        raise Killed

    return call


@pytest.mark.parametrize(("module", "name"), PLACES, ids=[name for _, name in PLACES])
@pytest.mark.parametrize(
    ("before", "now", "after"),
    [
        (WARNED - 1, at_day(7), WARNED),
        (BROWNED_OUT - 1, at_day(14), BROWNED_OUT),
        (BROWNED_OUT, at_day(14) + 61 * MINUTE, BROWNED_OUT),
        (SUNSET - 1, at_day(28), SUNSET),
    ],
)
def test_milestone__of_a_process_that_is_killed__is_reached_once_by_the_next(
    bench: TimelineBench,
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    name: str,
    before: int,
    now: datetime,
    after: int,
) -> None:
    timeline = brought_to(bench.started(), before)
    served, version, sequence = bench.served(), _version(bench), timeline.sequence
    events = AuditEvent.objects.count()

    with monkeypatch.context() as patched:
        patched.setattr(module, name, then_killed(getattr(module, name)))
        with pytest.raises(Killed):
            advance_due(now)

    found = reloaded(timeline)
    assert (found.milestone, found.sequence, bench.served()) == (before, sequence, served)
    assert (_version(bench), AuditEvent.objects.count()) == (version, events)
    assert advance_due(now) == 1
    assert advance_due(now) == 0
    found = reloaded(timeline)
    assert (found.milestone, found.sequence, _version(bench)) == (after, sequence + 1, version + 1)
    assert TimelineStep.objects.filter(timeline=timeline).count() == sequence + 1


def test_mail_that_cannot_be_prepared__stops_this_timeline_and_no_other(
    bench: TimelineBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = TimelineBench(bench.world, bench.world.flag("express-checkout"))
    timeline, fine = bench.started(), other.started()
    told = notices.tell_about

    def broken(one: Any, **kwargs: Any) -> Any:
        if one.pk == timeline.pk and kwargs["what"] != "held":
            raise ValueError("No such page")
        return told(one, **kwargs)

    monkeypatch.setattr(engine, "tell_about", broken)
    advance_due(at_day(0))

    assert (reloaded(fine).milestone, reloaded(timeline).milestone) == (1, 0)
    assert reloaded(timeline).blocked_code == "timeline_unreadable"


def _version(bench: TimelineBench) -> int:
    return int(FlagConfig.objects.get(flag=bench.flag, environment=bench.staging).version)
