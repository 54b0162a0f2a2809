"""Many at once: one wins, nothing happens twice, and nobody sees a database error.

Real threads with connections of their own, on whichever engine this run uses. Row locks exist on PostgreSQL only; on
SQLite it is the conditional UPDATE inside serial transactions that decides.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from django.db import connection

from audits.errors import GovernanceError
from audits.models import AuditEvent
from flags.changes import ChangeSet
from flags.models import Environment
from flags.permissions import Role
from flags.services.roles import set_roles
from rollouts.errors import ApprovalMissing, DigestMismatch, InvalidTransition
from rollouts.models import Approval, ChangeRequest
from rollouts.selectors import verdict_of
from rollouts.services import change_requests as acts
from rollouts.transitions import RequestState
from tests.factories import NOW, SOON, actor_of, make_person
from tests.rollouts.support import Bench

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS, DUELS = 100, 30


class Crowd:
    """Threads that wait for each other at the start line; each keeps its connection from round to round."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._pool = ThreadPoolExecutor(size)

    def run(self, deeds: Sequence[Callable[[], Any]]) -> list[Any]:
        """Do all deeds at the same moment; a GovernanceError is a result, anything else breaks the test."""
        line = threading.Barrier(len(deeds))

        def start(deed: Callable[[], Any]) -> Any:
            line.wait(timeout=60)
            try:
                return deed()
            except GovernanceError as refused:
                return refused

        return list(self._pool.map(start, deeds))

    def leave(self) -> None:
        """Close every thread's connection."""
        self.run([lambda: connection.close()] * self.size)
        self._pool.shutdown()


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    """50 threads on PostgreSQL, 8 on SQLite."""
    crowd = Crowd(50 if connection.vendor == "postgresql" else 8)
    yield crowd
    crowd.leave()


def _events(request: ChangeRequest) -> Counter[str]:
    actions = AuditEvent.objects.filter(target_id=str(request.pk)).values_list("action", flat=True)
    return Counter(action.removeprefix("change_request.") for action in actions)


def _assert_applied_once(bench: Bench, request: ChangeRequest, version: int) -> None:
    row = ChangeRequest.objects.get(pk=request.pk)
    assert row.current_state is RequestState.APPLIED
    assert _events(row)["applied"] == 1
    assert _events(row)["apply_refused"] == 0
    assert bench.version() == version
    assert bench.flag.configs.get(environment=bench.production).history.count() == version


def test_approve_and_apply__everybody_at_once__happens_once(bench: Bench, crowd: Crowd) -> None:
    approvers = [make_person(f"approver{number}") for number in range(10)]
    for person in approvers:
        bench.world.grant(person, bench.production, Role.APPROVER)
    version = bench.version()

    for number in range(ROUNDS):
        version += 1
        if number % 2:
            request = bench.approved(apply_at=SOON)
            results = crowd.run([_apply(bench, request, by_rule=index % 5 == 0) for index in range(crowd.size)])
            winners = [result for result in results if result is True or isinstance(result, ChangeRequest)]
            losers = [result for result in results if result not in winners]
            assert len(winners) == 1
            assert {type(loser) for loser in losers} <= {InvalidTransition, bool}, losers
        else:
            request = bench.submitted()
            crowd.run([_approve(request, approvers[index % 10]) for index in range(crowd.size)])
            assert Approval.objects.filter(request=request).count() == _events(request)["approved"] >= 1
        _assert_applied_once(bench, request, version)


def _apply(bench: Bench, request: ChangeRequest, *, by_rule: bool) -> Callable[[], Any]:
    if by_rule:
        return lambda: acts.apply_if_due(request.pk, now=SOON)
    actor = actor_of(bench.world.rolf)
    return lambda: acts.apply_change_request(request.pk, actor=actor, now=SOON)


