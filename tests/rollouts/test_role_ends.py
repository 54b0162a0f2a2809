"""A role with an end gives nothing from that instant on, at every door, whether or not a sweeper has run."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from audits.errors import GovernanceError
from audits.models import AuditEvent
from flags import permissions
from flags.errors import PermissionMissing
from flags.models import RoleGrant
from flags.permissions import Role
from flags.services.configs import edit_config
from flags.services.roles import end_role_if_due, give_role
from rollouts.errors import ApprovalRefused
from rollouts.selectors import verdict_of, visible_requests, waiting_for
from rollouts.services.change_requests import apply_if_due, reject_change_request
from rollouts.tasks import end_roles
from rollouts.transitions import RequestState
from tests.factories import NOW, SOON, actor_of, percent_document
from tests.rollouts.support import Bench, state_of
from tests.support.admin import signed_in

END = NOW + timedelta(days=1)
# From before the check of the right to after the commit, also on a busy machine.
PAUSES = (0.0, 0.01, 0.03, 0.08, 0.2, 0.8)
REFUSALS = (PermissionMissing, ApprovalRefused)


class Clock:
    """The machine's clock, standing at NOW until a test moves it."""

    instant = NOW

    def __call__(self) -> datetime:
        return self.instant


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timezone, "now", clock)
    return clock


def give(bench: Bench, person: Any, role: Role, *, ends_at: datetime = END, environment: Any = None) -> RoleGrant:
    return give_role(
        person.pk,
        (environment or bench.production).pk,
        role=role,
        ends_at=ends_at,
        actor=actor_of(bench.world.ada),
        now=NOW,
        reason="Holiday cover",
    )


def approve(bench: Bench, person: Any) -> Callable[[], Any]:
    request = bench.submitted()
    return lambda: bench.approve(request, by=person)


def reject(bench: Bench, person: Any) -> Callable[[], Any]:
    request = bench.submitted()
    return lambda: reject_change_request(request.pk, actor=actor_of(person), reason="No", now=NOW)


def apply(bench: Bench, person: Any) -> Callable[[], Any]:
    request = bench.approved(apply_at=SOON)
    return lambda: bench.apply(request, by=person, now=SOON)


def propose(bench: Bench, person: Any) -> Callable[[], Any]:
    return lambda: bench.draft(by=person)


def edit_directly(bench: Bench, person: Any) -> Callable[[], Any]:
    give(bench, person, Role.EDITOR, environment=bench.world.staging)
    return lambda: edit_config(
        bench.flag.pk,
        bench.world.staging.pk,
        actor=actor_of(person),
        document=percent_document(bench.flag.key, 7),
        base_version=1,
        reason="Try",
        now=NOW,
    )


def administer(bench: Bench, person: Any) -> Callable[[], Any]:
    return lambda: give_role(
        bench.world.vera.pk,
        bench.production.pk,
        role=Role.EDITOR,
        ends_at=None,
        actor=actor_of(person),
        now=NOW,
        reason="Try",
    )


DOORS = {
    approve: Role.APPROVER,
    reject: Role.APPROVER,
    apply: Role.RELEASE_MANAGER,
    propose: Role.EDITOR,
    edit_directly: Role.EDITOR,
    administer: Role.ADMINISTRATOR,
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("moment", [END - timedelta(microseconds=1), END, END + timedelta(days=400)])
def test_door__before_and_after_the_end__opens_and_is_shut(
    bench: Bench, clock: Clock, door: Callable[..., Any], moment: datetime
) -> None:
    person = bench.world.otto
    give(bench, person, DOORS[door])
    act = door(bench, person)
    clock.instant = moment

    if moment < END:
        act()
    else:
        with pytest.raises(REFUSALS):
            act()


def test_seeing__after_the_end__is_nothing(bench: Bench, clock: Clock) -> None:
    person, request = bench.world.otto, bench.submitted()
    give(bench, person, Role.APPROVER)
    page = reverse("admin:rollouts_changerequest_change", args=[request.pk])
    client = signed_in(person)
    assert client.get(page).status_code == 200
    assert waiting_for(person, now=NOW) == [request]

    clock.instant = END
    client = signed_in(person)

    assert client.get(page).status_code == 404
    assert client.get(reverse("admin:flags_flag_change", args=[bench.flag.pk])).status_code == 404
    assert not waiting_for(person, now=END)
    assert not visible_requests(person).exists()
    assert not permissions.visible_projects(person).exists()


def test_approval__of_somebody_whose_role_ended__counts_no_more_when_it_is_applied(bench: Bench, clock: Clock) -> None:
    give(bench, bench.world.otto, Role.APPROVER)
    request = bench.submitted(apply_at=END + timedelta(days=1))
    bench.approve(request, by=bench.world.otto)
    assert state_of(request) is RequestState.APPROVED

    clock.instant = END + timedelta(days=1)

    assert not apply_if_due(request.pk, now=clock.instant)
    request.refresh_from_db()
    assert request.blocked_code == "approval_missing"
    assert not verdict_of(request).is_satisfied


def test_sweeper__ended_roles__says_once_that_they_ended(bench: Bench, clock: Clock) -> None:
    give(bench, bench.world.otto, Role.APPROVER)
    give(bench, bench.world.vera, Role.EDITOR, ends_at=END + timedelta(days=9))
    clock.instant = END

    assert [end_roles(), end_roles()] == [1, 0]

    [event] = AuditEvent.objects.filter(action="role.ended")
    assert (event.target_id, event.environment_key) == (str(bench.world.otto.pk), "production")
    clock.instant = NOW
    assert not permissions.roles_of(bench.world.otto, bench.production)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_end_against_apply__at_the_same_moment__nothing_is_applied_after_the_end(bench: Bench, clock: Clock) -> None:
    person, outcomes = bench.world.otto, set()
    line = threading.Barrier(2)

    def apply_it(request: Any) -> str:
        try:
            line.wait(timeout=30)
            bench.apply(request, by=person, now=SOON)
            return "applied"
        except GovernanceError:
            return "refused"
        finally:
            connection.close()

    def end_it(grant: RoleGrant, pause: float) -> None:
        try:
            line.wait(timeout=30)
            threading.Event().wait(pause)
            clock.instant = END
            assert end_role_if_due(grant.pk, now=END)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        for number in range(18):
            clock.instant = NOW
            grant, request = give(bench, person, Role.RELEASE_MANAGER), bench.approved(apply_at=SOON)
            applying = pool.submit(apply_it, request)
            pool.submit(end_it, grant, PAUSES[number % 6]).result()
            outcomes.add(applying.result())
            ended = AuditEvent.objects.filter(action="role.ended").latest("sequence")
            applied = AuditEvent.objects.filter(action="change_request.applied", target_id=str(request.pk)).first()
            assert applied is None or applied.sequence < ended.sequence

    assert outcomes == {"applied", "refused"}
