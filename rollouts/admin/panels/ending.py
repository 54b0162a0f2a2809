"""The deprecation timeline that a request asks for: what approval begins, and everything approvers consent to."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AbstractUser

from rollouts.admin.plans.words import Chip
from rollouts.admin.timelines.strip import Tick, gate_words, ticks_of
from rollouts.admin.timelines.words import state_of
from rollouts.deprecations.transitions import TimelineState
from rollouts.deprecations.words import final_answer, local, milestone_name, milestone_sentence
from rollouts.models import DeprecationTimeline
from rollouts.selectors import RequestPage
from rollouts.selectors.timelines.beside import timeline_beside
from rollouts.selectors.timelines.ground import definition_of


@dataclass(frozen=True, slots=True)
class MilestoneWords:
    """One milestone in a sentence, and what it waits for beside its date."""

    sentence: str
    gates: Sequence[str]


@dataclass(frozen=True, slots=True)
class EndingPanel:
    """The timeline with its milestones. `start` is what approval does first, empty once that is over; `beside` says
    that another one ends the flag already.
    """

    timeline: DeprecationTimeline
    state: Chip
    start: str
    beside: str
    ticks: Sequence[Tick]
    milestones: Sequence[MilestoneWords]
    answer: str
    zone: str
    successor: str


def ending_panel(page: RequestPage, user: AbstractUser, now: datetime) -> EndingPanel | None:
    """Two queries; None, and none, for a request that asks for neither plan nor timeline."""
    if not page.request.plan_digest:
        return None
    rows = DeprecationTimeline.objects.select_related("environment", "flag", "project")
    timeline = rows.filter(request=page.request).first()
    if timeline is None:
        return None
    definition = definition_of(timeline)
    first, zone, start = definition.milestones[0], definition.zone, ""
    if timeline.current_state is TimelineState.PROPOSED:
        when = "at once" if first.at <= now else f"on {local(first.at, zone)} ({zone})"
        start = f"Approval starts a timeline: {milestone_name(first).lower()} {when}. Nothing served changes by that."
    return EndingPanel(
        timeline,
        state_of(timeline),
        start,
        timeline_beside(timeline),
        ticks_of(timeline, definition),
        [
            MilestoneWords(milestone_sentence(definition, number), gate_words(one.gates))
            for number, one in enumerate(definition.milestones, 1)
        ],
        final_answer(definition),
        zone,
        definition.successor,
    )
