"""Sampled contexts: from a request to the table, the switch that begins and ends it, and what is never kept."""

import io
import json
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connections, transaction
from structlog.testing import capture_logs

from audits.models import AuditEvent
from flags import snapshots
from flags.api import door, ofrep
from flags.authority import ProtectedEnvironment
from flags.errors import InvalidInput, PermissionMissing
from flags.models import ContextSample, Environment
from flags.permissions import Role
from flags.sampling import FLUSHED_EVERY, Reservoirs, environment_key, hashed, reservoirs
from flags.services import samples as service
from flags.services.attributes import declare_attribute
from flags.services.samples import KEPT_FOR, forget_old_samples, gather_samples, set_context_sampling
from flags.services.tickets import governed_write
from flags.settings_authority import SecondPersonNeeded
from flags.snapshots import following
from tests.factories import NOW, actor_of
from tests.flags.api.plane import Plane, plane_of_its_own
from tests.support.agreed import agreed

CONTEXT = {"targetingKey": "MARKER-7", "country": "DE", "mail": "MARKER@example.com"}
LATER = NOW + FLUSHED_EVERY
SECRET_KEY = "a secret of this test"


@pytest.fixture(autouse=True)
def _own_state(settings: Any) -> Iterator[None]:
    settings.SECRET_KEY = SECRET_KEY
    snapshots.store.reset()
    reservoirs.reset()
    yield
    snapshots.store.reset()
    reservoirs.reset()


@pytest.fixture
def plane(db: Any) -> Plane:
    plane = plane_of_its_own()
    declare_attribute(
        plane.world.project.pk, actor=actor_of(plane.world.ada), name="country", value_type="text", now=NOW
    )
    return plane


def switch(plane: Plane, *, is_on: bool = True, who: Any = None, environment: Any = None, **fields: Any) -> Environment:
    environment = environment or plane.environment
    fields = {"reason": "Count over real people", **fields}
    if environment.is_protected and is_on and "authority" not in fields:
        fields["authority"] = agreed(
            environment,
            "context_sampling",
            {"samples_contexts": False},
            {"samples_contexts": True},
            by=plane.world.ada,
            confirmed_by=plane.world.otto,
        )
    actor = actor_of(who or plane.world.ada)
    changed = set_context_sampling(environment.pk, actor=actor, is_on=is_on, now=NOW, **fields)
    snapshots.store.refresh()
    return changed


def sampling(plane: Plane, now: datetime = NOW) -> Plane:
    """Sampling is on, and the reservoir open."""
    switch(plane)
    gather_samples(snapshots.store, now)
    return plane


def rows(plane: Plane) -> list[tuple[str, Any]]:
    return list(ContextSample.objects.values_list("key_hash", "attributes"))


def own_hash(plane: Plane, key: str = "MARKER-7") -> str:
    return hashed(key, environment_key(SECRET_KEY, str(plane.environment.pk)))


def through_django(plane: Plane, key: str | None) -> int:
    return int(plane.post(key, CONTEXT).status_code)


def through_front(plane: Plane, key: str | None) -> int:
    body = json.dumps({"context": CONTEXT}).encode()
    environ = {
        "HTTP_X_API_KEY": plane.secret,
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    }
    path = ofrep.BULK_PATH if key is None else ofrep.SINGLE_PREFIX + key
    return door.answer(environ, method="POST", path=path).status


@pytest.mark.parametrize("ask", [through_django, through_front])
@pytest.mark.parametrize(("key", "status"), [(None, 200), ("split", 200), ("unknown", 404)])
def test_sample__either_door__is_hashed_with_declared_attributes(
    plane: Plane, ask: Any, key: str | None, status: int
) -> None:
    sampling(plane)

    assert ask(plane, key) == status
    gather_samples(snapshots.store, NOW + FLUSHED_EVERY / 2)
    assert rows(plane) == []
    gather_samples(snapshots.store, LATER)

    assert rows(plane) == [(own_hash(plane), {"country": "DE"})]


