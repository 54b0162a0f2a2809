"""What is new to the person since they looked at the request last."""

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AbstractUser

from flags.showing import DiffRow, diff_rows
from rollouts.selectors import RequestPage
from rollouts.selectors.rounds import EditSince, SinceLooked, has_looked, since_looked
from rollouts.transitions import AWAITING_STATES


@dataclass(frozen=True, slots=True)
class EditRows:
    """One flag or segment: what was proposed then, beside what is proposed now."""

    edit: EditSince
    rows: list[DiffRow]


@dataclass(frozen=True, slots=True)
class SincePanel:
    """`since` None: nothing is new, and the page may remember by itself that this person saw it."""

    since: SinceLooked | None
    edits: list[EditRows]


def since_looked_panel(page: RequestPage, user: AbstractUser, now: datetime) -> SincePanel | None:
    """Two queries at most; None where there is nothing to show and nothing to remember."""
    if page.request.current_state not in AWAITING_STATES:
        return None
    since = since_looked(page.request, user)
    if since is None:
        return None if has_looked(page.request, user) else SincePanel(None, [])
    return SincePanel(since, [EditRows(edit, _rows(edit)) for edit in since.edits])


def _rows(edit: EditSince) -> list[DiffRow]:
    documents = (edit.before, edit.after) if edit.kind == "flag" else ()
    return diff_rows(edit.differences, *documents)
