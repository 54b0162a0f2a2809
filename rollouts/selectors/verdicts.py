"""The facts verdicts are made from, read now, for one request or for many in the same number of queries."""

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from django.contrib.auth.models import AbstractUser

from flags import permissions
from flags.models import Environment, EnvironmentUserGrant
from rollouts.models import Approval, ApprovalPolicy, ChangeRequest
from rollouts.policies import Approver, Case, Facts, GivenApproval, Policy, Verdict, judge
from rollouts.selectors.dissents import standing_dissents
from rollouts.selectors.facts import facts_of
from rollouts.selectors.rules import Ruled, ruled


def policy_of(environment: Environment) -> Policy:
    """The approval policy in force in an environment; the default where nobody set one."""
    return _policies([environment.pk]).get(environment.pk, Policy())


def role_holders(environment: Environment) -> tuple[Approver, ...]:
    """Active people with the role approver in the environment, by name."""
    return tuple(_holders([environment.pk])[environment.pk])


def case_of(request: ChangeRequest) -> Case:
    """What the verdict on `request` depends on, its facts as they were stored: six queries, more where rules are."""
    return cases_of([request])[request.pk]


def live_case_of(request: ChangeRequest, *, now: datetime, facts: Facts | None = None) -> Case:
    """The same with the facts as they are now; they are read where there are rules and `facts` does not hold them."""

    def read(row: ChangeRequest) -> Facts:
        return facts or facts_of(row, now=now)

    return _with(plain_cases_of([request]), ruled([request], read=read, now=now))[request.pk]


def cases_of(requests: Iterable[ChangeRequest]) -> dict[uuid.UUID, Case]:
    """What the verdicts on these requests depend on, by request: six queries, up to ten where there are rules."""
    rows = list(requests)
    return with_rules(plain_cases_of(rows), rows)


def plain_cases_of(requests: Iterable[ChangeRequest]) -> dict[uuid.UUID, Case]:
    """The same as if there were no rules: four queries, none for no requests."""
    rows = list(requests)
    if not rows:
        return {}
    environments = {row.environment_id for row in rows}
    policies, holders, approvals = _policies(environments), _holders(environments), _approvals(rows)
    standings = standing_dissents(rows)
    return {
        row.pk: Case(
            requester_id=str(row.requester_id),
            contributor_ids=row.contributor_ids,
            digest=row.digest,
            policy=policies.get(row.environment_id, Policy()),
            submitted_policy=row.submitted_policy,
            role_holders=tuple(holders[row.environment_id]),
            approvals=tuple(approvals[row.pk]),
            objector_ids=standings[row.pk].objector_ids,
            abstainer_ids=standings[row.pk].abstainer_ids,
        )
        for row in rows
    }


def with_rules(cases: Mapping[uuid.UUID, Case], requests: Collection[ChangeRequest]) -> dict[uuid.UUID, Case]:
    """The plain cases of these requests with what the rules say: two to six queries, none for no requests."""
    return _with(cases, ruled(requests)) if requests else {}


def _with(cases: Mapping[uuid.UUID, Case], rules: Mapping[uuid.UUID, Ruled]) -> dict[uuid.UUID, Case]:
    return {
        pk: replace(
            cases[pk], findings=says.findings, directory=says.directory, service_approvals=says.service_approvals
        )
        for pk, says in rules.items()
    }


def verdict_of(request: ChangeRequest) -> Verdict:
    """The verdict on `request` as things stand now."""
    return judge(case_of(request))


def name_of(person: AbstractUser) -> str:
    """What a person is called."""
    return person.get_full_name() or person.get_username()


def _policies(environments: Iterable[uuid.UUID]) -> dict[uuid.UUID, Policy]:
    rows = ApprovalPolicy.objects.filter(environment__in=list(environments))
    return {row.environment_id: row.as_policy() for row in rows}


def _holders(environments: Iterable[uuid.UUID]) -> dict[uuid.UUID, list[Approver]]:
    grants = EnvironmentUserGrant.objects.filter(
        content_object__in=list(environments),
        permission__codename=permissions.APPROVE.removeprefix("flags."),
        user__is_active=True,
    )
    holders: dict[uuid.UUID, list[Approver]] = defaultdict(list)
    for grant in grants.select_related("user").order_by("user__first_name", "user__last_name", "user__username"):
        holders[grant.content_object_id].append(Approver(str(grant.user_id), name_of(grant.user)))
    return holders


def _approvals(requests: Iterable[ChangeRequest]) -> dict[uuid.UUID, list[GivenApproval]]:
    given: dict[uuid.UUID, list[GivenApproval]] = defaultdict(list)
    rows = Approval.objects.filter(request__in=[request.pk for request in requests]).select_related("approver")
    for row in rows:
        given[row.request_id].append(GivenApproval(str(row.approver_id), name_of(row.approver), row.digest))
    return given
