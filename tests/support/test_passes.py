"""Which of the three passes of a run takes a test: none is forgotten, and one without a database runs once."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests import hermetic
from tests.run import SETTINGS

BOTH, SQLITE, POSTGRESQL, WITHOUT = {"sqlite", "postgresql"}, {"sqlite"}, {"postgresql"}, {"without"}
CASES: list[tuple[set[str], set[str], set[str]]] = [
    (set(), set(), WITHOUT),
    ({"parametrize", "hypothesis"}, {"tmp_path"}, WITHOUT),
    ({"django_db", "engines"}, set(), BOTH),
    ({"engines"}, {"db"}, BOTH),
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


def _item(
    marks: set[str], fixtures: set[str], *, path: str = "tests/a.py", place: int = 0, committing: bool = False
) -> Any:
    database = SimpleNamespace(kwargs={"transaction": committing})
    return SimpleNamespace(
        get_closest_marker=lambda name: database if name in marks else None,
        iter_markers=lambda: [SimpleNamespace(name=mark) for mark in marks],
        fixturenames=fixtures,
        path=Path(path),
        originalname="test_a",
        callspec=SimpleNamespace(indices={"case": place}),
    )


def _takers(item: Any, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    taken = set()
    for name, settings in SETTINGS.items():
        for variable, value in settings.items():
            monkeypatch.setenv(variable, value)
        if _is_taken(item):
            taken.add(name)
    return taken


def _is_taken(item: Any) -> bool:
    return not hermetic._belongs_elsewhere(item, hermetic.OTHER_PASS[hermetic._engine()])


@pytest.mark.parametrize(("marks", "fixtures", "expected"), CASES)
def test_passes__marks_and_fixtures__decide_who_takes_it(
    marks: set[str], fixtures: set[str], expected: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _takers(_item(marks, fixtures), monkeypatch) == expected


@pytest.mark.parametrize(
    ("marks", "fixtures", "path"),
    [
        ({"django_db"}, set(), "tests/flags/admin/test_a.py"),
        ({"django_db"}, set(), "/srv/tests/flags/services/admin/test_a.py"),
        ({"django_db"}, set(), "tests/audits/api/test_a.py"),
        (set(), {"db"}, "tests/test_a.py"),
    ],
)
def test_passes__about_no_engine__run_once_about_half_on_each(
    marks: set[str], fixtures: set[str], path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    takers = [_takers(_item(marks, fixtures, path=path, place=place), monkeypatch) for place in range(100)]

    assert {len(found) for found in takers} == {1}
    assert 30 < takers.count(SQLITE) < 70
    assert takers.count(SQLITE) + takers.count(POSTGRESQL) == 100


@pytest.mark.parametrize(
    ("marks", "path", "committing"),
    [
        ({"django_db"}, "/srv/tests/flags/services/test_a.py", False),
        ({"django_db"}, "tests/audits/test_a.py", False),
        ({"django_db", "engines"}, "tests/flags/admin/test_a.py", False),
        ({"django_db"}, "tests/flags/admin/test_a.py", True),
    ],
)
def test_passes__about_engines__run_on_both(
    marks: set[str], path: str, committing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = [_item(marks, set(), path=path, place=place, committing=committing) for place in range(10)]

    assert [_takers(item, monkeypatch) for item in items] == [BOTH] * 10


def test_passes__nothing_is_dealt_out__everything_runs_on_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEAL_OUT", "0")

    items = [_item({"django_db"}, set(), path="tests/flags/admin/test_a.py", place=place) for place in range(10)]

    assert [_takers(item, monkeypatch) for item in items] == [BOTH] * 10


@pytest.mark.parametrize("mark", ["sqlite", "postgres"])
@pytest.mark.parametrize("place", range(4))
def test_passes__page_of_one_engine__stays_there(mark: str, place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    item = _item({"django_db", "engines", mark}, {"db"}, path="tests/flags/admin/test_a.py", place=place)

    assert _takers(item, monkeypatch) == {"postgresql" if mark == "postgres" else "sqlite"}


def test_passes__page_without_a_database__runs_without(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _takers(_item(set(), set(), path="tests/flags/admin/test_a.py"), monkeypatch) == WITHOUT


@pytest.mark.parametrize(("engine", "alone"), [("sqlite", True), ("postgresql", False)])
def test_passes__pytest_by_itself__tries_what_needs_no_database_on_sqlite(
    engine: str, alone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE", engine)
    monkeypatch.delenv("WITHOUT_DATABASE", raising=False)

    assert _is_taken(_item(set(), set())) is alone
    assert _is_taken(_item({"django_db"}, set()))
