"""Setting an approval policy."""

import uuid
from typing import Any

import pytest

from audits.models import AuditEvent
from flags.errors import InvalidInput, PermissionMissing
from flags.permissions import Role
from flags.settings_authority import SecondPersonNeeded
from rollouts.models import ApprovalPolicy
from rollouts.policies import Policy
from rollouts.selectors import policy_of
from rollouts.services.policies import is_looser, set_approval_policy
from tests.factories import NOW, actor_of
from tests.rollouts.support import Bench


def _set(bench: Bench, *, by: Any = None, **fields: Any) -> ApprovalPolicy:
    wanted = {"required_approvals": 1, "named_approvers": [], "expires_after_hours": 336, "reason": "Agreed", **fields}
    return set_approval_policy(bench.production.pk, actor=actor_of(by or bench.world.ada), now=NOW, **wanted)


def test_set__new_rule__is_in_force_and_in_the_trail(bench: Bench) -> None:
    abel = bench.world.abel
    row = _set(bench, required_approvals=1, named_approvers=[abel.pk, str(abel.pk)], expires_after_hours=48)

    assert row.named_approvers == [str(abel.pk)]
    assert policy_of(bench.production) == row.as_policy()
    event = AuditEvent.objects.get(action="approval_policy.changed")
    assert (event.environment_key, event.reason) == ("production", "Agreed")
    assert event.details["from"] == {"required_approvals": 1, "named_approvers": None, "expires_after_hours": 336}
    assert event.details["to"] == {
        "required_approvals": 1,
        "named_approvers": [str(abel.pk)],
        "expires_after_hours": 48,
    }


def test_set__same_rule_again__records_nothing(bench: Bench) -> None:
    for _ in range(3):
        _set(bench, required_approvals=2)

    assert ApprovalPolicy.objects.count() == 1
    assert AuditEvent.objects.filter(action="approval_policy.changed").count() == 1


@pytest.mark.parametrize("name", ["rita", "abel", "rolf", "vera", "otto"])
def test_set__without_the_role_administrator__is_refused(bench: Bench, name: str) -> None:
    with pytest.raises(PermissionMissing):
        _set(bench, by=getattr(bench.world, name), required_approvals=2)

    assert not ApprovalPolicy.objects.exists()


def test_set__administrator_of_the_environment__may(bench: Bench) -> None:
    bench.world.grant(bench.world.otto, bench.production, Role.ADMINISTRATOR)

    assert _set(bench, by=bench.world.otto, required_approvals=2).required_approvals == 2


@pytest.mark.parametrize(
    "fields",
    [
        {"required_approvals": 0},
        {"required_approvals": -1},
        {"required_approvals": 11},
        {"required_approvals": True},
        {"required_approvals": 1.5},
        {"required_approvals": "2"},
        {"expires_after_hours": 0},
        {"expires_after_hours": 10**9},
        {"named_approvers": [str(uuid.uuid4())]},
        {"named_approvers": ["nobody"]},
        {"reason": " "},
        {"reason": "x" * 4001},
    ],
)
def test_set__unusable_value__is_refused(bench: Bench, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        _set(bench, **fields)

    assert not ApprovalPolicy.objects.exists()


@pytest.mark.parametrize("name", ["rita", "vera", "ada"])
def test_set__named_person_is_no_approver__is_refused(bench: Bench, name: str) -> None:
    with pytest.raises(InvalidInput, match="role approver"):
        _set(bench, named_approvers=[getattr(bench.world, name).pk])


def test_set__fewer_named_than_required__is_refused(bench: Bench) -> None:
    with pytest.raises(InvalidInput, match="only 1 named"):
        _set(bench, required_approvals=2, named_approvers=[bench.world.abel.pk])


SCALE = Policy(2, frozenset({"a", "b"}), 48)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (SCALE, False),
        (Policy(3, frozenset({"a", "b"}), 48), False),
        (Policy(2, frozenset({"a"}), 48), False),
        (Policy(2, frozenset({"a", "b"}), 24), False),
        (Policy(3, frozenset({"b"}), 1), False),
        (Policy(1, frozenset({"a", "b"}), 48), True),
        (Policy(2, None, 48), True),
        (Policy(2, frozenset({"a", "c"}), 48), True),
        (Policy(2, frozenset({"a", "b", "c"}), 48), True),
        (Policy(2, frozenset({"a", "b"}), 49), True),
        (Policy(9, frozenset({"c"}), 1), True),
    ],
)
def test_is_looser__every_respect__counts_alone(after: Policy, expected: bool) -> None:
    assert is_looser(SCALE, after) is expected
    assert not is_looser(Policy(2, None, 48), SCALE)


def test_set__one_person_loosens_it__is_refused_in_a_protected_environment(bench: Bench) -> None:
    _set(bench, required_approvals=2)

    with pytest.raises(SecondPersonNeeded):
        _set(bench, required_approvals=1)
    assert policy_of(bench.production).required_approvals == 2

    bench.require(1)
    assert policy_of(bench.production).required_approvals == 1


def test_set__one_person_loosens_an_open_environment__may(bench: Bench) -> None:
    development = bench.world.development
    for required in (3, 1):
        set_approval_policy(
            development.pk,
            actor=actor_of(bench.world.ada),
            required_approvals=required,
            named_approvers=[],
            expires_after_hours=336,
            now=NOW,
            reason="Nothing depends on it",
        )
    assert policy_of(development).required_approvals == 1
