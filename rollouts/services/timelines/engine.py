"""The engine: looks at every timeline that is due and makes the move that its facts ask for, once.

Each timeline is read without a lock first. Only one that moves is locked, read again and decided on again, in a
transaction of its own. A process may be killed at any point, and any number may run at once.
"""

import logging
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import Error, transaction

from audits.context import correlation
from audits.errors import GovernanceError
from flags.services.attempts import attempt
from flags.services.tickets import governed_write
from rollouts.deprecations.codec import InvalidTimeline
from rollouts.deprecations.deciding import Move, Reached
from rollouts.deprecations.documents import brownout_ends_at, is_over
from rollouts.deprecations.transitions import InvalidTimelineTransition, TimelineAct, TimelineState
from rollouts.deprecations.words import milestone_name, milestone_sentence
from rollouts.errors import ConcurrentUpdate
from rollouts.models import DeprecationTimeline
from rollouts.selectors.timelines.consents import asks_about_figures, waivers_of
from rollouts.selectors.timelines.due import due_timelines
from rollouts.selectors.timelines.facts import Reading, Signal, reading_of
from rollouts.selectors.timelines.ground import reached_of
from rollouts.services.timelines.milestones import reach_milestone, write_back
from rollouts.services.timelines.notices import coming_words, tell_about
from rollouts.services.timelines.writing import ENGINE, lock_timeline, step

logger = logging.getLogger(__name__)

UNREADABLE = "timeline_unreadable"
# A move follows another one at once only where time asked for both; more than these in one look is a mistake.
MOST_MOVES = 5
_RETRY_AFTER = timedelta(minutes=1)
# Somebody else acted on the timeline at the same moment: not what stands in its way, the next look sees more.
_RACES = (ConcurrentUpdate, InvalidTimelineTransition)
_UNREADABLE_WORDS = (
    "Something about this timeline cannot be read or carried out, so it does not go on. Try again later or end it; "
    "whoever runs Flagsite finds in the log what is wrong."
)


def advance_due(now: datetime) -> int:
    """Look at every timeline that is due; how many moves were made. One that fails does not stop the others."""
    ids = list(due_timelines(now).order_by("pk").values_list("pk", flat=True))
    return sum(_look_at(timeline_id, now=now) for timeline_id in ids)


def advance_if_due(timeline_id: uuid.UUID, *, now: datetime) -> bool:
    """Look at one timeline; whether it moved."""
    if not due_timelines(now).filter(pk=timeline_id).exists():
        return False
    return _look_at(timeline_id, now=now) > 0


def _look_at(timeline_id: uuid.UUID, *, now: datetime) -> int:
    """Move a timeline as often as it has to move now; how often that was."""
    for moved in range(MOST_MOVES):
        try:
            if not _has_to_move(timeline_id, now=now) or not attempt(partial(_move, timeline_id, now=now)):
                return moved
        except InvalidTimeline:
            logger.exception("Timeline %s cannot be read; a later look tries again", timeline_id)
            _hold_unreadable(timeline_id, now=now)
            return moved
        except GovernanceError as error:
            # Somebody was faster, and the next sweep sees what he did.
            logger.info("Timeline %s was left alone: %s", timeline_id, error.code)
            return moved
        except Exception as error:
            logger.exception("Timeline %s could not be moved; a later look tries again", timeline_id)
            if not isinstance(error, Error):
                _hold_unreadable(timeline_id, now=now)
            return moved
    return MOST_MOVES


def _has_to_move(timeline_id: uuid.UUID, *, now: datetime) -> bool:
    """Whether there is more to write than the time of the next look, which is written here where there is not."""
    rows = due_timelines(now).select_related("environment__project", "project", "flag", "request")
    timeline = rows.filter(pk=timeline_id).first()
    if timeline is None:
        return False
    reading = reading_of(timeline, now=now)
    if reading.decision.move in _DEEDS or not _is_held_by(timeline, hold_of(reading)):
        return True
    attempt(partial(_put_off, timeline, reading.next_look_at))
    return False


def _move(timeline_id: uuid.UUID, *, now: datetime) -> bool:
    """Decide on what is so now, behind the lock, and do it; whether the timeline moved."""
    timeline = lock_timeline(timeline_id)
    if not due_timelines(now).filter(pk=timeline_id).exists():
        return False
    with correlation(timeline.correlation_id):
        reading = reading_of(timeline, now=now)
        return _carry_out(reading, now=now)


def _carry_out(reading: Reading, *, now: datetime) -> bool:
    """Do what was decided. Whatever refuses a move holds the timeline; nothing of the move remains."""
    deed, hold, look = _DEEDS.get(reading.decision.move), hold_of(reading), reading.next_look_at
    if deed is not None:
        try:
            with transaction.atomic():
                deed(reading, now)
            return True
        except _RACES:
            raise
        except GovernanceError as error:
            hold, look = Signal(error.code, error.message, error.facts), _next_try(reading, now)
            # What the failed move set on the row at hand was not written.
            reading = reading_of(lock_timeline(reading.timeline.pk), now=now)
    _hold(reading.timeline, hold, look=look, now=now)
    return False


def hold_of(reading: Reading) -> Signal | None:
    """What holds the timeline as far as that shows without trying to move it."""
    if reading.decision.move is not Move.HOLD:
        return None
    return reading.signal or Signal(reading.decision.code, reading.decision.sentence)


def _next_try(reading: Reading, now: datetime) -> datetime:
    """A minute from now; at the end of its window a brownout that is held is missed."""
    ahead = reading.definition.milestones[reading.timeline.milestone :][:1]
    ends = [brownout_ends_at(one) for one in ahead if one.minutes and not is_over(one, now=now)]
    return min([now + _RETRY_AFTER, *ends])


