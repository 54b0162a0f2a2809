"""What happened to a timeline, step by step, with what each step was decided on."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model

from rollouts.admin.plans.history import Evidence, Moment
from rollouts.admin.timelines.postponing import later_milestones
from rollouts.admin.timelines.words import ACT_SYMBOLS, days_apart
from rollouts.deprecations.definition import TimelineDefinition
from rollouts.deprecations.transitions import TimelineAct
from rollouts.deprecations.words import local, milestone_name
from rollouts.models import TimelineStep

ENGINE_NAME = "The timeline itself"
_A = TimelineAct
_WORDS: Mapping[str, str] = {
    _A.EDIT: "edited the draft",
    _A.PROPOSE: "proposed it for approval",
    _A.RECALL: "took the proposal back",
    _A.START: "started the timeline",
    _A.REACH: "came to “{new}”",
    _A.MISS: "missed “{new}”, which is not made up for",
    _A.END_BROWNOUT: "ended “{old}”: people have what they had before",
    _A.HOLD: "is held before “{next}”",
    _A.CLEAR: "is no longer held before “{next}”",
    _A.POSTPONE: "postponed “{moved}”{dates}",
    _A.PAUSE: "paused the timeline",
    _A.RESUME: "resumed the timeline",
    _A.APPROVE: "approved going on to “{next}”",
    _A.UNDO: "took it back from “{old}” to {target}",
    _A.END: "gave the timeline up",
    _A.COMPLETE: "completed the timeline",
}


def people_named(steps: Iterable[TimelineStep]) -> dict[str, str]:
    """The names of everybody in these steps and their evidence, by id: one query."""
    kept = [step.evidence for step in steps]
    ids = {step.actor_id for step in steps} | {str(who) for one in kept for who in one.get("told") or ()}
    ids |= {str(waiver["approver_id"]) for one in kept for waiver in one.get("waivers") or ()}
    rows = get_user_model().objects.filter(pk__in=[one for one in ids if _is_id(one)])
    return {str(person.pk): person.get_full_name() or person.get_username() for person in rows}


def moments_of(steps: Sequence[TimelineStep], definition: TimelineDefinition, names: Mapping[str, str]) -> list[Moment]:
    """Every step, the newest first."""
    return [_moment(step, definition, names) for step in reversed(steps)]


def _moment(step: TimelineStep, definition: TimelineDefinition, names: Mapping[str, str]) -> Moment:
    symbol, tone = ACT_SYMBOLS.get(step.act, ("circle", "quiet"))
    words = _WORDS.get(step.act, step.act).format(
        old=_name(definition, step.from_milestone),
        new=_name(definition, step.to_milestone),
        next=_name(definition, step.from_milestone + 1),
        moved=_name(definition, int(step.evidence.get("number") or 0)),
        dates=_dates(step, definition),
        target=f"“{_name(definition, step.to_milestone)}”" if step.to_milestone else "how it was before",
    )
    person = ENGINE_NAME if step.is_automatic else names.get(step.actor_id, "Somebody who is gone")
    evidence = _evidence(step, definition, names)
    return Moment(person, words, step.at, step.reason, symbol, tone, step.revision, evidence)


def _dates(step: TimelineStep, definition: TimelineDefinition) -> str:
    """From when to when a postponed milestone moved, and how many moved along: “ from 3 Mar to 7 Mar”."""
    kept: Mapping[str, Any] = step.evidence
    if step.act != _A.POSTPONE or not (kept.get("from") and kept.get("to")):
        return ""
    was, becomes = (datetime.fromisoformat(str(kept[name])) for name in ("from", "to"))
    old, new = days_apart(was, becomes, definition.zone)
    later = len(definition.milestones) - int(kept.get("number") or 0)
    more = f", and {later_milestones(later)} with it" if kept.get("with_later") and later else ""
    return f" from {old} to {new}{more}"


def _name(definition: TimelineDefinition, number: int) -> str:
    if not 1 <= number <= len(definition.milestones):
        return "how it was before"
    return milestone_name(definition.milestones[number - 1])


def _evidence(step: TimelineStep, definition: TimelineDefinition, names: Mapping[str, str]) -> list[Evidence]:
    kept: Mapping[str, Any] = step.evidence
    found = [Evidence(str(gate["sentence"]), bool(gate["is_met"])) for gate in kept.get("gates") or ()]
    if step.act == _A.POSTPONE and kept.get("from") and kept.get("to"):
        old, new = (local(datetime.fromisoformat(str(kept[name])), definition.zone) for name in ("from", "to"))
        found.append(Evidence(f"From {old} to {new} ({definition.zone})."))
    if step.act == _A.HOLD and isinstance(kept.get("code"), str):
        found.append(Evidence(f"What held it: {kept['code'].replace('_', ' ')}.", False))
    if kept.get("what_to_do"):
        found.append(Evidence(str(kept["what_to_do"]), False))
    if kept.get("figures_missing"):
        found.append(Evidence("No figures of use: this reason stands instead of them.", False))
    for waiver in kept.get("waivers") or ():
        who = names.get(str(waiver["approver_id"]), "somebody who is gone")
        found.append(Evidence(f"No figures of use. {who} let it pass: {waiver['reason']}"))
    if kept.get("services"):
        found.append(Evidence(f"Still evaluated by {', '.join(map(str, kept['services']))}."))
    if kept.get("request_number"):
        found.append(Evidence(f"Change request #{kept['request_number']} asks for it."))
    if kept.get("told"):
        people = ", ".join(names.get(str(who), "somebody who is gone") for who in kept["told"])
        found.append(Evidence(f"Told by mail: {people}."))
    return found


def _is_id(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
