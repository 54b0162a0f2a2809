"""Every act on a change request, in one place to import from."""

from rollouts.services.applying import apply_change_request, apply_if_due, expire_if_due, pass_review_if_due
from rollouts.services.discussing import comment_on_change_request, mark_thread
from rollouts.services.dissenting import abstain_from_change_request, lift_changes, request_changes
from rollouts.services.drafting import (
    UNCHANGED,
    create_change_request,
    edit_change_request,
    schedule_change_request,
    submit_change_request,
)
from rollouts.services.reviewing import (
    approve_change_request,
    reject_change_request,
    withdraw_change_request,
)
from rollouts.services.rounds import look_at_request

__all__ = [
    "UNCHANGED",
    "abstain_from_change_request",
    "apply_change_request",
    "apply_if_due",
    "approve_change_request",
    "comment_on_change_request",
    "create_change_request",
    "edit_change_request",
    "expire_if_due",
    "lift_changes",
    "look_at_request",
    "mark_thread",
    "pass_review_if_due",
    "reject_change_request",
    "request_changes",
    "schedule_change_request",
    "submit_change_request",
    "withdraw_change_request",
]