def _is_held_by(timeline: DeprecationTimeline, hold: Signal | None) -> bool:
    if hold is None:
        return not timeline.blocked_code
    kept = {name: value for name, value in timeline.blocked_detail.items() if name != "message"}
    return (timeline.blocked_code, kept) == (hold.code, dict(hold.facts))


def _hold(timeline: DeprecationTimeline, hold: Signal | None, *, look: datetime, now: datetime) -> None:
    """Say what holds the timeline, or that nothing does any more; only the look where that was said already.

    People get a mail once for each reason.
    """
    if _is_held_by(timeline, hold) or timeline.current_state is not TimelineState.RUNNING:
        _put_off(timeline, look)
        return
    if hold is None:
        told: dict[str, Any] = {"code": timeline.blocked_code}
        fields: dict[str, Any] = {"blocked_code": "", "blocked_detail": {}, "next_look_at": look}
        step(timeline, TimelineAct.CLEAR, actor=ENGINE, now=now, evidence=told, **fields)
        return
    # The sentence may name people, who can be erased; the trail keeps code and numbers.
    told = {"code": hold.code, "facts": dict(hold.facts)}
    if timeline.blocked_code != hold.code:
        told |= tell_about(timeline, what="held", lines=[hold.message], now=now)
    fields = {"blocked_code": hold.code, "blocked_detail": hold.detail, "next_look_at": look}
    step(timeline, TimelineAct.HOLD, actor=ENGINE, now=now, evidence=told, **fields)


def _put_off(timeline: DeprecationTimeline, look: datetime) -> None:
    """Write the next look, provided nobody acted on the timeline since it was read."""
    rows = DeprecationTimeline.objects.filter(pk=timeline.pk, lock_version=timeline.lock_version)
    with governed_write(timeline.environment_id):
        rows.update(next_look_at=look)


def _hold_unreadable(timeline_id: uuid.UUID, *, now: datetime) -> None:
    """Hold a timeline that cannot be read, and look again in a minute. It goes on by itself once it can be read."""

    def act() -> None:
        timeline = lock_timeline(timeline_id)
        with correlation(timeline.correlation_id):
            _hold(timeline, Signal(UNREADABLE, _UNREADABLE_WORDS), look=now + _RETRY_AFTER, now=now)

    try:
        attempt(act)
    except Exception:
        logger.exception("Timeline %s could not be held; the next sweep tries again", timeline_id)


def _advance(reading: Reading, now: datetime) -> None:
    timeline, definition, number = reading.timeline, reading.definition, reading.decision.to_milestone or 0
    milestone = definition.milestones[number - 1]
    lines = [
        milestone_sentence(definition, number),
        *coming_words(definition, number, reached=Reached(number, now), now=now),
    ]
    told = tell_about(timeline, what=milestone_name(milestone).lower(), lines=lines, now=now)
    evidence = {**_evidence(reading), **told}
    reach_milestone(timeline, number, actor=ENGINE, now=now, reason=reading.decision.sentence, evidence=evidence)


def _skip_missed(reading: Reading, now: datetime) -> None:
    timeline, number, sentence = reading.timeline, reading.decision.to_milestone or 0, reading.decision.sentence
    coming = coming_words(reading.definition, number, reached=reached_of(timeline), now=now)
    told = tell_about(timeline, what="a brownout was missed", lines=[sentence, *coming], now=now)
    fields: dict[str, Any] = {"milestone": number, "blocked_code": "", "blocked_detail": {}, "next_look_at": now}
    evidence = {**_evidence(reading), **told, "held_by": timeline.blocked_code}
    step(timeline, TimelineAct.MISS, actor=ENGINE, now=now, reason=sentence, evidence=evidence, **fields)


def _end_brownout(reading: Reading, now: datetime) -> None:
    timeline, definition, sentence = reading.timeline, reading.definition, reading.decision.sentence
    coming = coming_words(definition, timeline.milestone, reached=reached_of(timeline), now=now)
    told = tell_about(timeline, what="the brownout is over", lines=[sentence, *coming], now=now)
    look = now if timeline.current_state is TimelineState.RUNNING else None
    write_back(
        timeline,
        TimelineAct.END_BROWNOUT,
        timeline.milestone,
        actor=ENGINE,
        now=now,
        reason=sentence,
        evidence=told,
        in_brownout=False,
        next_look_at=look,
    )


def _complete(reading: Reading, now: datetime) -> None:
    """The flag is archived here. The write path archives the flag itself with the last place where it was set up."""
    timeline, sentence = reading.timeline, reading.decision.sentence
    fields: dict[str, Any] = {"ended_at": now, "next_look_at": None, "blocked_code": "", "blocked_detail": {}}
    step(timeline, TimelineAct.COMPLETE, actor=ENGINE, now=now, reason=sentence, **fields)


_DEEDS: Mapping[Move, Callable[[Reading, datetime], None]] = {
    Move.ADVANCE: _advance,
    Move.SKIP_MISSED: _skip_missed,
    Move.END_BROWNOUT: _end_brownout,
    Move.COMPLETE: _complete,
}


def _evidence(reading: Reading) -> dict[str, Any]:
    """What the decision rests on."""
    gates = reading.decision.gates
    is_waived = asks_about_figures(reading.timeline) and reading.facts.residual is None
    return {
        "gates": [{"name": gate.name, "is_met": gate.is_met, "sentence": gate.sentence} for gate in gates],
        "residual": reading.facts.residual,
        **({"waivers": waivers_of(reading.timeline)} if is_waived else {}),
    }
