"""What people do with a timeline: start, postpone, pause, resume, approve a milestone, undo, end it.

Every act says what was looked at: `digest` for what the timeline holds, `sequence` for where it stood.
"""

import uuid
from datetime import datetime
from typing import Any

from django.db import IntegrityError

from audits.context import Actor, correlation
from flags.authority import ProtectedEnvironment
from flags.services.attempts import attempt
from flags.services.keys import problem
from flags.services.tickets import governed_write
from rollouts.deprecations.checking import dates_past
from rollouts.deprecations.codec import from_json
from rollouts.deprecations.postponing import later_dates
from rollouts.deprecations.schedules import postponed, short_notice
from rollouts.deprecations.transitions import LIVE_STATES, TimelineAct, TimelineState, next_timeline_state
from rollouts.errors import ApprovalRefused, TimelineMovedOn
from rollouts.models import DeprecationTimeline, MilestoneApproval, TimelineStep
from rollouts.selectors.timelines.consents import (
    asks_about_figures,
    is_approved_by_anybody,
    milestone_refusal,
    required_approvals,
)
from rollouts.selectors.timelines.facts import residual_facts
from rollouts.selectors.timelines.ground import definition_of, ground_of, is_readable, reached_of
from rollouts.selectors.timelines.rights import needs_reason, require_right
from rollouts.services.applying import apply_change_request
from rollouts.services.checks import checked_prose
from rollouts.services.plans.consent import refuse_own_opening
from rollouts.services.proposing import end_request
from rollouts.services.timelines.drafting import refuse_other_timeline_digest
from rollouts.services.timelines.milestones import begin, refuse_kept_edit, refuse_moved, write_back
from rollouts.services.timelines.notices import coming_words, tell_about
from rollouts.services.timelines.preparing import outdated
from rollouts.services.timelines.ways_back import LEFT_WORDS, UNREADABLE
from rollouts.services.timelines.writing import lock_timeline, step
from rollouts.services.writing import require_person

# What may have happened since the page was opened without making it another question.
_HARMLESS = frozenset({TimelineAct.HOLD, TimelineAct.CLEAR, TimelineAct.APPROVE, TimelineAct.END_BROWNOUT})
_HARMLESS_TO_STOPS = _HARMLESS | {TimelineAct.REACH, TimelineAct.MISS, TimelineAct.POSTPONE}
_STOPS = frozenset({TimelineAct.PAUSE, TimelineAct.UNDO, TimelineAct.END})


def start_timeline(
    timeline_id: uuid.UUID, *, actor: Actor, now: datetime, digest: str, reason: str = ""
) -> DeprecationTimeline:
    """Set a timeline going: a draft where the environment is not protected, else with the approved request.

    Raises PermissionMissing, ProtectedEnvironment, TimelineMovedGround, TimelineOutdated, FlagIsEnding,
    FlagInOtherPlan, TimelineMovedOn, and what applying a request raises.
    """
    found = DeprecationTimeline.objects.filter(pk=timeline_id).first()
    if found is not None and found.current_state is TimelineState.PROPOSED and found.request_id is not None:
        # The request binds this content: another one would have another request.
        refuse_other_timeline_digest(found, digest)
        why = checked_prose(reason, field="reason")
        apply_change_request(found.request_id, actor=actor, now=now, plan_reason=why)
        return DeprecationTimeline.objects.select_related("environment", "project", "flag", "request").get(
            pk=timeline_id
        )

    def act() -> DeprecationTimeline:
        timeline, why = _opened(timeline_id, TimelineAct.START, actor, reason)
        refuse_other_timeline_digest(timeline, digest)
        if timeline.environment.is_protected:
            raise ProtectedEnvironment(
                f"{timeline.environment.name} is protected, so nothing in it changes without approval. Propose the "
                "timeline."
            )
        refuse_own_opening(timeline.environment, actor.id)
        begin(timeline, actor=actor, now=now, reason=why)
        return timeline

    return attempt(act)


