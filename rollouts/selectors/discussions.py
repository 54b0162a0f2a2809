"""Comments of a request as threads."""

from collections.abc import Iterable
from dataclasses import dataclass

from rollouts.models import ChangeRequest, Comment, ThreadMark


@dataclass(frozen=True, slots=True)
class Thread:
    """A comment and the answers to it. `mark` is the last word on whether it is settled, None for none."""

    root: Comment
    replies: tuple[Comment, ...]
    mark: ThreadMark | None

    @property
    def is_resolved(self) -> bool:
        """Whether somebody called it resolved and nobody opened it again."""
        return self.mark is not None and self.mark.is_resolved


def threads_of(request: ChangeRequest, comments: Iterable[Comment]) -> tuple[Thread, ...]:
    """The threads that the comments of a request make, in the order in which they began: one query."""
    rows = ThreadMark.objects.filter(comment__request=request).select_related("author").order_by("sequence")
    marks = {mark.comment_id: mark for mark in rows}
    replies: dict[object, list[Comment]] = {}
    for comment in comments:
        replies.setdefault(comment.reply_to_id, []).append(comment)
    return tuple(Thread(root, tuple(replies.get(root.pk, ())), marks.get(root.pk)) for root in replies.get(None, ()))
