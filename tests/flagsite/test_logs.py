"""What a log line may hold: the traceback of a failure, never the values it worked on."""

import logging
import sys
from typing import Any

import pytest

from flagsite.logs import logging_settings

PLANTED = "planted-password-7f3a9"


@pytest.mark.parametrize("json", [True, False])
@pytest.mark.parametrize("name", ["django.request", "flagsite.tests"])
def test_formatter__failure_with_a_password_in_a_local_variable__shows_the_traceback_alone(
    json: bool, name: str
) -> None:
    settings = logging_settings(level="INFO", json=json)["formatters"]["line"]
    formatter = settings.pop("()")(**settings)
    text = formatter.format(_record_of_failure(name))
    assert "OperationalFailure" in text
    assert "_fail" in text
    assert PLANTED not in text


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