def postpone(
    timeline_id: uuid.UUID,
    number: int,
    *,
    to: datetime,
    actor: Actor,
    now: datetime,
    sequence: int,
    reason: str,
    with_later: bool = True,
) -> DeprecationTimeline:
    """Put a milestone that lies ahead off, and by default all after it by as much. Services are told the new sunset.

    What was approved with the request stays so: everybody gets more time. Whoever said yes to this milestone is asked
    anew. Raises InvalidTimeline for a date that is not later or past, InvalidInput for a brownout at short notice.
    """

    def act() -> DeprecationTimeline:
        timeline, why = _opened(timeline_id, TimelineAct.POSTPONE, actor, reason, sequence=sequence)
        former = definition_of(timeline)
        if not timeline.milestone < number <= len(former.milestones):
            raise problem("number", "Choose a milestone that lies ahead.")
        if to <= now:
            raise problem("to", "Choose a date that lies ahead.")
        definition = postponed(former, number, to, with_later=with_later)
        if unannounced := short_notice(former, definition, now=now):
            raise problem("to", unannounced)
        dates = later_dates(from_json(timeline.definition), definition)
        coming = coming_words(definition, timeline.milestone, reached=reached_of(timeline), now=now)
        told = tell_about(timeline, what="postponed", lines=[why, *coming], now=now)
        look: dict[str, Any] = {"next_look_at": now} if timeline.current_state is TimelineState.RUNNING else {}
        if number == timeline.milestone + 1 and is_approved_by_anybody(timeline):
            # Who said yes said it to the former date: this is another attempt, which asks anew.
            look["attempt"] = timeline.attempt + 1
        was = former.milestones[number - 1].at
        write_back(
            timeline,
            TimelineAct.POSTPONE,
            timeline.milestone,
            actor=actor,
            now=now,
            reason=why,
            definition=definition,
            evidence={
                "number": number,
                "from": was.isoformat(),
                "to": to.isoformat(),
                "with_later": with_later,
                **told,
            },
            postponed=dates,
            **look,
        )
        return timeline

    return attempt(act)


def pause(
    timeline_id: uuid.UUID, *, actor: Actor, now: datetime, sequence: int, reason: str = ""
) -> DeprecationTimeline:
    """Stop where the timeline is: nothing moves until somebody resumes it. A brownout ends at its announced time."""

    def act() -> DeprecationTimeline:
        timeline, why = _opened(timeline_id, TimelineAct.PAUSE, actor, reason, sequence=sequence)
        look = now if timeline.in_brownout else None
        _step(timeline, TimelineAct.PAUSE, actor=actor, now=now, reason=why, next_look_at=look)
        return timeline

    return attempt(act)


def resume(
    timeline_id: uuid.UUID, *, actor: Actor, now: datetime, sequence: int, reason: str = ""
) -> DeprecationTimeline:
    """Let a paused or undone timeline go on once its dates lie ahead. An undone one takes a release manager, and why.

    Raises TimelineMovedGround where somebody else changed the flag meanwhile, TimelineOutdated.
    """

    def act() -> DeprecationTimeline:
        timeline, why = _opened(timeline_id, TimelineAct.RESUME, actor, reason, sequence=sequence)
        if timeline.request_id is None:
            refuse_own_opening(timeline.environment, actor.id)
        refuse_kept_edit(timeline)
        refuse_moved(timeline, ground_of(timeline))
        _refuse_dates_past(timeline, now=now)
        _step(timeline, TimelineAct.RESUME, actor=actor, now=now, reason=why, next_look_at=now)
        return timeline

    return attempt(act)


