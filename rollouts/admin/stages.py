"""The stage line and the timeline of a request, in words."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format

from audits.actions import Action
from audits.context import ActorKind
from audits.models import AuditEvent
from audits.sentences import actor_name
from rollouts.models import ChangeRequest
from rollouts.policies import Verdict
from rollouts.transitions import RequestState

_ENDINGS = {
    RequestState.REJECTED: ("Rejected", Action.CHANGE_REQUEST_REJECTED),
    RequestState.WITHDRAWN: ("Withdrawn", Action.CHANGE_REQUEST_WITHDRAWN),
    RequestState.EXPIRED: ("Expired", Action.CHANGE_REQUEST_EXPIRED),
}


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of the line. `look`: done, now, next, bad or held."""

    name: str
    look: str
    person: str = ""
    at: datetime | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Moment:
    """One event of the timeline."""

    person: str
    words: str
    at: datetime
    quote: str
    symbol: str
    tone: str


def stage_line(
    request: ChangeRequest, verdict: Verdict, events: Sequence[AuditEvent], *, has_timeline: bool = False
) -> list[Stage]:
    """Draft, in review, approved, scheduled where it has a time, live; or the ending it got. What asks for a timeline
    is not live by that: the timeline begins.
    """
    state = request.current_state
    stages = [_draft(request), _review(request, verdict, events)]
    if state in _ENDINGS:
        name, action = _ENDINGS[state]
        ending = _last(events, action)
        stages = [stage for stage in stages if stage.look == "done"]
        return [*stages, Stage(name, "bad", _who(ending), ending.occurred_at if ending else None)]
    stages.append(_approved(request, events))
    if request.apply_at is not None:
        stages.append(_scheduled(request))
    stages.append(_begun(request, events) if has_timeline else _live(request, events))
    if state is RequestState.ROLLED_BACK:
        event = _last(events, Action.CHANGE_REQUEST_ROLLED_BACK)
        stages.append(Stage("Rolled back", "bad", _who(event), event.occurred_at if event else None))
    return stages


def _draft(request: ChangeRequest) -> Stage:
    requester = request.requester
    look = "now" if request.current_state is RequestState.DRAFT else "done"
    return Stage("Draft", look, requester.get_full_name() or requester.get_username(), request.created_at)


def _review(request: ChangeRequest, verdict: Verdict, events: Sequence[AuditEvent]) -> Stage:
    if request.submitted_at is None:
        return Stage("In review", "next")
    event = _last(events, Action.CHANGE_REQUEST_SUBMITTED)
    if request.current_state is RequestState.IN_REVIEW:
        note = f"{len(verdict.counted)} of {verdict.required} approval{'' if verdict.required == 1 else 's'}"
        return Stage("In review", "now", at=request.submitted_at, note=f"{note}, asked")
    return Stage("In review", "done", _who(event), request.submitted_at)


def _approved(request: ChangeRequest, events: Sequence[AuditEvent]) -> Stage:
    if request.current_state in {RequestState.DRAFT, RequestState.IN_REVIEW}:
        return Stage("Approved", "next")
    passing = [
        event
        for event in events
        if event.action == Action.CHANGE_REQUEST_APPROVED and event.details.get("to_state") == "approved"
    ]
    event = passing[-1] if passing else None
    look = "held" if request.is_blocked else "done"
    note = "held back" if request.is_blocked else ""
    return Stage("Approved", look, _who(event), event.occurred_at if event else None, note)


def _scheduled(request: ChangeRequest) -> Stage:
    state = request.current_state
    if state in {RequestState.APPLIED, RequestState.ROLLED_BACK}:
        look = "done"
    elif state is RequestState.APPROVED and not request.is_blocked:
        look = "now"
    else:
        look = "next"
    return Stage("Scheduled", look, at=request.apply_at)


def _begun(request: ChangeRequest, events: Sequence[AuditEvent]) -> Stage:
    live = _live(request, events)
    return replace(live, name="Timeline begins" if request.applied_at is None else "Timeline began")


def _live(request: ChangeRequest, events: Sequence[AuditEvent]) -> Stage:
    if request.applied_at is None:
        if request.apply_at is not None:
            return Stage("Live", "next")
        is_near = request.current_state is RequestState.APPROVED and not request.is_blocked
        return Stage("Live", "now" if is_near else "next", note="as soon as it is approved")
    event = _last(events, Action.CHANGE_REQUEST_APPLIED)
    if event and (approver := with_whose_approval(event, events)):
        return Stage("Live", "done", at=request.applied_at, note=f"applied with the approval of {actor_name(approver)}")
    return Stage("Live", "done", _who(event), request.applied_at)


def _last(events: Iterable[AuditEvent], action: Action) -> AuditEvent | None:
    found = [event for event in events if event.action == action]
    return found[-1] if found else None


def _who(event: AuditEvent | None) -> str:
    return actor_name(event.actor_label) if event else ""


def applied_versions(events: Sequence[AuditEvent]) -> dict[str, int]:
    """The versions that applying the request made, by flag or segment key."""
    event = _last(events, Action.CHANGE_REQUEST_APPLIED)
    versions = event.details.get("versions") if event else None
    return dict(versions) if isinstance(versions, dict) else {}


