"""Whoever asked for a change or shaped it never approves it, whatever they are or become."""

from collections.abc import Callable
from typing import Any

import pytest

from flags.changes import ChangeSet
from flags.errors import PermissionMissing
from flags.permissions import Role
from rollouts.errors import ApprovalRefused
from rollouts.models import Approval, ChangeRequest
from rollouts.services import change_requests as acts
from rollouts.transitions import RequestState
from tests.factories import NOW, SOON, actor_of, make_person
from tests.rollouts.support import Bench, state_of


def _requester_became_approver(bench: Bench) -> tuple[ChangeRequest, Any]:
    request = bench.submitted()
    bench.world.grant(bench.world.rita, bench.production, Role.EDITOR, Role.APPROVER)
    return request, bench.world.rita


def _requester_is_superuser(bench: Bench) -> tuple[ChangeRequest, Any]:
    boss = make_person("boss", is_superuser=True)
    bench.world.grant(boss, bench.production, *Role)
    return bench.submitted(by=boss), boss


def _last_editor(bench: Bench) -> tuple[ChangeRequest, Any]:
    bench.world.grant(bench.world.abel, bench.production, Role.EDITOR, Role.APPROVER)
    return bench.edit(bench.submitted(), by=bench.world.abel), bench.world.abel


def _earlier_editor(bench: Bench) -> tuple[ChangeRequest, Any]:
    request, editor = _last_editor(bench)
    return bench.edit(request, by=bench.world.rita), editor


def _requester_is_named(bench: Bench) -> tuple[ChangeRequest, Any]:
    bench.world.grant(bench.world.rita, bench.production, Role.EDITOR, Role.APPROVER)
    bench.require(1, bench.world.rita, bench.world.abel)
    return bench.submitted(), bench.world.rita


def _requester_renamed(bench: Bench) -> tuple[ChangeRequest, Any]:
    request, rita = _requester_became_approver(bench)
    rita.username, rita.first_name, rita.last_name, rita.email = "abel", "Abel", "Test", "abel@example.test"
    rita.save()
    return request, rita


def _two_roles_at_once(bench: Bench) -> tuple[ChangeRequest, Any]:
    bench.world.grant(bench.world.rita, bench.production, Role.EDITOR, Role.APPROVER, Role.RELEASE_MANAGER)
    return bench.submitted(), bench.world.rita


def _chose_the_time(bench: Bench) -> tuple[ChangeRequest, Any]:
    bench.world.grant(bench.world.rolf, bench.production, Role.RELEASE_MANAGER, Role.APPROVER)
    return bench.schedule(bench.submitted(), SOON, by=bench.world.rolf), bench.world.rolf


def _submitted_for_somebody_else(bench: Bench) -> tuple[ChangeRequest, Any]:
    bench.world.grant(bench.world.abel, bench.production, Role.EDITOR, Role.APPROVER)
    return bench.submit(bench.draft(), by=bench.world.abel), bench.world.abel


WAYS: list[Callable[[Bench], tuple[ChangeRequest, Any]]] = [
    _requester_became_approver,
    _requester_is_superuser,
    _last_editor,
    _earlier_editor,
    _requester_is_named,
    _requester_renamed,
    _two_roles_at_once,
    _chose_the_time,
    _submitted_for_somebody_else,
]


@pytest.mark.parametrize("way", WAYS)
def test_approve__own_work__is_refused(bench: Bench, way: Callable[[Bench], tuple[ChangeRequest, Any]]) -> None:
    request, person = way(bench)

    with pytest.raises(ApprovalRefused, match="somebody else has to approve it"):
        bench.approve(request, by=person)

    assert state_of(request) is RequestState.IN_REVIEW
    assert not Approval.objects.exists()
    assert bench.version() == 1


def test_approve__superuser_without_a_grant__is_refused(bench: Bench) -> None:
    request = bench.submitted()

    with pytest.raises(PermissionMissing):
        bench.approve(request, by=bench.world.ada)


def test_approve__same_person_twice__counts_once(bench: Bench) -> None:
    bench.require(2)
    request = bench.approve(bench.submitted())

    with pytest.raises(ApprovalRefused, match="You approved this content already"):
        bench.approve(request)

    assert state_of(request) is RequestState.IN_REVIEW
    assert Approval.objects.count() == 1


def test_approve__in_another_environment__does_not_count_as_role(bench: Bench) -> None:
    person = make_person("stagehand")
    bench.world.grant(person, bench.world.staging, Role.APPROVER)

    with pytest.raises(PermissionMissing):
        bench.approve(bench.submitted(), by=person)


def test_approver_who_edits_afterwards__approval_stops_counting(bench: Bench) -> None:
    bench.world.grant(bench.world.abel, bench.production, Role.EDITOR, Role.APPROVER)
    bench.require(2)
    first = bench.content(40)
    request = bench.approve(bench.submitted(change_set=first))
    bench.edit(request, by=bench.world.abel)
    bench.edit(request, by=bench.world.rita, change_set=first)

    done = bench.approve(request, by=bench.world.anna)

    assert done.current_state is RequestState.IN_REVIEW
    assert bench.version() == 1


def test_approve__unprotected_environment__goes_by_the_same_rules(bench: Bench) -> None:
    staging, rita = bench.world.staging, bench.world.rita
    content = bench.content(30, base=1)
    request = acts.create_change_request(
        staging.pk,
        actor=actor_of(rita),
        title="In staging",
        reason="To be seen first",
        change_set=ChangeSet(str(staging.pk), content.edits),
        apply_at=None,
        now=NOW,
    )
    bench.submit(request)
    bench.world.grant(rita, staging, Role.EDITOR, Role.APPROVER)

    with pytest.raises(ApprovalRefused):
        bench.approve(request, by=rita)
    assert bench.approve(request).current_state is RequestState.APPLIED
