"""Many at once on one bundle: live everywhere or nowhere, whoever is faster, and nobody waits in a circle."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from audits.models import AuditEvent
from rollouts.models import ChangeRequest
from rollouts.services import bundles
from rollouts.services import change_requests as acts
from tests.factories import NOW, SOON, actor_of
from tests.rollouts.support import Bench
from tests.rollouts.test_bundles import _bundle_id, _edit, _submitted
from tests.rollouts.test_races import Crowd

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]

DUELS = 25


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    """Six threads."""
    crowd = Crowd(6)
    yield crowd
    crowd.leave()


def _approve(request: ChangeRequest, person: Any) -> Callable[[], Any]:
    actor, digest = actor_of(person), request.digest
    return lambda: acts.approve_change_request(request.pk, actor=actor, digest=digest, comment="", now=NOW)


def _approve_both(first: ChangeRequest, second: ChangeRequest, person: Any) -> Callable[[], Any]:
    actor, digests = actor_of(person), {first.pk: first.digest, second.pk: second.digest}
    bundle_id = _bundle_id(first)
    return lambda: bundles.approve_bundle(bundle_id, actor=actor, digests=digests, comment="", now=NOW)


def _states(*requests: ChangeRequest) -> tuple[str, ...]:
    rows = dict(ChangeRequest.objects.filter(pk__in=[one.pk for one in requests]).values_list("pk", "state"))
    return tuple(rows[one.pk] for one in requests)


def test_approve__every_member_at_once__all_are_live_once(bench: Bench, crowd: Crowd) -> None:
    world = bench.world

    for number in range(DUELS):
        staging, production = _submitted(bench) if number % 2 else _submitted(bench)[::-1]
        deeds = [_approve(one, person) for one in (staging, production) for person in (world.abel, world.anna)]
        deeds += [_approve_both(staging, production, world.abel), _approve_both(production, staging, world.anna)]
        crowd.run(deeds)
        for one in (staging, production):
            acts.apply_if_due(one.pk, now=NOW)

        assert _states(staging, production) == ("applied", "applied")
        applied = AuditEvent.objects.filter(
            action="change_request.applied", target_id__in=[str(staging.pk), str(production.pk)]
        )
        assert applied.count() == 2


def test_apply_and_end__at_once__all_live_or_all_ended(bench: Bench, crowd: Crowd) -> None:
    world = bench.world
    rolf, abel, rita = actor_of(world.rolf), actor_of(world.abel), actor_of(world.rita)
    outcomes: Counter[tuple[str, ...]] = Counter()

    for number in range(DUELS):
        first, second = _submitted(bench, apply_at=SOON)
        bundles.approve_bundle(
            _bundle_id(first), actor=abel, digests={one.pk: one.digest for one in (first, second)}, comment="", now=NOW
        )
        ended = second if number % 2 else first

        def reject(one: ChangeRequest = ended) -> object:
            return acts.reject_change_request(one.pk, actor=abel, reason="No", now=SOON)

        def withdraw(one: ChangeRequest = ended) -> object:
            return acts.withdraw_change_request(one.pk, actor=rita, reason="", now=SOON)

        def apply(one: ChangeRequest = first) -> object:
            return acts.apply_change_request(one.pk, actor=rolf, now=SOON)

        def sweep(one: ChangeRequest = second) -> object:
            return acts.apply_if_due(one.pk, now=SOON)

        content = _edit(bench, bench.production, 60)

        def edit(one: ChangeRequest = second, content: Any = content) -> object:
            return acts.edit_change_request(one.pk, actor=rita, now=NOW, expected_digest=one.digest, change_set=content)

        rivals = [reject, withdraw, edit][number % 3]
        crowd.run([apply, rivals, sweep] if number % 2 else [rivals, sweep, apply])
        outcomes[_states(first, second)] += 1

    good = {("applied", "applied"), ("rejected", "withdrawn"), ("withdrawn", "rejected"), ("withdrawn", "withdrawn")}
    assert set(outcomes) <= good | {("approved", "in_review")}, outcomes