_WORDS: dict[str, tuple[str, str, str]] = {
    Action.CHANGE_REQUEST_CREATED: ("drafted this request", "edit_note", "quiet"),
    Action.CHANGE_REQUEST_EDITED: ("edited it", "edit", "quiet"),
    Action.CHANGE_REQUEST_SUBMITTED: ("submitted it for review", "send", "accent"),
    Action.CHANGE_REQUEST_APPROVED: ("approved it", "check", "good"),
    Action.CHANGE_REQUEST_CHANGES_REQUESTED: ("asked for changes", "rule", "wait"),
    Action.CHANGE_REQUEST_CHANGES_LIFTED: ("took back the request for changes", "done", "quiet"),
    Action.CHANGE_REQUEST_ABSTAINED: ("abstained", "remove_circle", "quiet"),
    Action.CHANGE_REQUEST_REJECTED: ("rejected it", "block", "bad"),
    Action.CHANGE_REQUEST_WITHDRAWN: ("withdrew it", "undo", "quiet"),
    Action.CHANGE_REQUEST_EXPIRED: ("let it expire: it was not applied in time", "timer_off", "quiet"),
    Action.CHANGE_REQUEST_ENDED_TOGETHER: ("ended it together with its bundle", "undo", "quiet"),
    Action.CHANGE_REQUEST_SCHEDULED: ("changed the time", "schedule", "accent"),
    Action.CHANGE_REQUEST_APPLIED: ("made it live", "rocket_launch", "good"),
    Action.CHANGE_REQUEST_ROLLED_BACK: ("rolled it back", "restore", "wait"),
    Action.CHANGE_REQUEST_APPLY_REFUSED: ("could not apply it", "report", "bad"),
    Action.CHANGE_REQUEST_IMPACT_COUNTED: ("counted who will flip", "groups", "quiet"),
    Action.FREEZE_EXCEPTION_ASKED: ("asked for an exception from a freeze", "ac_unit", "wait"),
    Action.FREEZE_EXCEPTION_GRANTED: ("granted the exception from a freeze", "ac_unit", "good"),
    Action.FREEZE_EXCEPTION_DECLINED: ("declined the exception from a freeze", "ac_unit", "bad"),
}


_DISCUSSED = frozenset(
    {
        Action.CHANGE_REQUEST_COMMENTED,
        Action.CHANGE_REQUEST_THREAD_RESOLVED,
        Action.CHANGE_REQUEST_THREAD_REOPENED,
    }
)


def timeline(events: Sequence[AuditEvent], *, has_timeline: bool = False) -> list[Moment]:
    """The events of a request as people say them, oldest first; what was discussed stands in the discussion."""
    told = [event for event in events if event.action not in _DISCUSSED]
    return [_moment(event, with_whose_approval(event, events), has_timeline=has_timeline) for event in told]


def with_whose_approval(applied: AuditEvent, events: Iterable[AuditEvent]) -> str:
    """Who gave the approval with which the system applied a request in the same moment; empty for anything else."""
    if applied.action != Action.CHANGE_REQUEST_APPLIED or applied.actor_kind != ActorKind.SYSTEM:
        return ""
    passing = [
        event
        for event in events
        if event.action == Action.CHANGE_REQUEST_APPROVED
        and event.details.get("to_state") == "approved"
        and event.occurred_at == applied.occurred_at
    ]
    return passing[-1].actor_label if passing else ""


def _moment(event: AuditEvent, approver: str, *, has_timeline: bool) -> Moment:
    words, symbol, tone = _WORDS.get(event.action, (event.action.replace("_", " "), "circle", "quiet"))
    details = event.details
    was_under_review = details.get("from_state") in {"in_review", "approved"}
    if event.action in {Action.CHANGE_REQUEST_EDITED, Action.CHANGE_REQUEST_SCHEDULED}:
        if event.action == Action.CHANGE_REQUEST_SCHEDULED:
            words = f"set the time: {_when(details.get('apply_at'))}"
        words += _merged_words(details.get("merged"))
        words += ", so approvals given before do not count any more" if was_under_review else ""
    if event.action == Action.CHANGE_REQUEST_APPROVED and details.get("has_reservation"):
        words, symbol, tone = "approved it with reservation", "check", "wait"
    if event.action == Action.CHANGE_REQUEST_APPLIED:
        words = "set its timeline going" if has_timeline else words
        words += " with that approval" if approver else ""
        words += f" as revision {details['revision']}" if details.get("revision") and not has_timeline else ""
    return Moment(actor_name(approver or event.actor_label), words, event.occurred_at, event.reason, symbol, tone)


def _merged_words(merged: object) -> str:
    if not isinstance(merged, dict):
        return ""
    return f": merged with #{merged['number']}" if "number" in merged else ": brought up to date with what is live"


def _when(text: object) -> str:
    instant = parse_datetime(text) if isinstance(text, str) else None
    return f"{local_words(instant)}" if instant else "as soon as it is approved"


def local_words(instant: datetime) -> str:
    """An instant with its time zone, as the pages write it."""
    local = timezone.localtime(instant)
    return f"{date_format(local, 'j M Y, H:i')} {local.tzname()}"
