"""Short ways to use the pages of change requests as a person would."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import transaction
from django.urls import reverse

from rollouts.models import ChangeRequest
from rollouts.transitions import RequestState

ROLES = ("rita", "abel", "rolf", "vera", "ada", "otto")


def page_url(request: ChangeRequest) -> str:
    """The page of a request."""
    return reverse("admin:rollouts_changerequest_change", args=[request.pk])


def act_url(request: ChangeRequest, act: str) -> str:
    """Where an act is posted."""
    return reverse("admin:rollouts_changerequest_act", args=[request.pk, act])


def fields_for(request: ChangeRequest, act: str) -> dict[str, str]:
    """What the page's own form would send for an act."""
    is_draft = request.current_state is RequestState.DRAFT
    texts = {
        "title": "Another title" if is_draft else request.title,
        "reason": "Another reason" if is_draft else request.reason,
        "digest": request.digest,
    }
    return {
        # Under review, title and reason stay.
        "edit": {**texts, "when": "time", "apply_at": "2026-03-09T10:00"},
        "submit": {},
        "approve": {"digest": request.digest, "comment": "Looks right"},
        "request_changes": {"digest": request.digest, "text": "Smaller steps"},
        "abstain": {"digest": request.digest, "text": ""},
        "reject": {"reason": "Too wide"},
        "withdraw": {"reason": ""},
        "comment": {"body": "Why 25?"},
        "schedule": {"digest": request.digest, "when": "time", "apply_at": "2026-03-05T10:00"},
        "apply": {},
    }[act]


def facts(request: ChangeRequest) -> tuple[Any, ...]:
    """Everything an act could change about a request."""
    row = ChangeRequest.objects.get(pk=request.pk)
    return (row.state, row.digest, row.lock_version, row.title, row.reason, row.approvals.count(), row.comments.count())


@contextmanager
def taken_back() -> Iterator[None]:
    """Undo whatever the block does."""
    with transaction.atomic():
        try:
            yield
        finally:
            transaction.set_rollback(True)


def as_text(document: Any) -> str:
    """A document as a form sends it."""
    return json.dumps(document)
