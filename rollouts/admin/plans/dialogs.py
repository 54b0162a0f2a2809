"""The buttons of a plan's page, and what each asks before it does anything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rollouts.admin.plans.bars import Column
from rollouts.models import RolloutPlan
from rollouts.plans.definition import PlanDefinition
from rollouts.plans.transitions import PlanAct, PlanState, is_possible
from rollouts.selectors.plans.rights import PossibleAct

# Acts that have a place of their own instead of a dialog.
_ELSEWHERE = frozenset({PlanAct.EDIT})


@dataclass(frozen=True, slots=True)
class Dialog:
    """One act: its button, what it means, and what is asked. `stages` are places to go back to, the usual one first;
    `holds` is what would refuse it now.
    """

    act: str
    button: str
    symbol: str
    title: str
    text: str
    go: str
    tone: str = ""
    needs_reason: bool = False
    stages: Sequence[tuple[int, str]] = ()
    confirms: str = ""
    is_primary: bool = False
    holds: Sequence[str] = ()


_PRIMARY: Mapping[PlanState, Sequence[str]] = {
    PlanState.DRAFT: (PlanAct.PROPOSE, PlanAct.START),
    PlanState.PROPOSED: (PlanAct.START,),
    PlanState.RUNNING: (PlanAct.APPROVE_STAGE, PlanAct.PAUSE),
    PlanState.PAUSED: (PlanAct.APPROVE_STAGE, PlanAct.RESUME),
    PlanState.ROLLED_BACK: (PlanAct.RESUME,),
}
_NARROWS = "It takes something away from people on its way: that is meant."


def dialogs_of(
    plan: RolloutPlan, definition: PlanDefinition, acts: Sequence[PossibleAct], columns: Sequence[Column]
) -> list[Dialog]:
    """The dialogs of every act that this person may do now, the obvious one first."""
    found = [
        replace(_dialog(plan, definition, act.act, columns), needs_reason=act.needs_reason)
        for act in acts
        if act.is_allowed and act.act not in _ELSEWHERE and not _is_beside_the_point(plan, act.act)
    ]
    allowed = {dialog.act for dialog in found}
    first = next((act for act in _PRIMARY.get(plan.current_state, ()) if act in allowed), "")
    if first == PlanAct.PAUSE:
        return sorted(found, key=lambda dialog: dialog.act != first)
    return sorted(
        (replace(dialog, is_primary=dialog.act == first) for dialog in found), key=lambda dialog: not dialog.is_primary
    )


def with_holds(dialogs: Sequence[Dialog], place: str, holds: Sequence[str]) -> list[Dialog]:
    """The same dialogs, those that start a plan with what is in the way of a start now."""
    if not holds:
        return list(dialogs)
    held = f"While this is in the way, the plan is not started and {place} serves what it serves now."
    return [
        replace(dialog, holds=holds, text=held if dialog.act == PlanAct.START else dialog.text)
        if dialog.act in {PlanAct.START, PlanAct.PROPOSE}
        else dialog
        for dialog in dialogs
    ]


def refusals_of(plan: RolloutPlan, acts: Sequence[PossibleAct]) -> list[tuple[str, str]]:
    """What would be possible for others now, and why not for this person: the act and the sentence."""
    return [
        (_NAMES[act.act], act.why_not)
        for act in acts
        if not act.is_allowed and is_possible(plan.current_state, act.act) and not _is_beside_the_point(plan, act.act)
    ]


def copy_dialog(plan: RolloutPlan) -> Dialog:
    """A new draft with the same stages."""
    return Dialog(
        "copy",
        "New plan from this",
        "content_copy",
        "A new plan with these stages",
        f"The new draft starts from how the flags are in {plan.environment.name} now. This plan stays as it is.",
        "Make the draft",
        confirms=_NARROWS,
    )


_NAMES: Mapping[PlanAct, str] = {
    PlanAct.EDIT: "Edit",
    PlanAct.REBASE: "Bring up to date",
    PlanAct.PROPOSE: "Propose",
    PlanAct.RECALL: "Take back",
    PlanAct.START: "Start",
    PlanAct.APPROVE_STAGE: "Approve this stage",
    PlanAct.SKIP: "Go on early",
    PlanAct.PAUSE: "Pause",
    PlanAct.RESUME: "Resume",
    PlanAct.JUMP_BACK: "Back to an earlier stage",
    PlanAct.ROLL_BACK: "Roll back",
    PlanAct.ABORT: "End the plan",
}


def _is_beside_the_point(plan: RolloutPlan, act: PlanAct) -> bool:
    """Acts that the table has and nobody looks for there."""
    state, is_protected = plan.current_state, plan.environment.is_protected
    if act is PlanAct.APPROVE_STAGE:
        return not _asks_for_approval(plan)
    if state is PlanState.DRAFT and act in {PlanAct.PROPOSE, PlanAct.START}:
        return (act is PlanAct.PROPOSE) is not is_protected
    if act is PlanAct.START and state is PlanState.PROPOSED:
        return plan.request is None or plan.request.state != "approved"
    if act is PlanAct.JUMP_BACK:
        return plan.stage <= 1
    return (state is PlanState.ROLLED_BACK and act is PlanAct.ROLL_BACK and plan.stage == 0) or (
        act is PlanAct.SKIP and not plan.definition["options"]["may_skip"]
    )


def _asks_for_approval(plan: RolloutPlan) -> bool:
    stages = plan.definition["stages"]
    return bool(1 <= plan.stage <= len(stages) and stages[plan.stage - 1]["gates"]["approvals"])


def _dialog(plan: RolloutPlan, definition: PlanDefinition, act: PlanAct, columns: Sequence[Column]) -> Dialog:
    made = _DIALOGS[act]
    place, stages = plan.environment.name, definition.stages
    here = f"“{stages[plan.stage - 1].name}”" if 1 <= plan.stage <= len(stages) else "how it was before"
    ahead = f"“{stages[plan.stage].name}”" if plan.stage < len(stages) else "the end"
    words = {"place": place, "here": here, "next": ahead, "number": plan.number, "count": len(stages)}
    dialog = replace(made, **{name: getattr(made, name).format(**words) for name in ("title", "text", "go", "button")})
    if act is PlanAct.JUMP_BACK:
        return replace(dialog, stages=_places(columns, range(plan.stage - 1, 0, -1)))
    if act is PlanAct.ROLL_BACK:
        target = 0 if definition.options.rollback_to == "start" else min(plan.good_stage, plan.stage)
        rest = [number for number in range(plan.stage, -1, -1) if number != target]
        return replace(dialog, stages=_places(columns, [target, *rest]))
    return dialog


def _places(columns: Sequence[Column], numbers: Sequence[int] | range) -> list[tuple[int, str]]:
    """Stages to choose from, in words."""
    names = {column.number: f"Stage {column.number}: {_called(column)}" for column in columns}
    return [(number, names.get(number, "How it was before the rollout")) for number in numbers]


def _called(column: Column) -> str:
    return column.name if column.name == column.share else f"{column.name} ({column.share})"


_DIALOGS: Mapping[PlanAct, Dialog] = {
    PlanAct.PROPOSE: Dialog(
        "propose",
        "Propose…",
        "send",
        "Propose this plan for {place}",
        "A change request asks for the whole plan: {count} stages, their gates and guards. With its last approval the "
        "plan starts, and goes on by itself as far as its gates allow.",
        "Propose for {place}",
        tone="primary",
    ),
    PlanAct.RECALL: Dialog(
        "recall",
        "Take back",
        "undo",
        "Take the proposal back",
        "The change request is withdrawn and the plan is a draft again. Nothing changes in {place}.",
        "Take it back",
    ),
    PlanAct.REBASE: Dialog(
        "rebase",
        "Bring up to date",
        "sync",
        "Start from how the flags are now",
        "The same stages are worked out again on what {place} serves now. Look at them once more afterwards.",
        "Bring up to date",
        confirms=_NARROWS,
    ),
    PlanAct.START: Dialog(
        "start",
        "Start…",
        "rocket_launch",
        "Start the rollout in {place}",
        "{place} serves the first stage, {next}, within seconds. Later stages follow by themselves as their gates are "
        "met.",
        "Start in {place}",
        tone="primary",
    ),
    PlanAct.APPROVE_STAGE: Dialog(
        "approve_stage",
        "Approve this stage…",
        "thumb_up",
        "Approve leaving {here}",
        "You say that the numbers of this stage are good enough for {next}. Your yes counts for this attempt of this "
        "stage only.",
        "Approve in {place}",
        tone="approve",
    ),
    PlanAct.SKIP: Dialog(
        "skip",
        "Go on early…",
        "skip_next",
        "Leave {here} before its time",
        "{place} serves {next} within seconds, although time, sample or guards of {here} are not through yet.",
        "Go on to {next}",
        tone="danger",
    ),
    PlanAct.PAUSE: Dialog(
        "pause",
        "Pause…",
        "pause",
        "Pause at {here}",
        "Everybody keeps what they get now. Nothing goes on until somebody resumes the plan; its guards no longer act.",
        "Pause",
        tone="primary",
    ),
    PlanAct.RESUME: Dialog(
        "resume",
        "Resume…",
        "play_arrow",
        "Go on from {here}",
        "The plan goes on from {here} and asks its gates again. {next} comes when they are met.",
        "Resume in {place}",
        tone="primary",
    ),
    PlanAct.JUMP_BACK: Dialog(
        "jump_back",
        "Back a stage…",
        "skip_previous",
        "Go back to an earlier stage",
        "{place} serves the earlier stage within seconds, freezes do not hold that. The plan goes on from there.",
        "Go back",
        tone="danger",
    ),
    PlanAct.ROLL_BACK: Dialog(
        "roll_back",
        "Roll back…",
        "restore",
        "Roll back in {place}",
        "{place} serves the stage you choose within seconds, freezes do not hold that. The plan then stands still "
        "until somebody resumes or ends it.",
        "Roll back in {place}",
        tone="danger",
    ),
    PlanAct.ABORT: Dialog(
        "abort",
        "End…",
        "cancel",
        "End this plan for good",
        "What {place} serves now, {here}, stays served. The plan cannot be taken up again.",
        "End the plan",
        tone="danger",
    ),
}
