"""The desk: what waits for a person, what they asked for, what happens next."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.contrib.auth.models import AbstractUser

from rollouts.models import ChangeRequest
from rollouts.policies import Case, Verdict, judge
from rollouts.selectors.contents import touched_keys
from rollouts.selectors.lists import visible_requests, waiting_for
from rollouts.selectors.verdicts import cases_of
from rollouts.transitions import OPEN_STATES, RequestState

LONGEST_LIST = 20


@dataclass(frozen=True, slots=True)
class RequestCard:
    """A request in one line: where it stands, and the sentence that says what it needs."""

    request: ChangeRequest
    verdict: Verdict
    keys: tuple[str, ...]
    sentence: str


@dataclass(frozen=True, slots=True)
class Desk:
    """Four short lists; `waiting_count` is the number of all requests that wait for the person."""

    waiting_for_me: tuple[RequestCard, ...]
    waiting_count: int
    asked_by_me: tuple[RequestCard, ...]
    happening_next: tuple[RequestCard, ...]
    recently_applied: tuple[RequestCard, ...]


def desk(user: AbstractUser, *, now: datetime) -> Desk:
    """The desk of a person: a constant number of queries."""
    waiting = waiting_for(user, now=now)
    visible = visible_requests(user)
    asked = visible.filter(requester_id=user.pk, state__in=[state.value for state in OPEN_STATES])
    coming = visible.filter(state=RequestState.APPROVED.value).order_by("apply_at", "number")
    applied = visible.filter(state=RequestState.APPLIED.value).order_by("-applied_at", "-number")
    lists = [list(rows[:LONGEST_LIST]) for rows in (waiting, asked, coming, applied)]
    cases = cases_of({request.pk: request for rows in lists for request in rows}.values())
    cards = [_cards(rows, cases, now=now) for rows in lists]
    return Desk(cards[0], len(waiting), *cards[1:])


def _cards(requests: Iterable[ChangeRequest], cases: Mapping[UUID, Case], *, now: datetime) -> tuple[RequestCard, ...]:
    return tuple(card_of(request, judge(cases[request.pk]), now=now) for request in requests)


def card_of(request: ChangeRequest, verdict: Verdict, *, now: datetime) -> RequestCard:
    """One line about a request."""
    keys = tuple(sorted(key for _, key in touched_keys(request)))
    return RequestCard(request, verdict, keys, standing(request, verdict, now=now))


def standing(request: ChangeRequest, verdict: Verdict, *, now: datetime) -> str:
    """Where a request stands and what it needs, in one sentence or two."""
    match request.current_state:
        case RequestState.DRAFT:
            return "A draft that nobody has been asked about yet. Submit it for review."
        case RequestState.IN_REVIEW | RequestState.APPROVED if request.has_expired(now):
            return "Expired without having been applied. Ask for a new change."
        case RequestState.IN_REVIEW:
            return verdict.sentences[0]
        case RequestState.APPROVED:
            return _approved(request, now=now)
        case RequestState.APPLIED:
            return f"Applied on {_moment(request.applied_at)} as revision {request.applied_revision}."
        case RequestState.REJECTED:
            return "Rejected. The timeline says why."
        case RequestState.WITHDRAWN:
            return "Withdrawn before it was applied."
        case RequestState.EXPIRED:
            return "Expired without having been applied. Ask for a new change."
        case RequestState.ROLLED_BACK:
            return "Applied and later rolled back."


def _approved(request: ChangeRequest, *, now: datetime) -> str:
    if request.is_blocked:
        return f"Approved, but held back. {request.blocked_detail.get('message', '')}".strip()
    if request.apply_at is not None and not request.is_due(now):
        return f"Approved. It is applied on {_moment(request.apply_at)}."
    return "Approved. It is applied within moments."


def _moment(instant: datetime | None) -> str:
    return f"{instant:%d %B %Y at %H:%M} UTC" if instant else "an unknown date"
