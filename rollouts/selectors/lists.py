"""Which requests a person sees: lists, filters, and requests that touch a flag."""

import uuid
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.contrib.auth.models import AbstractUser, AnonymousUser
from django.db.models import Exists, OuterRef, QuerySet

from flags import permissions
from flags.models import Environment, Flag
from rollouts.models import Approval, ChangeRequest
from rollouts.policies import Case, judge, may_approve
from rollouts.selectors.contents import touched_keys
from rollouts.selectors.verdicts import plain_cases_of, with_rules
from rollouts.transitions import AWAITING_STATES, OPEN_STATES

_OPEN = [state.value for state in OPEN_STATES]
_AWAITING = [state.value for state in AWAITING_STATES]
# What a verdict looks at of a request itself; contents are large and say nothing about approvals.
_WEIGHED = ("environment", "project", "requester", "contributors", "digest", "policy_snapshot")


class Whose(StrEnum):
    """The three ways to look at the list."""

    REVIEW = "review"
    MINE = "mine"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFilter:
    """What to list; None means any. `state` "open" stands for draft, in review and approved."""

    whose: Whose = Whose.ALL
    state: str | None = None
    environment_id: uuid.UUID | None = None
    project_key: str | None = None


EVERYTHING = RequestFilter()


def visible_requests(user: AbstractUser | AnonymousUser) -> QuerySet[ChangeRequest]:
    """Requests in environments the person may look at, with environment, project and requester, newest first."""
    rows = ChangeRequest.objects.filter(environment__in=permissions.visible_environments(user))
    return rows.select_related("environment", "project", "requester").order_by("-created_at", "-number")


def request_list(user: AbstractUser, filters: RequestFilter = EVERYTHING, *, now: datetime) -> QuerySet[ChangeRequest]:
    """The requests a person sees through `filters`; to be cut into pages by the caller."""
    rows = visible_requests(user)
    if filters.whose is Whose.MINE:
        rows = rows.filter(requester_id=user.pk)
    elif filters.whose is Whose.REVIEW:
        rows = rows.filter(pk__in=waiting_ids(user, now=now))
    if filters.state:
        rows = rows.filter(state__in=_OPEN if filters.state == "open" else [filters.state])
    if filters.environment_id:
        rows = rows.filter(environment=filters.environment_id)
    if filters.project_key:
        rows = rows.filter(project__key=filters.project_key)
    return rows


def waiting_for(user: AbstractUser, *, now: datetime) -> list[ChangeRequest]:
    """Requests that lack an approval which this person may give now and which helps, oldest first."""
    wanted = waiting_ids(user, now=now)
    rows = {row.pk: row for row in visible_requests(user).filter(pk__in=wanted)} if wanted else {}
    return [rows[pk] for pk in wanted if pk in rows]


def waiting_ids(user: AbstractUser, *, now: datetime) -> list[uuid.UUID]:
    """The same as ids only, for numbers: without the contents, and rules are read only where they can matter."""
    rows = _candidates(user, now=now)
    cases, person_id = plain_cases_of(rows), str(user.pk)
    lacking = {row.pk for row in rows if _lacks_without_rules(cases[row.pk], person_id)}
    ruled_cases = with_rules(cases, [row for row in rows if row.pk not in lacking])
    lacking |= {pk for pk, case in ruled_cases.items() if _waits_for(case, person_id)}
    return [row.pk for row in rows if row.pk in lacking]


def _candidates(user: AbstractUser, *, now: datetime) -> list[ChangeRequest]:
    """What the person could approve at all: where they are an approver, not theirs, not approved by them. One query."""
    environments = permissions.environments_with(user, permissions.APPROVE)
    if not environments:
        return []
    given = Approval.objects.filter(request=OuterRef("pk"), digest=OuterRef("digest"), approver=user.pk)
    rows = visible_requests(user).filter(environment__in=environments, state__in=_AWAITING, expires_at__gt=now)
    rows = rows.exclude(requester=user.pk).exclude(Exists(given)).order_by("submitted_at", "number")
    found = rows.select_related(None).only(*_WEIGHED)
    return [row for row in found if str(user.pk) not in row.contributor_ids]


def _lacks_without_rules(case: Case, person_id: str) -> bool:
    """Whether the policy alone still needs this person. Rules only add, so no rule changes that answer."""
    if may_approve(case, person_id) is not None:
        return False
    verdict = judge(case)
    return verdict.missing > 0 and person_id in {person.id for person in verdict.may_still_approve}


def _waits_for(case: Case, person_id: str) -> bool:
    if may_approve(case, person_id) is not None:
        return False
    verdict = judge(case)
    return not verdict.is_satisfied and person_id in {person.id for person in verdict.may_still_approve}


def open_requests_for(flag: Flag, environment: Environment) -> list[ChangeRequest]:
    """Open requests that touch a flag in an environment, newest first."""
    return open_requests_by_flag([environment.pk]).get((environment.pk, flag.key), [])


def open_requests_by_flag(environments: Iterable[uuid.UUID]) -> dict[tuple[uuid.UUID, str], list[ChangeRequest]]:
    """Open requests by environment and flag key, newest first, for whole tables of flags: one query."""
    rows = ChangeRequest.objects.filter(environment__in=list(environments), state__in=_OPEN)
    found: dict[tuple[uuid.UUID, str], list[ChangeRequest]] = defaultdict(list)
    for request in rows.select_related("requester").order_by("-created_at", "-number"):
        for kind, key in touched_keys(request):
            if kind == "flag":
                found[request.environment_id, key].append(request)
    return dict(found)


def conflicts_of(request: ChangeRequest) -> list[ChangeRequest]:
    """Other open requests that touch the same flag or segment: whichever is applied second will be stale. One query."""
    touched = touched_keys(request)
    others = ChangeRequest.objects.filter(environment=request.environment_id, state__in=_OPEN).exclude(pk=request.pk)
    rows = others.select_related("requester").order_by("-created_at", "-number")
    return [other for other in rows if touched & touched_keys(other)]
