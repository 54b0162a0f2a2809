"""Reads for people and sweepers. Nothing here writes."""

from rollouts.selectors.contents import EditView, touched_keys
from rollouts.selectors.desks import Desk, RequestCard, cards_of, desk, standing
from rollouts.selectors.lists import (
    RequestFilter,
    Whose,
    conflicts_of,
    open_requests_by_flag,
    open_requests_for,
    request_list,
    visible_requests,
    waiting_for,
    waiting_ids,
)
from rollouts.selectors.request_pages import ApprovalView, RequestPage, request_page
from rollouts.selectors.rights import ActView
from rollouts.selectors.verdicts import case_of, cases_of, policy_of, role_holders, verdict_of

__all__ = [
    "ActView",
    "ApprovalView",
    "Desk",
    "EditView",
    "RequestCard",
    "RequestFilter",
    "RequestPage",
    "Whose",
    "cards_of",
    "case_of",
    "cases_of",
    "conflicts_of",
    "desk",
    "open_requests_by_flag",
    "open_requests_for",
    "policy_of",
    "request_list",
    "request_page",
    "role_holders",
    "standing",
    "touched_keys",
    "verdict_of",
    "visible_requests",
    "waiting_for",
    "waiting_ids",
]
