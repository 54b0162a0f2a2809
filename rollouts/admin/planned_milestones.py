"""What the page of a flag shows of the milestones that deprecation timelines come to."""

import uuid
from collections.abc import Collection, Iterator
from datetime import datetime

from django.urls import reverse

from flags.admin.panels import PlannedMilestone
from flags.lifecycle.stages import LifecycleStage
from rollouts.deprecations.codec import InvalidTimeline
from rollouts.deprecations.definition import MilestoneKind
from rollouts.deprecations.transitions import LIVE_STATES
from rollouts.deprecations.words import milestone_name
from rollouts.models import DeprecationTimeline
from rollouts.selectors.timelines.reading import ahead_of, definition_of

STAGE_OF = {
    MilestoneKind.WARN: LifecycleStage.DEPRECATED,
    MilestoneKind.SUNSET: LifecycleStage.SUNSET,
    MilestoneKind.ARCHIVE: LifecycleStage.ARCHIVED,
}


def planned_milestones(environment_ids: Collection[uuid.UUID], flag_key: str, now: datetime) -> list[PlannedMilestone]:
    """The milestones ahead of the live timelines of a flag in these environments, in their order: one query."""
    live = [state.value for state in LIVE_STATES]
    rows = DeprecationTimeline.objects.filter(environment__in=environment_ids, flag__key=flag_key, state__in=live)
    return [milestone for timeline in rows.order_by("number") for milestone in _ahead(timeline, now)]


def _ahead(timeline: DeprecationTimeline, now: datetime) -> Iterator[PlannedMilestone]:
    try:
        definition = definition_of(timeline)
    except InvalidTimeline:
        return
    address = reverse("admin:rollouts_deprecationtimeline_change", args=[timeline.pk])
    for ahead in ahead_of(timeline, now=now):
        milestone = definition.milestones[ahead.number - 1]
        if ahead.earliest_at is not None:
            name, stage = milestone_name(milestone), STAGE_OF.get(milestone.kind)
            yield PlannedMilestone(timeline.environment_id, ahead.earliest_at, name, stage, address)
