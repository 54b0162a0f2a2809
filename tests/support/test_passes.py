"""Which of the three passes of a run takes a test: none is forgotten, and one without a database runs once."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests import hermetic
from tests.run import SETTINGS

BOTH, SQLITE, POSTGRESQL, WITHOUT = {"sqlite", "postgresql"}, {"sqlite"}, {"postgresql"}, {"without"}
CASES: list[tuple[set[str], set[str], set[str]]] = [
    (set(), set(), WITHOUT),
    ({"parametrize", "hypothesis"}, {"tmp_path"}, WITHOUT),
    ({"django_db"}, set(), BOTH),
    (set(), {"db"}, BOTH),
    (set(), {"transactional_db", "tmp_path"}, BOTH),
    (set(), {"live_server"}, BOTH),
    ({"django_db", "sqlite"}, set(), SQLITE),
    ({"django_db", "postgres"}, {"db"}, POSTGRESQL),
    ({"sqlite"}, set(), SQLITE),
    ({"postgres"}, set(), POSTGRESQL),
    ({"redis"}, set(), POSTGRESQL),
    ({"browser"}, set(), SQLITE),
    ({"browser"}, {"live_server"}, SQLITE),
    ({"node"}, {"transactional_db"}, SQLITE),
    ({"prometheus"}, set(), SQLITE),
]


def _item(marks: set[str], fixtures: set[str]) -> Any:
    return SimpleNamespace(iter_markers=lambda: [SimpleNamespace(name=mark) for mark in marks], fixturenames=fixtures)


def _is_taken(item: Any) -> bool:
    return not hermetic._belongs_elsewhere(item, hermetic.OTHER_PASS[hermetic._engine()])


@pytest.mark.parametrize(("marks", "fixtures", "expected"), CASES)
def test_passes__marks_and_fixtures__decide_who_takes_it(
    marks: set[str], fixtures: set[str], expected: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = set()
    for name, settings in SETTINGS.items():
        for variable, value in settings.items():
            monkeypatch.setenv(variable, value)
        if _is_taken(_item(marks, fixtures)):
            taken.add(name)

    assert taken == expected


@pytest.mark.parametrize(("engine", "alone"), [("sqlite", True), ("postgresql", False)])
def test_passes__pytest_by_itself__tries_what_needs_no_database_on_sqlite(
    engine: str, alone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE", engine)
    monkeypatch.delenv("WITHOUT_DATABASE", raising=False)

    assert _is_taken(_item(set(), set())) is alone
    assert _is_taken(_item({"django_db"}, set()))
