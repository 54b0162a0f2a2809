"""The facts a verdict is made from, read now."""

from django.contrib.auth.models import AbstractUser

from flags import permissions
from flags.models import Environment
from rollouts.models import Approval, ApprovalPolicy, ChangeRequest
from rollouts.policies import Approver, Case, GivenApproval, Policy, Verdict, judge


def policy_of(environment: Environment) -> Policy:
    """The approval policy in force in an environment; the default where nobody set one."""
    row = ApprovalPolicy.objects.filter(environment=environment).first()
    return row.as_policy() if row else Policy()


def case_of(request: ChangeRequest) -> Case:
    """What the verdict on `request` depends on: three queries. The request needs its environment loaded."""
    approvals = Approval.objects.filter(request=request).select_related("approver")
    return Case(
        requester_id=str(request.requester_id),
        contributor_ids=request.contributor_ids,
        digest=request.digest,
        policy=policy_of(request.environment),
        submitted_policy=request.submitted_policy,
        role_holders=role_holders(request.environment),
        approvals=tuple(
            GivenApproval(str(approval.approver_id), name_of(approval.approver), approval.digest)
            for approval in approvals
        ),
    )


def verdict_of(request: ChangeRequest) -> Verdict:
    """The verdict on `request` as things stand now."""
    return judge(case_of(request))


def role_holders(environment: Environment) -> tuple[Approver, ...]:
    """Active people with the role approver in the environment, by name."""
    people = permissions.people_with(environment, permissions.APPROVE)
    return tuple(Approver(str(person.pk), name_of(person)) for person in people)


def name_of(person: AbstractUser) -> str:
    """What a person is called."""
    return person.get_full_name() or person.get_username()
