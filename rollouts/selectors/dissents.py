"""What people had against requests: what holds a content back now, and what was said about the same things before."""

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from rollouts.models import ChangeRequest, Dissent, DissentKind
from rollouts.selectors.contents import touched_words

# What is worth telling again: a request for changes that was answered or taken back is over with its request.
_TOLD_AGAIN = [DissentKind.RESERVATION.value, DissentKind.REJECTION.value, DissentKind.ABSTENTION.value]
_LOOKED_BACK = 200
_MOST_TOLD = 3


@dataclass(slots=True)
class StandingDissent:
    """Who asks for changes to the present content and who abstained from it, by id."""

    objecting: dict[str, None] = field(default_factory=dict)
    abstaining: dict[str, None] = field(default_factory=dict)

    @property
    def objector_ids(self) -> frozenset[str]:
        """The people who ask for changes and did not take that back."""
        return frozenset(self.objecting)

    @property
    def abstainer_ids(self) -> frozenset[str]:
        """The people who leave the decision to others."""
        return frozenset(self.abstaining)


@dataclass(frozen=True, slots=True)
class DissentView:
    """One disagreement, for people. `is_standing`: it holds the request back now."""

    kind: str
    words: str
    person: str
    text: str
    at: datetime
    round: int
    is_standing: bool
    request: ChangeRequest


def standing_dissents(requests: Iterable[ChangeRequest]) -> Mapping[uuid.UUID, StandingDissent]:
    """What stands against the present content of these requests, by request: one query."""
    digests = {request.pk: request.digest for request in requests}
    found: dict[uuid.UUID, StandingDissent] = defaultdict(StandingDissent)
    rows = Dissent.objects.filter(request__in=list(digests)).order_by("sequence")
    for request_id, digest, kind, author_id in rows.values_list("request_id", "digest", "kind", "author_id"):
        if digest != digests[request_id]:
            continue
        standing, person = found[request_id], str(author_id)
        if kind == DissentKind.CHANGES_REQUESTED.value:
            standing.objecting[person] = None
        elif kind == DissentKind.CHANGES_LIFTED.value:
            standing.objecting.pop(person, None)
        elif kind == DissentKind.ABSTENTION.value:
            standing.abstaining[person] = None
    return found


def dissents_of(request: ChangeRequest, *, objector_ids: Collection[str]) -> list[DissentView]:
    """Everything anybody ever had against a request, oldest first: one query."""
    rows = Dissent.objects.filter(request=request).select_related("author")
    return [_view(row, request, objector_ids) for row in rows]


def said_before(request: ChangeRequest) -> list[DissentView]:
    """What people had against the latest earlier requests for the same flags and segments here: one query."""
    rows = Dissent.objects.filter(environment=request.environment_id, kind__in=_TOLD_AGAIN)
    rows = rows.filter(request__number__lt=request.number).order_by("-created_at", "-request__number", "-sequence")
    touched = set(touched_words(request))
    found = [row for row in rows.select_related("author", "request")[:_LOOKED_BACK] if touched & set(row.touched)]
    return [_view(row, row.request, ()) for row in found[:_MOST_TOLD]]


def dissents_by_request(request_ids: Collection[str]) -> dict[str, list[DissentView]]:
    """What people had against the requests that versions came from, by the request's id: one query."""
    rows = Dissent.objects.filter(request__in=list(request_ids), kind__in=_TOLD_AGAIN)
    found: dict[str, list[DissentView]] = defaultdict(list)
    for row in rows.select_related("author", "request"):
        found[str(row.request_id)].append(_view(row, row.request, ()))
    return dict(found)


def _view(row: Dissent, request: ChangeRequest, objector_ids: Collection[str]) -> DissentView:
    is_objection = row.kind == DissentKind.CHANGES_REQUESTED.value and row.digest == request.digest
    return DissentView(
        kind=row.kind,
        words=DissentKind(row.kind).label.lower(),
        person=row.author.get_full_name() or row.author.get_username(),
        text=row.text,
        at=row.created_at,
        round=row.round,
        is_standing=is_objection and str(row.author_id) in objector_ids,
        request=request,
    )
