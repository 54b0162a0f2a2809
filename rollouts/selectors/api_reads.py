"""What programs read about change requests: pages of them, and everything that decides about one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import TextField
from django.db.models.functions import Cast

from rollouts.models import Approval, ChangeRequest
from rollouts.policies import Verdict, counted_approvers, judge
from rollouts.selectors.contents import touched_keys
from rollouts.selectors.soak import Soak, soak_of
from rollouts.selectors.verdicts import case_of, live_case_of
from rollouts.transitions import OPEN_STATES


@dataclass(frozen=True, slots=True)
class RequestPart:
    """Some requests, newest first. `next_number`: where the next part begins; None at the end."""

    requests: Sequence[ChangeRequest]
    next_number: int | None


@dataclass(frozen=True, slots=True)
class Judgeable:
    """One request with its verdict as of now. `counting` are the ids of approvals that count."""

    request: ChangeRequest
    verdict: Verdict
    approvals: Sequence[Approval]
    counting: frozenset[UUID]
    soak: Soak | None


def requests_in(
    environment_id: UUID, *, state: str = "", flag_key: str = "", below: int | None = None, size: int
) -> RequestPart:
    """Requests of one environment with numbers below `below`: one query. A part may hold fewer than `size`."""
    rows = ChangeRequest.objects.filter(environment=environment_id).select_related("environment", "requester")
    if state:
        rows = rows.filter(state__in=[one.value for one in OPEN_STATES] if state == "open" else [state])
    if below is not None:
        rows = rows.filter(number__lt=below)
    if flag_key:
        # Narrows on every database; what only looks like it is left out below.
        rows = rows.annotate(text=Cast("change_set", TextField())).filter(text__contains=f'"flag_key": "{flag_key}"')
    found = list(rows.order_by("-number")[: size + 1])
    shown = found[:size]
    kept = [one for one in shown if not flag_key or ("flag", flag_key) in touched_keys(one)]
    return RequestPart(kept, shown[-1].number if len(found) > size else None)


def judgeable(environment_id: UUID, request_id: UUID, *, now: datetime) -> Judgeable | None:
    """One request of an environment with all that decides about it: a constant number of queries."""
    rows = ChangeRequest.objects.filter(environment=environment_id, pk=request_id)
    request = rows.select_related("environment", "project", "requester").first()
    if request is None:
        return None
    is_open = request.current_state in OPEN_STATES
    case = live_case_of(request, now=now) if is_open else case_of(request)
    counted = {person.id for person in counted_approvers(case)}
    approvals = list(Approval.objects.filter(request=request).select_related("approver"))
    counting = frozenset(
        one.pk for one in approvals if one.digest == request.digest and str(one.approver_id) in counted
    )
    return Judgeable(request, judge(case), approvals, counting, soak_of(request, now=now) if is_open else None)