def test_sample__environment_does_not__is_not_even_offered(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    offered: list[Any] = []
    monkeypatch.setattr(Reservoirs, "offer", lambda self, *given: offered.append(given))
    assert through_django(plane, None) == 200
    gather_samples(snapshots.store, NOW)
    assert offered == []
    assert reservoirs.get(str(plane.environment.pk)) is None

    sampling(plane)
    through_django(plane, None)
    assert len(offered) == 1


def test_sample__refused_requests__are_not_offered(plane: Plane) -> None:
    sampling(plane)
    assert plane.post(None, CONTEXT, headers={"X-API-Key": "wrong"}).status_code == 401
    assert plane.post(None, None, body='{"context": 7}').status_code == 400
    gather_samples(snapshots.store, LATER)

    assert rows(plane) == []


def test_sample__taking_it_fails__is_answered_all_the_same(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    sampling(plane)
    expected = plane.post("split", CONTEXT)

    def fail(*given: object) -> None:
        raise ValueError(f"MARKER {given}")

    monkeypatch.setattr(Reservoirs, "offer", fail)
    with capture_logs() as logs:
        answer = plane.post("split", CONTEXT)

    assert (answer.status_code, answer.content) == (expected.status_code, expected.content)
    assert [entry["event"] for entry in logs if entry["event"] == "sampling_failed"] == ["sampling_failed"]
    assert "MARKER" not in repr(logs)


def test_flush__same_people_again__are_seen_anew_with_what_they_send_now(plane: Plane) -> None:
    sampling(plane)
    for number, country in enumerate(("DE", "FR"), start=1):
        plane.post(None, {**CONTEXT, "country": country})
        gather_samples(snapshots.store, NOW + number * FLUSHED_EVERY)

    sample = ContextSample.objects.get()
    assert sample.attributes == {"country": "FR"}
    assert sample.seen_at == NOW + 2 * FLUSHED_EVERY


def test_flush__database_fails__drops_the_sample_and_says_nothing_of_it(
    plane: Plane, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sampling(plane)
    through_django(plane, None)

    def fail(*given: object) -> None:
        raise DatabaseError(f"invalid input MARKER {given}")

    monkeypatch.setattr(service, "_keep", fail)
    with capture_logs() as logs, caplog.at_level(logging.DEBUG):
        gather_samples(snapshots.store, LATER)
    monkeypatch.undo()

    assert [(entry["event"], entry["error"]) for entry in logs] == [("context_sample_dropped", "DatabaseError")]
    assert "MARKER" not in repr(logs) + caplog.text
    gather_samples(snapshots.store, LATER)
    gather_samples(snapshots.store, LATER + FLUSHED_EVERY)
    assert rows(plane) == []
    through_django(plane, None)
    gather_samples(snapshots.store, LATER + 2 * FLUSHED_EVERY)
    assert len(rows(plane)) == 1


def test_flush__more_than_the_most__keeps_the_lowest_hashes(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MOST_SAMPLES", 5)
    sampling(plane)
    for number in range(12):
        plane.post("split", {"targetingKey": f"MARKER-{number}"})
    gather_samples(snapshots.store, LATER)

    assert [key for key, _ in rows(plane)] == sorted(own_hash(plane, f"MARKER-{number}") for number in range(12))[:5]


def test_switch_off__deletes_everything_at_once_and_nothing_comes_after(plane: Plane) -> None:
    sampling(plane)
    through_django(plane, None)
    gather_samples(snapshots.store, LATER)
    assert len(rows(plane)) == 1
    through_django(plane, None)

    actor = actor_of(plane.world.ada)
    set_context_sampling(plane.environment.pk, actor=actor, is_on=False, now=NOW, reason="Enough")
    assert rows(plane) == []
    # This process has not heard of it yet.
    gather_samples(snapshots.store, LATER + FLUSHED_EVERY)
    assert rows(plane) == []
    snapshots.store.refresh()
    gather_samples(snapshots.store, LATER + FLUSHED_EVERY)
    assert reservoirs.get(str(plane.environment.pk)) is None


def test_switch__protected_environment__on_takes_two_and_off_takes_one(plane: Plane) -> None:
    with pytest.raises(SecondPersonNeeded):
        set_context_sampling(plane.environment.pk, actor=actor_of(plane.world.ada), is_on=True, now=NOW, reason="Alone")
    assert not Environment.objects.get(pk=plane.environment.pk).samples_contexts

    revision = Environment.objects.get(pk=plane.environment.pk).revision
    switch(plane)
    switch(plane, is_on=False)
    switch(plane, is_on=False)

    events = AuditEvent.objects.filter(action="environment.updated").order_by("sequence")
    assert [(event.details["after"], event.details["revision"]) for event in events] == [
        ({"samples_contexts": True}, revision + 1),
        ({"samples_contexts": False}, revision + 2),
    ]
    assert not events[0].details.get("samples_deleted")


def test_switch__environment_that_was_opened__takes_two_and_not_the_opener(plane: Plane) -> None:
    ada, staging = plane.world.ada, plane.world.staging
    with governed_write(staging.pk):
        Environment.objects.filter(pk=staging.pk).update(unprotected_by=ada)
    plane.world.grant(plane.world.otto, staging, Role.ADMINISTRATOR)

    with pytest.raises(ProtectedEnvironment):
        switch(plane, environment=staging)
    with pytest.raises(SecondPersonNeeded):
        switch(plane, environment=staging, who=plane.world.otto)


def test_switch__open_environment__one_administrator_with_a_reason(plane: Plane) -> None:
    staging = plane.world.staging
    for person in (plane.world.rita, plane.world.vera):
        with pytest.raises(PermissionMissing):
            switch(plane, who=person, environment=staging)
    with pytest.raises(InvalidInput):
        switch(plane, environment=staging, reason=" ")

    assert switch(plane, environment=staging).samples_contexts


def test_trail__after_sampling__holds_nothing_of_anybody(plane: Plane) -> None:
    sampling(plane)
    through_django(plane, None)
    gather_samples(snapshots.store, LATER)
    switch(plane, is_on=False)

    assert AuditEvent.objects.filter(action="environment.updated").count() == 2
    text = repr([event.details for event in AuditEvent.objects.all()])
    assert "MARKER" not in text
    assert own_hash(plane) not in text


def test_forget__a_week_later_or_not_sampling__goes(plane: Plane) -> None:
    switch(plane)
    ages = {"old": KEPT_FOR, "young": KEPT_FOR - timedelta(seconds=1)}
    for name, age in ages.items():
        ContextSample.objects.create(environment=plane.environment, key_hash=name, attributes={}, seen_at=NOW - age)
    ContextSample.objects.create(environment=plane.world.staging, key_hash="stray", attributes={}, seen_at=NOW)

    assert forget_old_samples(now=NOW) == 2
    assert [key for key, _ in rows(plane)] == ["young"]


def test_app__ready__registered_the_service() -> None:
    assert gather_samples in following._followers


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_flush__somebody_holds_the_environment__waits_for_the_next_look() -> None:
    plane = plane_of_its_own()
    sampling(plane)
    through_django(plane, None)
    other = connections["default"].copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("SELECT 1 FROM flags_environment WHERE id = %s FOR NO KEY UPDATE", [plane.environment.pk])
        gather_samples(snapshots.store, LATER)
        assert rows(plane) == []
    finally:
        other.rollback()
        other.close()
    with transaction.atomic():
        gather_samples(snapshots.store, LATER)
    assert len(rows(plane)) == 1
