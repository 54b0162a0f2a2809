"""Writers begin anew when another transaction stood in their way, and say so in the end."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError, transaction

from audits import trail
from audits.models import AuditEvent
from flags.errors import ConcurrentUpdate
from flags.models import Project
from flags.services import configs, flags, projects, roles, tokens
from flags.services.attempts import ATTEMPTS, attempted
from flagsite import people
from tests.factories import NOW, actor_of, make_world

WRITERS: list[Callable[..., Any]] = [
    configs.edit_config,
    configs.edit_segment,
    flags.create_flag,
    flags.set_flag_details,
    flags.update_flag,
    people.change_password,
    people.change_person,
    people.create_person,
    projects.create_environment,
    projects.create_project,
    projects.set_protection,
    roles.set_roles,
    tokens.issue_token,
    tokens.revoke_token,
]


class _SqlState(Exception):
    def __init__(self, sqlstate: str) -> None:
        self.sqlstate = sqlstate


def _error(message: str, sqlstate: str = "") -> OperationalError:
    error = OperationalError(message)
    error.__cause__ = _SqlState(sqlstate)
    return error


BUSY = {
    "deadlock": _error("deadlock detected", "40P01"),
    "serialization": _error("could not serialize access", "40001"),
    "lock": _error("canceling statement", "55P03"),
    "sqlite": OperationalError("database is locked"),
    "sqlite table": OperationalError("database table is locked: flags_flag"),
}


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long each pause would have been."""
    pauses: list[float] = []
    monkeypatch.setattr("flags.services.attempts.time.sleep", pauses.append)
    return pauses


def _writer(error: OperationalError, *, failures: int) -> tuple[Callable[[str], str], list[str]]:
    calls: list[str] = []

    @attempted
    def write(text: str) -> str:
        calls.append(text)
        if len(calls) <= failures:
            raise error
        return text.upper()

    return write, calls


@pytest.mark.parametrize("name", BUSY)
@pytest.mark.django_db(transaction=True)
def test_attempted__database_busy_for_a_while__is_done_in_the_end(name: str, pauses: list[float]) -> None:
    write, calls = _writer(BUSY[name], failures=ATTEMPTS - 1)

    assert write("done") == "DONE"
    assert (len(calls), len(pauses)) == (ATTEMPTS, ATTEMPTS - 1)


@pytest.mark.django_db(transaction=True)
def test_attempted__database_stays_busy__says_so_with_409() -> None:
    write, calls = _writer(BUSY["deadlock"], failures=100)

    with pytest.raises(ConcurrentUpdate, match="try again in a moment") as refused:
        write("done")

    assert (refused.value.status, len(calls)) == (409, ATTEMPTS)


@pytest.mark.django_db(transaction=True)
def test_attempted__something_is_wrong__is_raised_at_once() -> None:
    write, calls = _writer(_error("disk full", "53100"), failures=1)

    with pytest.raises(OperationalError, match="disk full"):
        write("done")

    assert len(calls) == 1


@pytest.mark.django_db(transaction=True)
def test_attempted__inside_a_transaction__leaves_the_next_attempt_to_its_owner() -> None:
    write, calls = _writer(BUSY["deadlock"], failures=1)

    with pytest.raises(OperationalError, match="deadlock"), transaction.atomic():
        write("done")

    assert len(calls) == 1


@pytest.mark.django_db(transaction=True)
def test_create_project__deadlock_on_the_audit_chain__is_created_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ada, record, failures = actor_of(make_world().ada), trail.record, [BUSY["deadlock"]]
    events = AuditEvent.objects.count()

    def unlucky(*args: Any, **kwargs: Any) -> Any:
        if failures:
            raise failures.pop()
        return record(*args, **kwargs)

    monkeypatch.setattr(trail, "record", unlucky)

    project = projects.create_project(actor=ada, key="second", name="Second", now=NOW)

    assert list(Project.objects.filter(key="second")) == [project]
    assert AuditEvent.objects.count() == events + 1


@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.__name__)
def test_writer__is_attempted(writer: Callable[..., Any]) -> None:
    assert writer.__code__ is attempted(lambda: None).__code__
