"""What this process evaluates is counted by itself: once, every ten seconds, and never in the way of anything."""

import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import DatabaseError
from structlog.testing import capture_logs

from flags import snapshots
from flags.api.metrics import Counted, Meters, Series, meters
from flags.api.unanswered import MOST, Unanswered, unanswered
from flags.models import EvaluationCount, Flag, FlagUse
from flags.services import own_evaluations as service
from flags.services.asked_in_vain import AskedInVain
from flags.services.own_evaluations import EVERY, LONGEST_GAP, OwnEvaluations
from flags.snapshots import following
from flags.telemetry.labels import ALL_AT_ONCE, EVALUATED_HERE
from flags.telemetry.unknown_keys import FURTHER, MOST_KEYS
from tests.factories import NOW
from tests.flags.api.plane import Plane, plane_of_its_own

CONTEXT = {"targetingKey": "MARKER-user"}


@pytest.fixture
def plane(db: Any) -> Iterator[Plane]:
    snapshots.store.reset()
    meters.reset()
    plane = plane_of_its_own()
    snapshots.store.refresh()
    yield plane
    snapshots.store.reset()
    meters.reset()


@pytest.fixture
def own() -> OwnEvaluations:
    return OwnEvaluations(meters.counted)


def counts() -> dict[tuple[Any, ...], int]:
    rows = EvaluationCount.objects.values_list("at", "flag_key", "variant", "reason", "count")
    return {(at, flag, variant, reason): count for at, flag, variant, reason, count in rows}


def state(own: OwnEvaluations) -> tuple[Any, Any]:
    return own._written, own._written_at


def test_write__what_was_served__is_counted_once(plane: Plane, own: OwnEvaluations):
    for _ in range(3):
        plane.post("a-boolean", CONTEXT)
    plane.post("code-default", CONTEXT)
    plane.post("no-such-flag", CONTEXT)

    own.write_if_due(snapshots.store, NOW)
    plane.post("a-boolean", CONTEXT)
    own.write_if_due(snapshots.store, NOW + EVERY / 2)
    own.write_if_due(snapshots.store, NOW + EVERY)
    own.write_if_due(snapshots.store, NOW + 2 * EVERY)

    assert counts() == {(NOW, "a-boolean", "on", "STATIC"): 4, (NOW, "code-default", "", "DEFAULT"): 1}
    row = EvaluationCount.objects.filter(flag_key="a-boolean").get()
    assert (row.environment_id, row.service, row.version) == (plane.environment.pk, EVALUATED_HERE, "")


def test_write__bulk__counts_every_flag_under_a_name_of_its_own(plane: Plane, own: OwnEvaluations):
    plane.post(None, CONTEXT)
    plane.post("a-boolean", CONTEXT)
    plane.post("a-boolean", CONTEXT)

    own.write_if_due(snapshots.store, NOW)
    own.write_if_due(snapshots.store, NOW + EVERY)

    rows = EvaluationCount.objects.filter(flag_key="a-boolean").values_list("service", "version", "count")
    assert sorted(rows) == [(ALL_AT_ONCE, "", 1), (EVALUATED_HERE, "", 2)]
    assert sum(EvaluationCount.objects.filter(service=ALL_AT_ONCE).values_list("count", flat=True)) == 10
    uses = FlagUse.objects.values_list("service", "flag_key")
    assert len(uses) == 11
    assert uses.filter(service=EVALUATED_HERE).get() == (EVALUATED_HERE, "a-boolean")


def test_write__database_fails__is_made_up_for(plane: Plane, own: OwnEvaluations, monkeypatch: pytest.MonkeyPatch):
    def fail(rows: Any) -> None:
        raise DatabaseError("MARKER")

    plane.post("a-boolean", CONTEXT)
    with monkeypatch.context() as patch, capture_logs() as logs:
        patch.setattr(service, "add_evaluations", fail)
        own.write_if_due(snapshots.store, NOW)
    own.write_if_due(snapshots.store, NOW + EVERY)

    assert list(counts().values()) == [1]
    assert "MARKER" not in repr(logs)
    assert [log["event"] for log in logs] == ["own_evaluations_not_written"]


def test_write__nothing_for_long__begins_anew(plane: Plane, own: OwnEvaluations):
    own.write_if_due(snapshots.store, NOW)
    plane.post("a-boolean", CONTEXT)
    later = NOW + LONGEST_GAP + timedelta(seconds=1)
    own.write_if_due(snapshots.store, later)
    assert counts() == {}

    plane.post("a-boolean", CONTEXT)
    own.write_if_due(snapshots.store, later + EVERY)
    assert list(counts().values()) == [1]


def test_write__clock_is_set_back__goes_on(plane: Plane, own: OwnEvaluations):
    own.write_if_due(snapshots.store, NOW)
    plane.post("a-boolean", CONTEXT)

    own.write_if_due(snapshots.store, NOW - timedelta(hours=1))

    assert list(counts().values()) == [1]


def test_forked_child__counts_from_zero():
    own = OwnEvaluations(Meters().counted)
    own._written, own._written_at = {Counted(Series("shop", "production", "f", "on", "STATIC"), False): 7}, NOW

    pid = os.fork()
    if pid == 0:
        os._exit(0 if state(own) == ({}, None) else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_polling__every_look__is_followed():
    assert [one for one in following._followers if isinstance(getattr(one, "__self__", None), OwnEvaluations)]


def test_asked_in_vain__flag_of_the_project_that_is_not_served__is_kept_as_unknown(plane: Plane):
    Flag.objects.create(
        project=plane.environment.project, key="gone", name="Gone", kind="release", value_type="boolean", created_at=NOW
    )
    writer = AskedInVain(unanswered.take)
    unanswered.forget()
    plane.post("a-boolean", CONTEXT)
    plane.post("MARKER-person", CONTEXT)
    plane.post("gone", CONTEXT)

    writer.write_if_due(snapshots.store, NOW)

    use = FlagUse.objects.get()
    assert (use.flag_key, use.service, use.is_unknown, use.last_at) == ("gone", EVALUATED_HERE, True, NOW)
    plane.post("gone", CONTEXT)
    writer.write_if_due(snapshots.store, NOW + timedelta(seconds=59))
    assert FlagUse.objects.get().last_at == NOW
    writer.write_if_due(snapshots.store, NOW + timedelta(seconds=60))
    assert FlagUse.objects.get().last_at == NOW + timedelta(seconds=60)


def test_asked_in_vain__more_keys_than_fit__are_counted_together():
    noted, place = Unanswered(), uuid4()
    for number in range(MOST + 5):
        noted.note(place, f"beta-{number}")

    taken = noted.take()[place]
    assert len(taken) == MOST + 1
    assert taken[FURTHER].count == 5
    assert sum(each.count for each in taken.values()) == MOST + 5
    assert {each.key for each in taken.values()} == {FURTHER, *(f"beta-{number}" for number in range(MOST_KEYS))}
    assert not noted.take()
