"""Talking about a change request: comments, answers, and threads that are settled."""

import uuid
from datetime import datetime

from audits.actions import Action
from audits.context import Actor
from flags import permissions
from flags.errors import NotFound
from flags.services.attempts import attempt
from rollouts.models import ChangeRequest, Comment, ThreadMark
from rollouts.services.checks import checked_prose
from rollouts.services.writing import lock_request, record, require_person


def comment_on_change_request(
    request_id: uuid.UUID, *, actor: Actor, body: str, now: datetime, reply_to: uuid.UUID | None = None
) -> Comment:
    """Add a comment, in any state; `reply_to` any comment of the thread. Needs the right to look. Raises NotFound."""

    def act() -> Comment:
        request = lock_request(request_id)
        permissions.require(actor, permissions.VIEW, request.environment)
        author_id = require_person(actor)
        text = checked_prose(body, field="comment", required=True)
        root = None if reply_to is None else _thread(request, reply_to)
        comment = Comment.objects.create(request=request, author_id=author_id, body=text, reply_to=root, created_at=now)
        data = {"comment_id": str(comment.pk), **({"reply_to": str(root.pk)} if root else {})}
        origin = request.current_state
        record(Action.CHANGE_REQUEST_COMMENTED, request, actor=actor, now=now, origin=origin, reason=text, **data)
        return comment

    return attempt(act)


def mark_thread(
    request_id: uuid.UUID, *, actor: Actor, comment_id: uuid.UUID, is_resolved: bool, now: datetime
) -> None:
    """Call a thread resolved, or open it again, in any state. Needs the right to look. Raises NotFound.

    A thread that is so already stays as it is: two people who press the button leave one mark.
    """

    def act() -> None:
        request = lock_request(request_id)
        permissions.require(actor, permissions.VIEW, request.environment)
        author_id = require_person(actor)
        root = _thread(request, comment_id)
        last = ThreadMark.objects.filter(comment=root).order_by("sequence").last()
        if (last is not None and last.is_resolved) == is_resolved:
            return
        ThreadMark.objects.create(
            comment=root,
            author_id=author_id,
            sequence=last.sequence + 1 if last else 1,
            is_resolved=is_resolved,
            created_at=now,
        )
        action = Action.CHANGE_REQUEST_THREAD_RESOLVED if is_resolved else Action.CHANGE_REQUEST_THREAD_REOPENED
        record(action, request, actor=actor, now=now, origin=request.current_state, comment_id=str(root.pk))

    attempt(act)


def _thread(request: ChangeRequest, comment_id: uuid.UUID) -> Comment:
    """The comment that began the thread. Raises NotFound for comments of other requests."""
    comment = Comment.objects.select_related("reply_to").filter(request=request, pk=comment_id).first()
    if comment is None:
        raise NotFound("This comment does not exist. Reload the page.", comment_id=str(comment_id))
    return comment.reply_to or comment
