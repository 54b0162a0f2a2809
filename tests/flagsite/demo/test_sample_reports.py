"""The reports of the sample service: counts only, nothing twice, nothing lost."""

import json
import urllib.error
from collections import Counter
from datetime import UTC, datetime
from email.message import Message
from types import SimpleNamespace
from typing import Any

import pytest

from flags.telemetry.reading import read_batch
from flagsite.demo import sample_reports
from flagsite.demo.sample_reports import FLAG, PEOPLE_A_ROUND, Reporter, Shoppers

NOW = datetime(2026, 11, 21, 8, 30, 12, tzinfo=UTC)


class Server:
    """Takes reports, or answers with a status, or not at all (0)."""

    def __init__(self) -> None:
        self.status = 202
        self.bodies: list[dict[str, Any]] = []

    def open(self, request: Any, timeout: float) -> Any:
        self.bodies.append(json.loads(request.data))
        if self.status == 0:
            raise OSError("nobody listens")
        if self.status != 202:
            raise urllib.error.HTTPError(request.full_url, self.status, "", Message(), None)
        return self

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *error: object) -> None:
        return None


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server()
    monkeypatch.setattr(sample_reports, "_opener", server)
    return server


def _reporter(*customers: tuple[str, str]) -> Reporter:
    reporter = Reporter("http://127.0.0.1:1", "token")
    for variant, bad in customers:
        reporter.count(variant, "SPLIT", frozenset(bad.split()), now=NOW)
    return reporter


def test_report__customers_of_a_minute__is_a_batch_the_door_takes(server: Server) -> None:
    reporter = _reporter(("on", "errors"), ("on", ""), ("off", "errors slow-answers"))

    assert reporter.send()

    batch = read_batch(server.bodies[0], known={FLAG: {"on", "off"}}, now=NOW)
    assert batch.rejected == ()
    assert Counter({(row.metric, row.variant): row.bad for row in batch.metrics}) == Counter(
        {("errors", "on"): 1, ("errors", "off"): 1, ("slow-answers", "off"): 1, ("slow-answers", "on"): 0}
    )
    assert {(row.variant, row.count) for row in batch.evaluations} == {("on", 2), ("off", 1)}


def test_report__nothing_counted__sends_nothing(server: Server) -> None:
    assert _reporter().send()
    assert server.bodies == []


@pytest.mark.parametrize("status", [0, 429, 503])
def test_report__not_taken__is_sent_again_with_its_id(status: int, server: Server) -> None:
    server.status = status
    reporter = _reporter(("on", ""))

    assert not reporter.send()
    server.status = 202
    reporter.count("off", "SPLIT", frozenset(), now=NOW)
    assert reporter.send()
    assert reporter.send()

    first, again, other = server.bodies
    assert first == again
    assert other["batch_id"] != first["batch_id"]


def test_report__refused_for_good__is_not_sent_again(server: Server) -> None:
    server.status = 400

    assert _reporter(("on", "")).send()


def test_shoppers__round__counts_new_people_by_what_they_got(server: Server) -> None:
    keys = []

    def ask(key: str, default: bool, customer: Any) -> Any:
        keys.append(customer.targeting_key)
        return SimpleNamespace(variant="on", reason="SPLIT", error_code=None)

    reporter = _reporter()
    said = Shoppers(SimpleNamespace(get_boolean_details=ask), reporter).round()  # type: ignore[arg-type]

    assert (said, len(set(keys))) == ("", PEOPLE_A_ROUND)
    assert [place.variant for place in reporter.counted.elements()] == ["on"] * PEOPLE_A_ROUND
    assert not any(key in repr(reporter) for key in keys)
