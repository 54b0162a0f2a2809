"""Where a timeline stands: what happens next and when, what its gates say, and who is waited for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from flags import permissions
from rollouts.admin.plans.standing import Waits
from rollouts.deprecations.deciding import GateState, Move
from rollouts.deprecations.definition import TimelineDefinition
from rollouts.deprecations.documents import brownout_ends_at
from rollouts.deprecations.transitions import TimelineState
from rollouts.deprecations.words import final_answer, local, milestone_name, milestone_sentence
from rollouts.models import DeprecationTimeline
from rollouts.selectors.timelines.consents import milestone_consents
from rollouts.selectors.timelines.facts import Reading
from rollouts.selectors.verdicts import name_of, verdict_of

_NAMES_SHOWN = 6
_S = TimelineState


@dataclass(frozen=True, slots=True)
class Standing:
    """What the head of the page says. `gates` are those of the milestone called `next_name`."""

    sentence: str
    look: str
    at: datetime | None = None
    detail: str = ""
    gates: Sequence[GateState] = ()
    next_name: str = ""
    waits: Sequence[Waits] = ()


_RESTING = {
    _S.DRAFT: ("A draft: what is served stays as it is.", "next"),
    _S.PROPOSED: ("It starts once its change request is approved.", "next"),
    _S.PAUSED: ("Paused: what is served stays as it is until somebody resumes it.", "held"),
    _S.UNDONE: ("It was undone and stands still until somebody resumes it or gives it up.", "bad"),
    _S.DONE: ("The flag is archived here. It can be revived, switched off, on its own page.", "good"),
    _S.ENDED: ("It was given up and does nothing any more.", "next"),
}


def standing_of(timeline: DeprecationTimeline, definition: TimelineDefinition, reading: Reading | None) -> Standing:
    """Where the timeline stands. `reading`: what the engine would do, for a timeline that runs."""
    if timeline.in_brownout:
        return _in_brownout(timeline, definition)
    if reading is None:
        sentence, look = _RESTING.get(timeline.current_state, ("", "next"))
        return Standing(sentence, look, waits=_waits(timeline))
    number = timeline.milestone + 1
    if number > len(definition.milestones):
        return Standing(reading.decision.sentence, "good")
    milestone, decision = definition.milestones[number - 1], reading.decision
    is_held = decision.move is Move.HOLD
    # Why it is held stands above, on its own, once the engine has said so.
    said = decision.sentence if is_held and not timeline.blocked_code else ""
    return Standing(
        milestone_sentence(definition, number),
        "held" if is_held else "now",
        max(milestone.at, reading.facts.now) if not is_held else None,
        said or ("It happens at the next look, within a minute." if decision.move is Move.ADVANCE else ""),
        decision.gates,
        milestone_name(milestone),
        _waits(timeline),
    )


def _in_brownout(timeline: DeprecationTimeline, definition: TimelineDefinition) -> Standing:
    ends_at = brownout_ends_at(definition.milestones[timeline.milestone - 1])
    sentence = f"Brownout: everybody gets {final_answer(definition)} until {local(ends_at, definition.zone)}"
    return Standing(f"{sentence}, then what they had before.", "bad", ends_at, "It ends by the clock, by itself.")


def _waits(timeline: DeprecationTimeline) -> list[Waits]:
    state = timeline.current_state
    if state is _S.PROPOSED and timeline.request is not None:
        verdict = verdict_of(timeline.request)
        people = [one.name for one in verdict.may_still_approve]
        return [_names(f"{_approvals(verdict.missing)} of", people)] if verdict.missing else []
    if state is _S.RUNNING:
        consents = milestone_consents(timeline)
        missing = consents.required - len(consents.counted)
        people = [one.name for one in consents.waiting_for]
        return [_names(f"{_approvals(missing)} to go on, of", people)] if missing > 0 else []
    if state in {_S.PAUSED, _S.UNDONE}:
        people = [name_of(one) for one in permissions.people_with(timeline.environment, permissions.APPLY)]
        return [_names("somebody to resume it or give it up:", people)]
    return []


def _approvals(missing: int) -> str:
    return f"{missing} approval{'' if missing == 1 else 's'}"


def _names(words: str, people: Sequence[str]) -> Waits:
    return Waits(words, people[:_NAMES_SHOWN], max(0, len(people) - _NAMES_SHOWN))
