"""The list of change requests: four tabs, one line per request."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet

from rollouts.models import ChangeRequest
from rollouts.selectors import (
    RequestCard,
    RequestFilter,
    Whose,
    cards_of,
    request_list,
    visible_requests,
    waiting_for,
)
from rollouts.transitions import OPEN_STATES

PAGE_SIZE = 25
_OPEN = [state.value for state in OPEN_STATES]


@dataclass(frozen=True, slots=True)
class Tab:
    """One way to look at the list, and what to say when it is empty."""

    key: str
    name: str
    empty_title: str
    empty_text: str
    count: int | None = None


TABS = (
    Tab(
        "review",
        "For me to review",
        "Nothing waits for you",
        "When somebody asks for a change you may approve, it shows up here.",
    ),
    Tab(
        "mine",
        "Mine",
        "You have not asked for anything",
        "Open a flag, edit it in a protected environment and choose “Propose change”.",
    ),
    Tab(
        "open",
        "All open",
        "No change is under way",
        "Drafts, requests in review and approved ones that wait for their time show up here.",
    ),
    Tab(
        "finished",
        "Finished",
        "Nothing has been finished yet",
        "Applied, rejected, withdrawn and expired requests stay here for good.",
    ),
)


@dataclass(frozen=True, slots=True)
class RequestList:
    """One page of one tab."""

    tabs: Sequence[Tab]
    chosen: Tab
    cards: Sequence[RequestCard]
    page: Page[Any]


def list_page(user: AbstractUser, tab: str, number: str, *, now: datetime) -> RequestList:
    """The page of a tab: a constant number of queries. Without a tab, what waits for the person comes first."""
    waiting = waiting_for(user, now=now)
    tab = tab or ("review" if waiting else "open")
    chosen = next((item for item in TABS if item.key == tab), TABS[2])
    rows: Sequence[ChangeRequest] | QuerySet[ChangeRequest]
    rows = waiting if chosen.key == "review" else _rows(user, chosen.key, now=now)
    page = Paginator(rows, PAGE_SIZE).get_page(number)
    cards = cards_of(page.object_list, now=now)
    tabs = [
        Tab(item.key, item.name, item.empty_title, item.empty_text, len(waiting) if item.key == "review" else None)
        for item in TABS
    ]
    return RequestList(tabs, chosen, cards, page)


def _rows(user: AbstractUser, tab: str, *, now: datetime) -> QuerySet[ChangeRequest]:
    if tab == "mine":
        return request_list(user, RequestFilter(whose=Whose.MINE), now=now)
    if tab == "open":
        return request_list(user, RequestFilter(state="open"), now=now)
    return visible_requests(user).exclude(state__in=_OPEN)
