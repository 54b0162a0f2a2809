"""The buttons of a timeline's page, and what each asks before it does anything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.contrib.auth.models import AbstractUser

from flags import permissions
from rollouts.admin.timelines.postponing import Place, freezes_ahead, places_ahead
from rollouts.deprecations.checking import dates_past
from rollouts.deprecations.definition import TimelineDefinition
from rollouts.deprecations.transitions import ENDED_STATES, TimelineAct, TimelineState, is_possible
from rollouts.deprecations.words import milestone_name
from rollouts.models import DeprecationTimeline
from rollouts.selectors.timelines.consents import can_be_approved
from rollouts.selectors.timelines.rights import PossibleAct

_A, _S = TimelineAct, TimelineState
SUCCESSOR = "successor"


@dataclass(frozen=True, slots=True)
class Dialog:
    """One act: its button, what it means, and what is asked. `places` are milestones to choose from; `warnings` say
    what a later date may run into; `why_not` is why it would be refused as things stand now.
    """

    act: str
    button: str
    symbol: str
    title: str
    text: str
    go: str
    tone: str = ""
    needs_reason: bool = False
    places: Sequence[Place] = ()
    warnings: Sequence[str] = ()
    why_not: str = ""
    is_primary: bool = False


_PRIMARY: Mapping[TimelineState, Sequence[str]] = {
    _S.DRAFT: (_A.PROPOSE, _A.START),
    _S.PROPOSED: (_A.START,),
    _S.RUNNING: (_A.APPROVE,),
    _S.PAUSED: (_A.RESUME, _A.POSTPONE, _A.END),
    _S.UNDONE: (_A.RESUME, _A.POSTPONE, _A.END),
}
_NAMES: Mapping[TimelineAct, str] = {
    _A.EDIT: "Edit",
    _A.PROPOSE: "Propose",
    _A.RECALL: "Take back",
    _A.START: "Start",
    _A.APPROVE: "Approve the next milestone",
    _A.POSTPONE: "Postpone",
    _A.PAUSE: "Pause",
    _A.RESUME: "Resume",
    _A.UNDO: "Undo",
    _A.END: "Give up",
}


def dialogs_of(
    timeline: DeprecationTimeline,
    definition: TimelineDefinition,
    acts: Sequence[PossibleAct],
    user: AbstractUser,
    *,
    now: datetime,
) -> list[Dialog]:
    """The dialogs of every act that this person may do now, the obvious one first."""
    found = [
        replace(_dialog(timeline, definition, act.act, now), needs_reason=act.needs_reason)
        for act in acts
        if act.is_allowed and act.act is not _A.EDIT and not _is_beside_the_point(timeline, act.act)
    ]
    if _may_move_people(timeline, definition, user):
        found.append(_successor(timeline, definition))
    allowed = {dialog.act for dialog in found if not dialog.why_not}
    first = next((act for act in _PRIMARY.get(timeline.current_state, ()) if act in allowed), "")
    return sorted(
        (replace(dialog, is_primary=dialog.act == first) for dialog in found), key=lambda dialog: not dialog.is_primary
    )


def refusals_of(timeline: DeprecationTimeline, acts: Sequence[PossibleAct]) -> list[tuple[str, str]]:
    """What would be possible for others now, and why not for this person: the act and the sentence."""
    return [
        (_NAMES[act.act], act.why_not)
        for act in acts
        if not act.is_allowed
        and is_possible(timeline.current_state, act.act)
        and not _is_beside_the_point(timeline, act.act)
    ]


def _is_beside_the_point(timeline: DeprecationTimeline, act: TimelineAct) -> bool:
    """Acts that the table has and nobody looks for there."""
    state = timeline.current_state
    if state is _S.DRAFT and act in {_A.PROPOSE, _A.START}:
        return (act is _A.PROPOSE) is not timeline.environment.is_protected
    if act is _A.START and state is _S.PROPOSED:
        return timeline.request is None or timeline.request.state != "approved"
    if act is _A.APPROVE:
        return not can_be_approved(timeline)
    return act is _A.UNDO and timeline.milestone == 0


def _may_move_people(timeline: DeprecationTimeline, definition: TimelineDefinition, user: AbstractUser) -> bool:
    if not definition.successor or timeline.current_state in ENDED_STATES:
        return False
    return permissions.user_holds(user, permissions.PROPOSE, timeline.environment)


def _successor(timeline: DeprecationTimeline, definition: TimelineDefinition) -> Dialog:
    place = timeline.environment
    how = "A change request asks for it" if place.is_protected else f"{place.name} serves it at once"
    return Dialog(
        SUCCESSOR,
        "Move people to the successor…",
        "move_up",
        f"Move people to {definition.successor}",
        f"{how}: everybody gets the variant of {definition.successor} that stands for the one they have of "
        f"{definition.flag_key} now, the same people in each share.",
        f"Move people in {place.name}",
        tone="primary",
        needs_reason=True,
    )


def _dialog(timeline: DeprecationTimeline, definition: TimelineDefinition, act: TimelineAct, now: datetime) -> Dialog:
    milestones, at = definition.milestones, timeline.milestone
    words = {
        "place": timeline.environment.name,
        "flag": definition.flag_key,
        "count": len(milestones),
        "first": milestone_name(milestones[0]),
        "next": milestone_name(milestones[at]) if at < len(milestones) else "the end",
    }
    made = _DIALOGS[act]
    dialog = replace(made, **{name: getattr(made, name).format(**words) for name in ("title", "text", "go", "button")})
    if act is _A.UNDO:
        return replace(dialog, places=_places_behind(definition, at))
    if act is _A.POSTPONE:
        places = places_ahead(timeline, definition, now=now)
        return replace(dialog, places=places, warnings=freezes_ahead(timeline, definition, now=now))
    if act is _A.RESUME and (past := dates_past(definition, reached=at, now=now)):
        return replace(dialog, why_not=f"It cannot go on yet. {past[0][1]} Postpone it first.")
    return dialog


def _places_behind(definition: TimelineDefinition, at: int) -> list[Place]:
    names = {number: f"{number}. {milestone_name(one)}" for number, one in enumerate(definition.milestones, 1)}
    return [Place(number, names.get(number, "How it was before the timeline")) for number in range(at - 1, -1, -1)]


_DIALOGS: Mapping[TimelineAct, Dialog] = {
    _A.PROPOSE: Dialog(
        "propose",
        "Propose…",
        "send",
        "Propose the end of {flag} in {place}",
        "A change request asks for the whole timeline: {count} milestones, their dates and gates. With its last "
        "approval the timeline starts, and each milestone comes on its date as far as its gates allow.",
        "Propose for {place}",
        tone="primary",
    ),
    _A.RECALL: Dialog(
        "recall",
        "Take back",
        "undo",
        "Take the proposal back",
        "The change request is withdrawn and the timeline is a draft again. Nothing changes in {place}.",
        "Take it back",
    ),
    _A.START: Dialog(
        "start",
        "Start…",
        "play_circle",
        "Start the timeline in {place}",
        "Each milestone comes on its date by itself, beginning with “{first}”. It can be undone at any time until "
        "the flag is archived.",
        "Start in {place}",
        tone="primary",
    ),
    _A.APPROVE: Dialog(
        "approve",
        "Approve “{next}”…",
        "thumb_up",
        "Approve going on to “{next}”",
        "You say that “{next}” may come in {place}. Where figures of use are missing, your reason is what is kept "
        "instead of them.",
        "Approve in {place}",
        tone="approve",
    ),
    _A.POSTPONE: Dialog(
        "postpone",
        "Postpone…",
        "more_time",
        "Give people more time",
        "The milestone you choose comes later. Services and their owners are told the new dates; approvals stay.",
        "Postpone",
        tone="primary",
    ),
    _A.PAUSE: Dialog(
        "pause",
        "Pause…",
        "pause",
        "Pause the timeline",
        "What {place} serves now stays. No milestone comes until somebody resumes it; a brownout that runs ends at "
        "its announced time all the same.",
        "Pause",
        tone="primary",
    ),
    _A.RESUME: Dialog(
        "resume",
        "Resume…",
        "play_arrow",
        "Let the timeline go on",
        "“{next}” comes on its date. Dates that are past have to be postponed first.",
        "Resume in {place}",
        tone="primary",
    ),
    _A.UNDO: Dialog(
        "undo",
        "Undo…",
        "restore",
        "Take {flag} back in {place}",
        "{place} serves what it served at the milestone you choose within seconds; freezes do not hold that. The "
        "timeline then stands still until somebody resumes it or gives it up.",
        "Undo in {place}",
        tone="danger",
    ),
    _A.END: Dialog(
        "end",
        "Give up…",
        "cancel",
        "Give this timeline up for good",
        "All of it is undone: {place} serves {flag} as it was before, within seconds. The timeline cannot be taken up "
        "again.",
        "Give it up",
        tone="danger",
    ),
}
