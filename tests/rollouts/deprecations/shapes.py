"""Timelines as tests use them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from rollouts.deprecations.definition import Milestone, MilestoneGates, MilestoneKind, TimelineDefinition

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
K = MilestoneKind


def day(number: float) -> datetime:
    """So many days after the announcement, at 09:00 UTC."""
    return START + timedelta(days=number)


def milestone(kind: MilestoneKind, on_day: float, *, minutes: int = 0, weight: int = 0, **gates: Any) -> Milestone:
    """A milestone on a day after the announcement."""
    return Milestone(kind, day(on_day), minutes=minutes, weight=weight, gates=MilestoneGates(**gates))


USUAL = (
    milestone(K.ANNOUNCE, 0),
    milestone(K.WARN, 14),
    milestone(K.BROWNOUT, 30, minutes=10),
    milestone(K.BROWNOUT, 37, minutes=60),
    milestone(K.RAMP_DOWN, 45, weight=25_000),
    milestone(K.RAMP_DOWN, 52, weight=50_000),
    milestone(K.SUNSET, 60),
    milestone(K.ARCHIVE, 90),
)


def timeline(*milestones: Milestone, **wanted: Any) -> TimelineDefinition:
    """A timeline of old-checkout; the usual milestones where none are given."""
    return TimelineDefinition(flag_key="old-checkout", milestones=milestones or USUAL, **wanted)