def _approve(request: ChangeRequest, person: Any) -> Callable[[], Any]:
    actor, digest = actor_of(person), request.digest
    return lambda: acts.approve_change_request(request.pk, actor=actor, digest=digest, comment="", now=NOW)


def _edit(bench: Bench, request: ChangeRequest) -> Callable[[], Any]:
    actor, content, digest = actor_of(bench.world.rita), bench.content(), request.digest
    return lambda: acts.edit_change_request(
        request.pk, actor=actor, now=NOW, expected_digest=digest, change_set=content
    )


def test_revoke_and_apply__at_once__never_applied_after_the_revoke(bench: Bench, crowd: Crowd) -> None:
    ada, abel = actor_of(bench.world.ada), bench.world.abel
    outcomes: Counter[str] = Counter()

    def revoke() -> object:
        return set_roles(abel.pk, bench.production.pk, roles=[Role.VIEWER], actor=ada, now=NOW, reason="Left the team")

    for number in range(DUELS):
        bench.world.grant(abel, bench.production, Role.APPROVER)
        request = bench.approved(apply_at=SOON)
        before = AuditEvent.objects.latest("sequence").sequence
        apply = _apply(bench, request, by_rule=bool(number % 2))
        results = crowd.run([revoke, apply] if number % 3 else [apply, revoke])
        outcomes[_order_of_events(request, before)] += 1
        assert not [one for one in results if isinstance(one, GovernanceError) and not isinstance(one, ApprovalMissing)]

    assert set(outcomes) <= {"applied, revoked", "revoked, refused"}


def _order_of_events(request: ChangeRequest, before: int) -> str:
    """The chain numbers acts in the order in which they were committed."""
    words = {
        "role.changed": "revoked",
        "change_request.applied": "applied",
        "change_request.apply_refused": "refused",
    }
    events = AuditEvent.objects.filter(chain=str(request.project_id), sequence__gt=before, action__in=words)
    return ", ".join(words[event.action] for event in events.order_by("sequence"))


def test_edit_and_approve__at_once__approval_never_covers_other_content(bench: Bench, crowd: Crowd) -> None:
    for _ in range(DUELS):
        request = bench.submitted(apply_at=SOON)
        results = crowd.run([_approve(request, bench.world.abel), _edit(bench, request)])
        row = ChangeRequest.objects.get(pk=request.pk)
        assert row.current_state is RequestState.IN_REVIEW
        assert verdict_of(row).counted == ()
        assert not isinstance(results[1], GovernanceError)
        assert isinstance(results[0], ChangeRequest | DigestMismatch)


def test_two_requests_for_one_flag__applied_at_once__one_wins_and_the_other_is_blocked(
    bench: Bench, crowd: Crowd
) -> None:
    for number in range(DUELS // 2):
        version = bench.version()
        pair = [bench.approved(change_set=bench.content(share), apply_at=SOON) for share in (20, 30)]

        crowd.run([_apply(bench, request, by_rule=number % 2 == 0) for request in pair])

        rows = [ChangeRequest.objects.get(pk=request.pk) for request in pair]
        assert sorted(row.state for row in rows) == ["applied", "approved"]
        assert [row.blocked_code for row in rows if row.state == "approved"] == ["stale_change"]
        assert bench.version() == version + 1


def test_create__many_at_once_in_two_environments__numbers_have_no_gap_and_no_twin(bench: Bench, crowd: Crowd) -> None:
    rita = actor_of(bench.world.rita)
    edits = bench.content(20).edits

    def create(environment: Environment) -> ChangeRequest:
        content = ChangeSet(str(environment.pk), edits)
        return acts.create_change_request(
            environment.pk, actor=rita, title="Together", reason="", change_set=content, apply_at=None, now=NOW
        )

    places = [(bench.production, bench.world.staging)[index % 2] for index in range(crowd.size)]
    results = crowd.run([partial(create, place) for place in places])

    assert sorted(request.number for request in results) == list(range(1, crowd.size + 1))
