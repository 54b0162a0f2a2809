"""What a button on the page of a timeline does: read its fields, call one service, say what came of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.urls import reverse

from flags.services.keys import problem
from rollouts.admin.calls import Outcome, Press
from rollouts.admin.timelines.postponing import moved_words
from rollouts.deprecations.checking import year_problem
from rollouts.deprecations.transitions import TimelineAct, TimelineState
from rollouts.deprecations.words import local, milestone_name
from rollouts.models import DeprecationTimeline
from rollouts.schedules import instant_in
from rollouts.schedules.zones import zone_of
from rollouts.selectors.timelines.ground import definition_of
from rollouts.selectors.timelines.reading import left_to_do
from rollouts.services.timelines import acting, drafting
from rollouts.services.timelines.successors import propose_successor


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Press):
    """One press of a button, and on which timeline."""

    timeline: DeprecationTimeline


def propose(call: Call) -> Outcome:
    """Ask for the approval of the whole timeline."""
    timeline = drafting.propose_timeline(
        call.timeline.pk, actor=call.actor, now=call.now, digest=call.text("digest"), reason=call.text("reason")
    )
    number = timeline.request.number if timeline.request else ""
    return Outcome(f"The timeline is proposed as change request #{number}. It starts once that is approved.")


def recall(call: Call) -> Outcome:
    """Make a proposed timeline a draft again."""
    timeline = drafting.recall_timeline(call.timeline.pk, actor=call.actor, now=call.now, reason=call.text("reason"))
    return Outcome(f"The timeline is a draft again. Nothing was changed in {timeline.environment.name}.")


def start(call: Call) -> Outcome:
    """Set it going."""
    timeline = acting.start_timeline(
        call.timeline.pk, actor=call.actor, now=call.now, digest=call.text("digest"), reason=call.text("reason")
    )
    return Outcome(f"The timeline has started. {_next(timeline)}")


def approve(call: Call) -> Outcome:
    """Say yes to the next milestone."""
    timeline = acting.approve_milestone(
        call.timeline.pk,
        actor=call.actor,
        now=call.now,
        digest=call.text("digest"),
        sequence=call.sequence,
        reason=call.text("reason"),
    )
    return Outcome(f"Your approval counts. {_next(timeline)}")


def postpone(call: Call) -> Outcome:
    """Give people more time."""
    number, definition = call.number("number"), definition_of(call.timeline)
    if number is None:
        raise problem("number", "Choose the milestone that comes later.")
    try:
        wall = datetime.strptime(call.text("to"), "%Y-%m-%dT%H:%M")  # noqa: DTZ007 - wall time of the timeline's zone
    except ValueError:
        raise problem("to", "Give the new date and time.") from None
    if text := year_problem(wall):
        raise problem("to", text)
    to = instant_in(zone_of(definition.zone), wall)
    timeline = acting.postpone(
        call.timeline.pk,
        number,
        to=to,
        actor=call.actor,
        now=call.now,
        sequence=call.sequence,
        reason=call.text("reason"),
        with_later=bool(call.text("with_later")),
    )
    return Outcome(moved_words(timeline, number, definition, definition_of(timeline)))


def pause(call: Call) -> Outcome:
    """Stand still."""
    acting.pause(call.timeline.pk, **_told(call))
    return Outcome("The timeline is paused. What is served stays as it is until somebody resumes it.")


def resume(call: Call) -> Outcome:
    """Go on."""
    return Outcome(f"The timeline goes on. {_next(acting.resume(call.timeline.pk, **_told(call)))}")


def undo(call: Call) -> Outcome:
    """Go back to an earlier milestone and stop."""
    number = call.number("to_milestone")
    if number is None:
        raise problem("to_milestone", "Choose the milestone to go back to.")
    timeline = acting.undo(call.timeline.pk, to_milestone=number, **_told(call))
    if words := left_to_do(timeline):
        return Outcome(words)
    return Outcome(f"{timeline.environment.name} is back where it was. It stays so until somebody resumes or ends it.")


def end(call: Call) -> Outcome:
    """Give it up."""
    timeline = acting.end_timeline(call.timeline.pk, **_told(call))
    words = left_to_do(timeline) or f"{timeline.environment.name} serves the flag as before it."
    return Outcome(f"The timeline is given up. {words}")


def successor(call: Call) -> Outcome:
    """Move people to the successor."""
    request = propose_successor(call.timeline.pk, actor=call.actor, now=call.now, reason=call.text("reason"))
    if request is None:
        return Outcome(f"{call.timeline.environment.name} serves people the successor now, variant by variant.")
    address = reverse("admin:rollouts_changerequest_change", args=[request.pk])
    return Outcome(f"Change request #{request.number} asks for moving people to the successor.", address)


ACTS: Mapping[str, Callable[[Call], Outcome]] = {
    TimelineAct.PROPOSE: propose,
    TimelineAct.RECALL: recall,
    TimelineAct.START: start,
    TimelineAct.APPROVE: approve,
    TimelineAct.POSTPONE: postpone,
    TimelineAct.PAUSE: pause,
    TimelineAct.RESUME: resume,
    TimelineAct.UNDO: undo,
    TimelineAct.END: end,
    "successor": successor,
}


def _told(call: Call) -> dict[str, Any]:
    return {"actor": call.actor, "now": call.now, "sequence": call.sequence, "reason": call.text("reason")}


def _next(timeline: DeprecationTimeline) -> str:
    definition = definition_of(timeline)
    if timeline.current_state is not TimelineState.RUNNING or timeline.milestone >= len(definition.milestones):
        return ""
    milestone = definition.milestones[timeline.milestone]
    return f"Next: {milestone_name(milestone)}, {local(milestone.at, definition.zone)} ({definition.zone})."
