"""Health addresses."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from flags import snapshots
from flagsite import health
from tests.factories import NOW
from tests.flags.api.plane import SECRET, fake_store


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


@pytest.mark.parametrize("path", ["/healthz/live", "/healthz/ready"])
def test_health__other_methods__are_not_allowed(path: str, db: None):
    assert Client().post(path).status_code == 405
    assert Client().head(path).status_code == 200
