"""What a log line may hold: the traceback of a failure, never the values it worked on."""

import json
import logging
import sys
from typing import Any

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
