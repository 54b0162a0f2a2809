"""Dates that were put off after a timeline was laid down. They are kept apart from it, so that consent stays."""

from collections.abc import Mapping
from dataclasses import replace

from flags.evaluation.instants import instant_text, parse_instant

from .codec import invalid
from .definition import Milestone, TimelineDefinition


def later_dates(definition: TimelineDefinition, moved: TimelineDefinition) -> dict[str, str]:
    """The dates of `moved` that differ from those of the definition, as they are stored: by number of the milestone."""
    pairs = zip(definition.milestones, moved.milestones, strict=True)
    return {
        str(number): instant_text(after.at) for number, (before, after) in enumerate(pairs, 1) if after.at != before.at
    }


def with_later_dates(definition: TimelineDefinition, dates: Mapping[str, str]) -> TimelineDefinition:
    """The definition with the dates that were put off. Raises InvalidTimeline for one that is not later."""
    if not dates:
        return definition
    milestones = tuple(
        _at_date(milestone, number, dates.get(str(number))) for number, milestone in enumerate(definition.milestones, 1)
    )
    return replace(definition, milestones=milestones)


def _at_date(milestone: Milestone, number: int, stored: str | None) -> Milestone:
    if stored is None:
        return milestone
    at = parse_instant(stored)
    if at is None or at < milestone.at:
        raise invalid([(f"milestones.{number - 1}.at", "What is stored is earlier than the date that was laid down.")])
    return replace(milestone, at=at)
