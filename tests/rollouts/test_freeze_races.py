"""A freeze that is committed before an apply holds it back; one that comes later does not touch it."""

from functools import partial
from uuid import UUID

import pytest

from audits.models import AuditEvent
from flags.models import Flag
from flags.services.tickets import governed_write
from rollouts.errors import Frozen
from tests.factories import SOON
from tests.rollouts.calendars import HOUR, document, set_window_as
from tests.rollouts.support import Bench
from tests.rollouts.test_races import Crowd

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]
ROUNDS = 12


def test_freeze__added_while_a_change_is_applied__is_before_it_or_after_it(bench: Bench) -> None:
    crowd, outcomes = Crowd(2), []
    try:
        for number in range(ROUNDS):
            # A tag of its own, so that the freezes of earlier rounds are about other flags.
            with governed_write(bench.flag.project_id):
                Flag.objects.filter(pk=bench.flag.pk).update(tags=[f"round-{number}"])
            request = bench.approved(apply_at=SOON)
            wanted = document(SOON, SOON + HOUR, title=f"Freeze {number}", tags=[f"round-{number}"])
            apply = partial(bench.apply, request, now=SOON)
            add = partial(set_window_as, bench.world, bench.world.ada, wanted)
            results = crowd.run([apply, add] if number % 2 else [add, apply])
            refused = [result for result in results if isinstance(result, Exception)]
            assert all(isinstance(result, Frozen) for result in refused)
            outcomes.append(_outcome(request.pk, f"Freeze {number}"))
            assert bool(refused) is (outcomes[-1] == "held back")
    finally:
        crowd.leave()

    assert set(outcomes) <= {"applied first", "held back"}


def _outcome(request_id: UUID, title: str) -> str:
    """Who was first, by the chain of events, which has one order."""
    added = AuditEvent.objects.get(action="calendar_window.added", target_label=title).sequence
    applied = AuditEvent.objects.filter(action="change_request.applied", target_id=str(request_id)).first()
    if applied is None:
        return "held back"
    return "applied first" if applied.sequence < added else "applied although it was frozen"
