"""What a log line may hold: the traceback of a failure, never the values it worked on."""

import json
import logging
import sys
from typing import Any
from urllib.parse import quote

import pytest
import structlog
from django.core.handlers.base import BaseHandler
from django.http import HttpRequest, HttpResponse
from django.test import Client

from audits.context import correlation
from flagsite.logs import add_correlation_id, logging_settings

PLANTED = "planted-password-7f3a9"


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("name", ["django.request", "flagsite.tests"])
def test_formatter__failure_with_a_password_in_a_local_variable__shows_the_traceback_alone(
    as_json: bool, name: str
) -> None:
    settings = logging_settings(level="INFO", json=as_json)["formatters"]["line"]
    formatter = settings.pop("()")(**settings)
    text = formatter.format(_record_of_failure(name))
    assert "OperationalFailure" in text
    assert "_fail" in text
    assert PLANTED not in text


def _line(**event: Any) -> dict[str, Any]:
    """A line as JSON, from a logger of anybody's."""
    settings = logging_settings(level="INFO", json=True)["formatters"]["line"]
    formatter = settings.pop("()")(**settings)
    record = logging.LogRecord("someone.else", logging.INFO, "x.py", 1, "it happened", (), None)
    record.__dict__.update(event)
    line: dict[str, Any] = json.loads(formatter.format(record))
    return line


def test_line__inside_an_act__carries_its_correlation_id() -> None:
    with correlation() as correlation_id:
        line = _line()

    assert line["correlation_id"] == str(correlation_id)
    assert "correlation_id" not in _line()


def test_line__that_names_an_id_of_its_own__keeps_it() -> None:
    with correlation():
        event = add_correlation_id(None, "error", {"correlation_id": "of-the-answer"})

    assert event == {"correlation_id": "of-the-answer"}


@pytest.mark.django_db
def test_line__of_a_request__leads_to_its_answer(
    monkeypatch: pytest.MonkeyPatch, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    def page(request: HttpRequest) -> HttpResponse:
        structlog.get_logger("flagsite.tests").error("something_happened")
        return HttpResponse("fine")

    monkeypatch.setattr(BaseHandler, "resolve_request", lambda self, request: (page, (), {}))

    response = client.get("/healthz/live")

    (event,) = [record.msg for record in caplog.records if record.name == "flagsite.tests"]
    assert isinstance(event, dict)
    assert event["correlation_id"] == response.headers["X-Correlation-Id"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/stream", 404),
        ("GET", "/api/v1/audit-events", 401),
        ("POST", "/api/v1/evaluate/explain", 401),
        ("GET", "/admin/no-such-page/", 302),
        ("GET", "/no-such-page\n/", 404),
    ],
)
def test_line__of_a_refused_request__names_the_path_and_no_query(
    method: str, path: str, status: int, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, logger="django_structlog"):
        response = client.generic(method, quote(path), QUERY_STRING=f"ticket={PLANTED}&s=1")

    lines = [record.msg for record in caplog.records if record.name.startswith("django_structlog")]
    requests = {line["request"] for line in lines if isinstance(line, dict)}
    assert response.status_code == status
    assert requests == {f"{method} {quote(path)}"}
    assert PLANTED not in "".join(f"{record.getMessage()} {record.args}" for record in caplog.records)


@pytest.mark.django_db
def test_line__of_a_failed_request__names_the_path_and_no_query(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def page(request: HttpRequest) -> HttpResponse:
        raise OperationalFailure("gone")

    monkeypatch.setattr(BaseHandler, "resolve_request", lambda self, request: (page, (), {}))

    Client(raise_request_exception=False).get("/api/v1/stream", QUERY_STRING=f"ticket={PLANTED}")

    failed = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    assert [line["request"] for line in failed if line["event"] == "request_failed"] == ["GET /api/v1/stream"]
    assert PLANTED not in "".join(f"{record.getMessage()} {record.args}" for record in caplog.records)


def test_server_of_development__logs_no_request_lines() -> None:
    logger = logging_settings(level="DEBUG", json=True)["loggers"]["django.server"]

    assert logger["level"] == "CRITICAL"


class OperationalFailure(Exception):
    """Raised on purpose."""


def _record_of_failure(name: str) -> logging.LogRecord:
    # Put together here: a plain traceback quotes the source line.
    password = "-".join(("planted", "password", "7f3a9"))
    assert password == PLANTED
    try:
        _fail(password, {"password": password})
    except OperationalFailure:
        return logging.LogRecord(name, logging.ERROR, "x.py", 1, "failed: %s", ("it",), sys.exc_info())
    raise AssertionError("unreachable")


def _fail(password: str, cleaned_data: dict[str, Any]) -> None:
    raise OperationalFailure("database is locked")
