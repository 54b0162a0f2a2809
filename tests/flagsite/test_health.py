"""Health addresses."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from flags import snapshots
from flags.api.wire import PROBLEM_TYPE
from flags.snapshots import SnapshotStore
from flags.snapshots.kill_list import parse_kill_list
from flagsite import health
from tests.factories import NOW
from tests.flags.api.plane import SECRET, FakeSource, fake_store


@pytest.fixture(autouse=True)
def _fresh_store() -> Iterator[None]:
    snapshots.store.reset()
    yield
    snapshots.store.reset()


@pytest.fixture
def database_down(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def cursor(self) -> Any:
            raise OperationalError("gone")

    monkeypatch.setattr(health, "connection", Broken())


def test_live__always__is_ok(db: None, database_down: None):
    response = Client().get("/healthz/live")

    assert (response.status_code, response.json()) == (200, {"status": "live"})
    assert "no-store" in response.headers["Cache-Control"]


def test_ready__database_answers__is_ready(db: None):
    response = Client().get("/healthz/ready")

    assert response.status_code == 200
    assert response.json() == {"status": "ready", "database": True, "snapshots": "none"}


def test_ready__nothing_to_answer_from__is_not_ready(db: None, database_down: None):
    response = Client().get("/healthz/ready")

    assert response.status_code == 503
    assert response.json() == {"status": "not ready", "database": False, "snapshots": "none"}


@pytest.mark.parametrize(("is_stale", "word"), [(False, "fresh"), (True, "failing")])
def test_ready__snapshots_without_database__is_ready(
    is_stale: bool, word: str, db: None, database_down: None, monkeypatch: pytest.MonkeyPatch
):
    store, source = fake_store()
    store.token(SECRET, now=NOW)
    if is_stale:
        source.fails = ConnectionError("gone")
        store.try_refresh()
    monkeypatch.setattr(snapshots, "store", store)

    response = Client().get("/healthz/ready")

    assert response.status_code == 200
    assert response.json() == {"status": "ready", "database": False, "snapshots": word}


@pytest.fixture
def kept_store(db: None, monkeypatch: pytest.MonkeyPatch) -> tuple[SnapshotStore, FakeSource]:
    """The store of the process, kept fresh by something in the background that knows whether the database answers."""
    _, source = fake_store()

    class Keeper:
        def look_soon(self, *, wait_seconds: float) -> bool:
            return True

    store = SnapshotStore(source, on_first_use=lambda store: Keeper())
    monkeypatch.setattr(snapshots, "store", store)
    return store, source


def test_ready__kept_fresh_in_the_background__asks_no_database(
    kept_store: tuple[SnapshotStore, FakeSource], database_down: None
):
    store, _ = kept_store
    store.refresh()

    response = Client().get("/healthz/ready")

    assert response.status_code == 200
    assert response.json() == {"status": "ready", "database": True, "snapshots": "fresh"}


def test_ready__nothing_loaded_and_a_database_that_hangs__says_so_within_a_second(
    kept_store: tuple[SnapshotStore, FakeSource],
):
    Client().get("/healthz/live")
    began = time.monotonic()
    response = Client().get("/healthz/ready")

    assert time.monotonic() - began < 1
    assert response.status_code == 503
    assert response.json() == {"status": "not ready", "database": False, "snapshots": "none"}


def test_snapshot__fresh__says_what_is_served_and_no_secret(kept_store: tuple[SnapshotStore, FakeSource]):
    store, _ = kept_store
    store.refresh()
    lines = ("shop/production/split=off", "shop/production/nothing=off", "what")
    store.force(parse_kill_list("\n".join(lines), since=NOW))

    response = Client().get("/healthz/snapshot")

    facts = response.json()
    assert response.status_code == 200
    assert 0 <= facts.pop("age_seconds") < 60
    assert facts.pop("looked_at") == store.looked_at.isoformat()  # type: ignore[union-attr]
    assert facts == {
        "status": "fresh",
        "origin": "database",
        "stale_seconds": None,
        "last_error": None,
        "environments": 1,
        "kill_list": {"entries": 2, "in_force": 1, "lines_ignored": 1},
    }
    assert "no-store" in response.headers["Cache-Control"]
    assert b"shop" not in response.content


@pytest.mark.parametrize(
    ("expected", "sent", "is_told"),
    [
        ("", "", False),
        ("", "Bearer ", False),
        ("a-token", "", False),
        ("a-token", "Bearer another", False),
        ("a-token", "Bearer \udce9", False),
        ("a-token", "a-token", False),
        ("a-token", "Bearer a-token", True),
    ],
)
def test_snapshot__names_of_environments__are_for_whoever_has_the_metrics_token(
    expected: str, sent: str, is_told: bool, kept_store: tuple[SnapshotStore, FakeSource], settings: Any
):
    settings.METRICS_TOKEN = expected
    kept_store[0].refresh()

    facts = Client(HTTP_AUTHORIZATION=sent).get("/healthz/snapshot").json()

    assert facts.get("revisions") == ({"shop/production": 1} if is_told else None)


def test_snapshot__source_gone_for_long__is_stale_and_still_200(
    kept_store: tuple[SnapshotStore, FakeSource], settings: Any
):
    settings.STALE_AFTER_SECONDS = 0
    store, source = kept_store
    store.refresh()
    source.fails = ConnectionError("password=secret host=db")
    store.try_refresh()

    response = Client().get("/healthz/snapshot")

    facts = response.json()
    assert (response.status_code, facts["status"], facts["last_error"]) == (200, "stale", "ConnectionError")
    assert facts["stale_seconds"] > 0
    assert b"secret" not in response.content


def test_snapshot__nothing_to_answer_from__is_503(kept_store: tuple[SnapshotStore, FakeSource]):
    store, source = kept_store
    source.fails = ConnectionError("gone")
    store.try_refresh()

    response = Client().get("/healthz/snapshot")

    facts = response.json()
    assert (response.status_code, facts["status"], facts["origin"]) == (503, "none", None)
    assert facts["environments"] == 0


@pytest.mark.parametrize("path", ["/healthz/live", "/healthz/ready"])
def test_health__other_methods__are_not_allowed(path: str, db: None):
    # What browsers are asked for, a token against forged forms, nobody who asks for health has.
    response = Client(enforce_csrf_checks=True).post(path)

    assert (response.status_code, response.headers["Allow"]) == (405, "GET, HEAD")
    assert (response.headers["Content-Type"], response.json()["code"]) == (PROBLEM_TYPE, "method_not_allowed")
    assert Client().head(path).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/healthz/", "/healthz/alive", "/healthz/live/"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_health__other_addresses__are_a_problem(method: str, path: str, db: None):
    response = getattr(Client(enforce_csrf_checks=True), method)(path)

    assert (response.status_code, response.headers["Content-Type"]) == (404, PROBLEM_TYPE)
    assert "/healthz/ready" in response.json()["detail"]
