"""What a button on the request page does: read its fields, call one service, say what came of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from audits.context import Actor
from flags.errors import NotFound
from rollouts.admin.schedules import instant_of, typed
from rollouts.admin.stages import local_words
from rollouts.models import ChangeRequest
from rollouts.selectors import verdict_of
from rollouts.services import change_requests as services
from rollouts.services.narrowing import apply_request_at_once
from rollouts.transitions import RequestState

Fields = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Call:
    """One press of a button: which request, by whom, when, with which fields."""

    request_id: UUID
    actor: Actor
    now: datetime
    fields: Fields

    def text(self, name: str) -> str:
        """A field as text; a missing one is empty."""
        return self.fields.get(name, "")


def edit(call: Call) -> str:
    """Save title, why and time of a draft."""
    services.edit_change_request(
        call.request_id,
        actor=call.actor,
        now=call.now,
        expected_digest=call.text("digest"),
        title=call.text("title"),
        reason=call.text("reason"),
        apply_at=instant_of(typed(call.fields)),
        ticket_url=call.fields.get("ticket_url"),
    )
    return "Saved. Nobody has been asked yet: submit it when it is ready."


def submit(call: Call) -> str:
    """Submit for review; what stands in the form of the draft is saved first, so that nothing typed is lost."""
    if "title" in call.fields:
        edit(call)
    request = services.submit_change_request(call.request_id, actor=call.actor, now=call.now)
    return f"Submitted. {verdict_of(request).sentences[0]}"


def approve(call: Call) -> str:
    """Say yes to the content that was on the page, perhaps with a reservation."""
    request = services.approve_change_request(
        call.request_id,
        actor=call.actor,
        digest=call.text("digest"),
        comment=call.text("comment"),
        now=call.now,
        has_reservation=bool(call.text("has_reservation")),
    )
    return f"You approved #{request.number}. {_consequence(request, call.now)}"


def request_changes(call: Call) -> str:
    """Say what has to be different first."""
    request = services.request_changes(
        call.request_id, actor=call.actor, digest=call.text("digest"), text=call.text("text"), now=call.now
    )
    return f"#{request.number} waits for changes. {_requester(request)} sees what you asked for."


def lift_changes(call: Call) -> str:
    """Take back one's own request for changes."""
    request = services.lift_changes(call.request_id, actor=call.actor, text=call.text("text"), now=call.now)
    return f"You took back your request for changes to #{request.number}. {_consequence(request, call.now)}"


def abstain(call: Call) -> str:
    """Leave the decision to others."""
    request = services.abstain_from_change_request(
        call.request_id, actor=call.actor, digest=call.text("digest"), text=call.text("text"), now=call.now
    )
    return f"You abstained from #{request.number}. {verdict_of(request).sentences[0]}"


def reject(call: Call) -> str:
    """Say no, with a reason."""
    request = services.reject_change_request(
        call.request_id, actor=call.actor, reason=call.text("reason"), now=call.now
    )
    return f"You rejected #{request.number}. {_requester(request)} sees your reason in the timeline."


def withdraw(call: Call) -> str:
    """Take the request back."""
    request = services.withdraw_change_request(
        call.request_id, actor=call.actor, reason=call.text("reason"), now=call.now
    )
    return f"#{request.number} is withdrawn. Nothing was changed in {request.environment.name}."


def comment(call: Call) -> str:
    """Add a comment, or answer one."""
    reply_to = _comment_id(call, "reply_to") if call.text("reply_to") else None
    services.comment_on_change_request(
        call.request_id, actor=call.actor, body=call.text("body"), now=call.now, reply_to=reply_to
    )
    return "Your comment is in the discussion."


def resolve(call: Call) -> str:
    """Call a thread resolved."""
    _mark(call, is_resolved=True)
    return "The thread is resolved. Anybody can open it again."


def reopen(call: Call) -> str:
    """Open a thread again."""
    _mark(call, is_resolved=False)
    return "The thread is open again."


def schedule(call: Call) -> str:
    """Choose when it is applied; approvals given so far become void."""
    request = services.schedule_change_request(
        call.request_id,
        actor=call.actor,
        apply_at=instant_of(typed(call.fields)),
        now=call.now,
        expected_digest=call.text("digest"),
    )
    when = local_words(request.apply_at) if request.apply_at else "as soon as it is approved"
    review = "" if request.current_state is RequestState.DRAFT else " It needs its approvals again."
    return f"#{request.number} is to be applied {'on ' if request.apply_at else ''}{when}.{review}"


def apply(call: Call) -> str:
    """Make it live now."""
    request = services.apply_change_request(call.request_id, actor=call.actor, now=call.now)
    return f"#{request.number} is live in {request.environment.name} as revision {request.applied_revision}."


def apply_at_once(call: Call) -> str:
    """Make it live now without approvals, because it only narrows."""
    request = apply_request_at_once(
        call.request_id, actor=call.actor, digest=call.text("digest"), reason=call.text("reason"), now=call.now
    )
    return f"#{request.number} is live in {request.environment.name} as revision {request.applied_revision}."


ACTS: dict[str, Callable[[Call], str]] = {
    "edit": edit,
    "submit": submit,
    "approve": approve,
    "request_changes": request_changes,
    "lift_changes": lift_changes,
    "abstain": abstain,
    "reject": reject,
    "withdraw": withdraw,
    "comment": comment,
    "resolve": resolve,
    "reopen": reopen,
    "schedule": schedule,
    "apply": apply,
    "apply_at_once": apply_at_once,
}


def _mark(call: Call, *, is_resolved: bool) -> None:
    comment_id = _comment_id(call, "comment")
    services.mark_thread(
        call.request_id, actor=call.actor, comment_id=comment_id, is_resolved=is_resolved, now=call.now
    )


def _comment_id(call: Call, field: str) -> UUID:
    try:
        return UUID(call.text(field))
    except ValueError:
        raise NotFound("This comment does not exist. Reload the page.") from None


def _consequence(request: ChangeRequest, now: datetime) -> str:
    name = request.environment.name
    if request.current_state is RequestState.APPLIED:
        return f"It is live in {name} now, as revision {request.applied_revision}."
    if request.current_state is RequestState.IN_REVIEW:
        return verdict_of(request).sentences[0]
    if request.is_blocked:
        return "It has its approvals, but it is held back: see what moved below."
    if request.apply_at is not None and not request.is_due(now):
        return f"It goes live in {name} on {local_words(request.apply_at)}."
    return f"It goes live in {name} within moments."


def _requester(request: ChangeRequest) -> str:
    person = request.requester
    return person.get_full_name() or person.get_username()
