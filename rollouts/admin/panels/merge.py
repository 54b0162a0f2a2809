"""What can be put together here: the request with what became live meanwhile, and with other open requests."""

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AbstractUser

from rollouts.models import ChangeRequest
from rollouts.selectors import RequestPage
from rollouts.selectors.merges import merged_with_live
from rollouts.transitions import Act


@dataclass(frozen=True, slots=True)
class MergePanel:
    """`conflicts` is the number of things both sides changed; `others` are open requests that touch the same, without
    those that ask for a plan or a timeline.
    """

    is_behind: bool
    conflicts: int
    is_live_already: bool
    others: tuple[ChangeRequest, ...]


def merge_panel(page: RequestPage, user: AbstractUser, now: datetime) -> MergePanel | None:
    """No query; None for who may not edit the request, and where there is nothing to put together."""
    others = tuple(other for other in page.conflicts if not other.plan_digest)
    if not page.may(Act.EDIT) or not (page.has_moved or others):
        return None
    merged = merged_with_live(page.request, page.edits)
    return MergePanel(bool(merged.merged), len(merged.conflicts), not merged.change_set.edits, others)
