"""The desk: what waits for a person, what they asked for, what happens next."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AbstractUser

from rollouts.models import ChangeRequest, DeprecationTimeline
from rollouts.policies import Verdict, judge
from rollouts.selectors.bundles import waited_for, waiting_words
from rollouts.selectors.contents import touched_keys
from rollouts.selectors.lists import visible_requests, waiting_for
from rollouts.selectors.verdicts import cases_of
from rollouts.transitions import OPEN_STATES, RequestState

LONGEST_LIST = 20


@dataclass(frozen=True, slots=True)
class RequestCard:
    """A request in one line: where it stands, and the sentence that says what it needs. `has_timeline`: it was applied,
    and what it did is that a timeline began.
    """

    request: ChangeRequest
    verdict: Verdict
    keys: tuple[str, ...]
    sentence: str
    has_timeline: bool = False


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
    shown = {request.pk: request for rows in lists for request in rows}
    cards = {card.request.pk: card for card in cards_of(shown.values(), now=now)}
    found = [tuple(cards[request.pk] for request in rows) for rows in lists]
    return Desk(found[0], len(waiting), *found[1:])


def cards_of(requests: Iterable[ChangeRequest], *, now: datetime) -> list[RequestCard]:
    """One line about each request: a constant number of queries."""
    rows = list(requests)
    cases, waited = cases_of(rows), waited_for(rows)
    words = {request.pk: waiting_words(waited.get(request.pk, ())) for request in rows}
    begun = with_begun_timeline(rows)
    cards = []
    for request in rows:
        verdict, keys = judge(cases[request.pk]), tuple(sorted(key for _, key in touched_keys(request)))
        has_timeline = request.pk in begun
        sentence = standing(request, verdict, waits=words[request.pk], has_timeline=has_timeline, now=now)
        cards.append(RequestCard(request, verdict, keys, sentence, has_timeline))
    return cards


def with_begun_timeline(requests: Iterable[ChangeRequest]) -> set[uuid.UUID]:
    """Those that set a timeline going when they were applied, which is all that they did: one query at most."""
    applied = [item.pk for item in requests if item.plan_digest and item.current_state is RequestState.APPLIED]
    if not applied:
        return set()
    return set(DeprecationTimeline.objects.filter(request__in=applied).values_list("request_id", flat=True))


def standing(
    request: ChangeRequest, verdict: Verdict, *, now: datetime, waits: str = "", has_timeline: bool = False
) -> str:
    """Where a request stands and what it needs, in one sentence or two. `waits` says what its bundle waits for."""
    match request.current_state:
        case RequestState.DRAFT:
            return "A draft that nobody has been asked about yet. Submit it for review."
        case RequestState.IN_REVIEW | RequestState.APPROVED if request.has_expired(now):
            return "Expired without having been applied. Ask for a new change."
        case RequestState.IN_REVIEW:
            return verdict.sentences[0]
        case RequestState.APPROVED:
            return _approved(request, waits, now=now)
        case RequestState.APPLIED:
            return _applied(request, has_timeline=has_timeline)
        case RequestState.REJECTED:
            return "Rejected. The timeline says why."
        case RequestState.WITHDRAWN:
            return "Withdrawn before it was applied."
        case RequestState.EXPIRED:
            return "Expired without having been applied. Ask for a new change."
        case RequestState.ROLLED_BACK:
            return "Applied and later rolled back."


def _applied(request: ChangeRequest, *, has_timeline: bool) -> str:
    if has_timeline:
        return f"Approved; its timeline began on {_moment(request.applied_at)}."
    return f"Applied on {_moment(request.applied_at)} as revision {request.applied_revision}."


def _approved(request: ChangeRequest, waits: str, *, now: datetime) -> str:
    if request.is_blocked:
        return f"Approved, but held back. {request.blocked_detail.get('message', '')}".strip()
    if waits:
        return f"Approved. {waits}"
    if request.apply_at is not None and not request.is_due(now):
        return f"Approved. It is applied on {_moment(request.apply_at)}."
    return "Approved. It is applied within moments."


def _moment(instant: datetime | None) -> str:
    return f"{instant:%d %B %Y at %H:%M} UTC" if instant else "an unknown date"