def approve_milestone(
    timeline_id: uuid.UUID, *, actor: Actor, now: datetime, digest: str, sequence: int, reason: str = ""
) -> DeprecationTimeline:
    """Say yes to going on to the next milestone: for what the timeline holds now, and for this attempt only.

    Where the milestone asks about figures, it takes a reason: it lets it pass where they are missing. Raises
    PermissionMissing (role approver), ApprovalRefused (shaped, asked for or started it; said yes before; not asked).
    """

    def act() -> DeprecationTimeline:
        timeline, why = _opened(timeline_id, TimelineAct.APPROVE, actor, reason, sequence=sequence)
        refuse_other_timeline_digest(timeline, digest)
        approver = require_person(actor)
        if refusal := milestone_refusal(timeline, str(approver)) or _needless(timeline, now=now):
            raise ApprovalRefused(refusal)
        _insert_approval(timeline, approver, reason=why, now=now)
        look = {"next_look_at": now} if timeline.current_state is TimelineState.RUNNING else {}
        told = {
            "approver_id": str(approver),
            "approved_milestone": timeline.milestone + 1,
            "figures_missing": _misses_figures(timeline, now=now),
        }
        _step(timeline, TimelineAct.APPROVE, actor=actor, now=now, reason=why, evidence=told, **look)
        return timeline

    return attempt(act)


def undo(
    timeline_id: uuid.UUID, *, to_milestone: int, actor: Actor, now: datetime, sequence: int, reason: str
) -> DeprecationTimeline:
    """Go back to an earlier milestone, 0 for how it was before, and stop there. Freezes do not hold it.

    Open until the flag is archived. What somebody else made of the flag meanwhile is kept, and only what it says of its
    end goes back; the step says so, and the timeline does not go on over it.
    """

    def act() -> DeprecationTimeline:
        timeline, why = _opened(timeline_id, TimelineAct.UNDO, actor, reason, sequence=sequence)
        if not 0 <= to_milestone < timeline.milestone:
            raise problem("to_milestone", f"Choose a milestone before the present one, number {timeline.milestone}.")
        _go_back(timeline, TimelineAct.UNDO, to_milestone, actor=actor, now=now, reason=why)
        return timeline

    return attempt(act)


def end_timeline(
    timeline_id: uuid.UUID, *, actor: Actor, now: datetime, sequence: int, reason: str
) -> DeprecationTimeline:
    """Give a timeline up for good: all of it is undone, and an open request for it is withdrawn.

    One that cannot be read ends without a write, and the step says what is left to do.
    """

    def act() -> DeprecationTimeline:
        timeline, why = _opened(timeline_id, TimelineAct.END, actor, reason, sequence=sequence)
        if timeline.current_state in LIVE_STATES and not is_readable(timeline):
            _end_unread(timeline, actor=actor, now=now, reason=why)
            return timeline
        if timeline.current_state in LIVE_STATES:
            _go_back(timeline, TimelineAct.END, 0, actor=actor, now=now, reason=why, ended_at=now)
            return timeline
        if timeline.current_state is TimelineState.PROPOSED:
            with correlation(timeline.correlation_id):
                end_request(timeline, actor=actor, now=now, reason=why)
        _step(timeline, TimelineAct.END, actor=actor, now=now, reason=why, ended_at=now)
        return timeline

    return attempt(act)


def _opened(
    timeline_id: uuid.UUID, act: TimelineAct, actor: Actor, reason: str, *, sequence: int | None = None
) -> tuple[DeprecationTimeline, str]:
    """The timeline, locked, and the reason, checked; for a person who may do this to a timeline in such a state."""
    timeline = lock_timeline(timeline_id)
    require_person(actor)
    require_right(timeline, act, actor)
    if sequence is not None:
        _refuse_stale_page(timeline, act, sequence)
    next_timeline_state(timeline.current_state, act)
    return timeline, checked_prose(reason, field="reason", required=needs_reason(timeline, act))


