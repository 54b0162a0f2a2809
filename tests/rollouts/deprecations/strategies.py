"""Hypothesis strategies for timelines that can be carried out."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from rollouts.deprecations.definition import Milestone, MilestoneKind, TimelineDefinition

K = MilestoneKind


@st.composite
def timelines(draw: st.DrawFn, variant_names: Sequence[str] = ("on", "off")) -> TimelineDefinition:
    """Timelines of a flag with these variants, with up to four brownouts and four shares."""
    brownouts, shares = draw(st.integers(0, 4)), draw(st.lists(st.integers(1, 99_999), max_size=4, unique=True))
    kinds = [K.ANNOUNCE, K.WARN, *[K.BROWNOUT] * brownouts, *[K.RAMP_DOWN] * len(shares), K.SUNSET, K.ARCHIVE]
    weights = iter(sorted(shares))
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=draw(st.integers(0, 2 * 365 * 1_440)))
    milestones = []
    for kind in kinds:
        minutes = draw(st.integers(1, 1_440)) if kind is K.BROWNOUT else 0
        milestones.append(Milestone(kind, at, minutes, next(weights) if kind is K.RAMP_DOWN else 0))
        at += timedelta(minutes=minutes + draw(st.integers(1, 10 * 1_440)))
    final = draw(st.none() | st.sampled_from(list(variant_names)))
    successor = draw(st.sampled_from(["", "new-checkout"]))
    mapping = dict.fromkeys(variant_names, "on") if successor else {}
    return TimelineDefinition("old-checkout", tuple(milestones), final, successor, mapping)
