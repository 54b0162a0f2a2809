"""Bundles: the other requests that are applied together with one, and which of them are not ready yet."""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rollouts.models import BundleMember, ChangeBundle, ChangeRequest
from rollouts.transitions import RequestState


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle with all its requests, in the order of their environments."""

    row: ChangeBundle
    requests: tuple[ChangeRequest, ...]


def bundle_of(request: ChangeRequest) -> Bundle | None:
    """The bundle a request belongs to, None for most: one query."""
    rows = BundleMember.objects.filter(bundle__members__request=request)
    members = list(
        rows.select_related("bundle", "request__environment", "request__project", "request__requester").order_by(
            "environment__position", "environment_id"
        )
    )
    return Bundle(members[0].bundle, tuple(member.request for member in members)) if members else None


def siblings_of(request: ChangeRequest) -> list[ChangeRequest]:
    """The other requests of its bundle, with environment and project, in the order of their environments: one query."""
    rows = ChangeRequest.objects.filter(membership__bundle__members__request=request).exclude(pk=request.pk)
    return list(rows.select_related("environment", "project").order_by("environment_id"))


def waited_for(requests: Iterable[ChangeRequest]) -> Mapping[uuid.UUID, list[ChangeRequest]]:
    """The requests of the same bundle that are not approved or are held back, by approved request: two queries."""
    approved = [request.pk for request in requests if request.current_state is RequestState.APPROVED]
    rows = BundleMember.objects.filter(bundle__members__request__in=approved)
    rows = rows.exclude(request__state=RequestState.APPROVED.value, request__blocked_code="")
    found: dict[uuid.UUID, list[ChangeRequest]] = defaultdict(list)
    for member in rows.select_related("request__environment").prefetch_related("bundle__members").distinct():
        for other in member.bundle.members.all():
            if other.request_id != member.request_id:
                found[other.request_id].append(member.request)
    return found


def waiting_words(others: Iterable[ChangeRequest]) -> str:
    """What a request of a bundle waits for, empty for nothing."""
    names = ", ".join(f"#{other.number} in {other.environment.name}" for other in others)
    return f"Goes live together with its bundle, which waits for {names}." if names else ""