def _refuse_stale_page(timeline: DeprecationTimeline, act: TimelineAct, sequence: int) -> None:
    harmless = _HARMLESS_TO_STOPS if act in _STOPS else _HARMLESS
    since = TimelineStep.objects.filter(timeline=timeline, sequence__gt=sequence).order_by("-sequence")
    last = since.exclude(act__in=[one.value for one in harmless]).first()
    if last is not None or sequence > timeline.sequence:
        raise TimelineMovedOn(
            f"Timeline {timeline.number} has moved on since the page was opened: it is at milestone "
            f"{timeline.milestone} and {timeline.current_state.label.lower()} now. Nothing was done. Reload the page "
            "and decide again.",
            seen_sequence=sequence,
            current_sequence=timeline.sequence,
        )


def _step(timeline: DeprecationTimeline, act: TimelineAct, **told: Any) -> None:
    with correlation(timeline.correlation_id):
        step(timeline, act, **told)


def _go_back(
    timeline: DeprecationTimeline,
    act: TimelineAct,
    to_milestone: int,
    *,
    actor: Actor,
    now: datetime,
    reason: str,
    **fields: Any,
) -> None:
    if timeline.milestone == len(definition_of(timeline).milestones):
        raise problem("to_milestone", "The flag is archived here. That is not undone: revive the flag instead.")
    where = f"milestone {to_milestone}" if to_milestone else "how it was before"
    what = "undone" if act is TimelineAct.UNDO else "given up"
    was_at = timeline.milestone

    def telling(words: str) -> dict[str, list[str]]:
        happened = words or f"It went back to {where}."
        return tell_about(timeline, what=what, lines=[reason, happened], now=now) if was_at else {}

    write_back(
        timeline,
        act,
        to_milestone,
        actor=actor,
        now=now,
        reason=reason,
        evidence={"ended_attempt": timeline.attempt},
        telling=telling,
        milestone=to_milestone,
        attempt=timeline.attempt + 1,
        in_brownout=False,
        reached_number=to_milestone,
        reached_at=now,
        next_look_at=None,
        blocked_code="",
        blocked_detail={},
        **fields,
    )


def _end_unread(timeline: DeprecationTimeline, *, actor: Actor, now: datetime, reason: str) -> None:
    words = LEFT_WORDS[UNREADABLE]
    told = tell_about(timeline, what="given up", lines=[reason, words], now=now)
    evidence = {"versions": {}, "left_alone": UNREADABLE, "what_to_do": words, **told}
    ended: dict[str, Any] = {"ended_at": now, "next_look_at": None, "in_brownout": False}
    ended |= {"blocked_code": "", "blocked_detail": {}}
    _step(timeline, TimelineAct.END, actor=actor, now=now, reason=reason, evidence=evidence, **ended)


def _refuse_dates_past(timeline: DeprecationTimeline, *, now: datetime) -> None:
    """A timeline whose dates passed while it stood still would rush."""
    if problems := dates_past(definition_of(timeline), reached=timeline.milestone, now=now):
        raise outdated(problems, instead="Postpone it first.")


def _needless(timeline: DeprecationTimeline, *, now: datetime) -> str:
    """Why a yes would change nothing: the milestone asks about figures only, and they are there."""
    asks_nobody = required_approvals(timeline) == 0
    if not asks_nobody or _misses_figures(timeline, now=now):
        return ""
    return "The next milestone goes by the figures that services report, and there are some. It waits for fewer."


def _misses_figures(timeline: DeprecationTimeline, *, now: datetime) -> bool:
    return asks_about_figures(timeline) and residual_facts(timeline, definition_of(timeline), now=now) is None


def _insert_approval(timeline: DeprecationTimeline, approver: uuid.UUID, *, reason: str, now: datetime) -> None:
    try:
        with governed_write(timeline.environment_id):
            MilestoneApproval.objects.create(
                timeline=timeline,
                environment=timeline.environment,
                attempt=timeline.attempt,
                milestone=timeline.milestone + 1,
                digest=timeline.digest,
                approver_id=approver,
                reason=reason,
                at=now,
            )
    except IntegrityError as error:
        if "flagsite:" in str(error):
            raise
        raise ApprovalRefused("You approved this milestone already.") from error
