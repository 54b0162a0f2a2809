"""Many writers at once: no event lost, no number left out, one chain that verifies."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connections

from audits.chains import verify_chain
from audits.models import AuditActor, AuditEvent
from tests.audits.trails import BACKOFFICE, CHAIN, note, person


def write_at_once(threads: int, events: int, projects: tuple[str, ...] = ("storefront",)) -> None:
    """Let threads begin at the same moment, also with the chain itself, and write events one transaction each."""
    barrier = Barrier(threads)

    def work(number: int) -> None:
        try:
            barrier.wait(timeout=30)
            for event in range(events):
                note(
                    project=projects[(number + event) % len(projects)],
                    actor=person(f"actor-{number % 3}", f"Actor {number % 3}"),
                    reason=f"{number}/{event}",
                )
        finally:
            connections.close_all()

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))


def assert_whole(chain: str, count: int) -> None:
    assert list(AuditEvent.objects.filter(chain=chain).order_by("sequence").values_list("sequence", flat=True)) == list(
        range(1, count + 1)
    )
    assert verify_chain(chain).bad is None


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_record__sixteen_threads_on_postgresql__lose_nothing():
    write_at_once(16, 20)

    assert_whole(CHAIN, 320)
    assert AuditEvent.objects.values("reason").distinct().count() == 320
    assert AuditActor.objects.count() == 3


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_record__two_chains_at_once_on_postgresql__each_stays_whole():
    write_at_once(16, 20, ("storefront", "backoffice"))

    assert_whole(CHAIN, 160)
    assert_whole(str(BACKOFFICE), 160)


@pytest.mark.sqlite
@pytest.mark.django_db(transaction=True)
def test_record__eight_threads_on_sqlite__lose_nothing():
    write_at_once(8, 20)

    assert_whole(CHAIN, 160)
    assert AuditEvent.objects.values("reason").distinct().count() == 160


@pytest.mark.django_db(transaction=True)
def test_verify__while_others_write__is_not_disturbed():
    note()
    verdicts = []
    barrier = Barrier(2)

    def write() -> None:
        try:
            barrier.wait(timeout=30)
            for _ in range(40):
                note()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        barrier.wait(timeout=30)
        while not writing.done():
            verdicts.append(verify_chain(CHAIN).bad)
        writing.result()

    assert verdicts
    assert set(verdicts) == {None}
