"""pytest plugin: gives a run its own environment, database and Redis before the settings are read.

`DATABASE=sqlite` (the default) is the embedded arrangement; `DATABASE=postgresql` starts PostgreSQL and Valkey, or uses
`DATABASE_URL` and `REDIS_URL` where they are given. Tests that touch no database run on SQLite; `make test` gives them
a pass of their own: `WITHOUT_DATABASE` is `only` there and `elsewhere` in the two others. What says nothing about the
database itself is then dealt out between these, about half to each, unless `DEAL_OUT=0`: see `_is_dealt_out`.

What could not run is named at the end of the run; `REQUIRE_REAL_SERVERS`, `REQUIRE_BROWSER`, `REQUIRE_NODE` and
`REQUIRE_PROMETHEUS` turn it into failures.
"""

import atexit
import gc
import json
import os
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from zlib import crc32

import pytest

from tests import servers
from tests.support.tools import missing_tools

SQLITE, POSTGRESQL = "sqlite", "postgresql"
# Tests with these marks belong to the other pass, so they are neither run nor counted as skipped here.
COMMITTING = {"transactional_db", "live_server"}
DATABASE_FIXTURES = {"db", "transactional_db", "live_server", "django_db_setup"}
# What these hold is about SQL of our own, triggers and locks, so both engines run it; but not these folders in them.
ABOUT_ENGINES = ("tests/audits/", "tests/flags/services/", "tests/flags/snapshots/", "tests/flags/telemetry/")
DOORS = ("admin", "api")
OTHER_PASS = {SQLITE: {"postgres", "redis"}, POSTGRESQL: {"sqlite", "browser", "node", "prometheus"}}
REQUIRE = {
    "browser": "REQUIRE_BROWSER",
    "node": "REQUIRE_NODE",
    "prometheus": "REQUIRE_PROMETHEUS",
    "redis": "REQUIRE_REAL_SERVERS",
}
INHERITED = "FLAGSITE_TESTS_FOLDER"

_missing: dict[str, str] = {}
_affected: Counter[str] = Counter()
_running: list[servers.Server] = []


def is_required(mark: str) -> bool:
    """Whether the run must fail when what the tests with this mark need is missing."""
    return os.environ.get(REQUIRE[mark], "") not in ("", "0")


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests() -> Generator[None, None, None]:
    """Prepare the environment. A wrapper runs before pytest-django reads the settings."""
    # Collecting makes many objects that all stay; looking for garbage among them is for later.
    gc.disable()
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    _missing.update(missing_tools())
    if worker:
        _enter_worker(int(worker.removeprefix("gw")))
    else:
        _enter_controller(_engine())
    return (yield)


def pytest_report_header() -> list[str]:
    """Name the servers of this run."""
    return [f"engine: {_engine()}", *(f"server: {server.version}" for server in _running)]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what belongs to the other pass; skip what this machine cannot run, unless it is required."""
    elsewhere = OTHER_PASS[_engine()]
    left_out = {item for item in items if _belongs_elsewhere(item, elsewhere)}
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]
    for item in items:
        for mark, reason in _missing.items():
            if item.get_closest_marker(mark):
                _affected[mark] += 1
                if not is_required(mark):
                    item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """What was imported and collected stays to the end, so the garbage collector need not go through it again."""
    gc.collect()
    gc.freeze()
    gc.enable()


def _belongs_elsewhere(item: pytest.Item, elsewhere: set[str]) -> bool:
    """Whether another pass runs it: by its mark, or by whether it touches a database; without one, once is enough."""
    marks = {mark.name for mark in item.iter_markers()}
    if marks & elsewhere:
        return True
    is_without = not marks & ({"django_db"}.union(*OTHER_PASS.values())) and not _fixtures(item) & DATABASE_FIXTURES
    where = os.environ.get("WITHOUT_DATABASE", "")
    if where == "only":
        return not is_without
    if where == "elsewhere" and _is_dealt_out(item, marks):
        return _engine() != _dealt_to(item)
    return is_without and (where == "elsewhere" or _engine() == POSTGRESQL)


def _is_dealt_out(item: pytest.Item, marks: set[str]) -> bool:
    """Whether one engine is enough for a test: it neither commits nor is about an engine, and reaches both through the
    same ORM as its neighbours, half of which run on the other.
    """
    if marks & set().union(*OTHER_PASS.values()) or "engines" in marks or os.environ.get("DEAL_OUT") == "0":
        return False
    if _commits(item) or not ("django_db" in marks or _fixtures(item) & DATABASE_FIXTURES):
        return False
    is_about_engines = any(folder in item.path.as_posix() for folder in ABOUT_ENGINES)
    return not is_about_engines or not set(DOORS).isdisjoint(item.path.parts)


def _commits(item: pytest.Item) -> bool:
    mark = item.get_closest_marker("django_db")
    return bool(_fixtures(item) & COMMITTING) or (mark is not None and bool(mark.kwargs.get("transaction")))


def _dealt_to(item: pytest.Item) -> str:
    """The same in every pass: by file, function and the place of its parameters, for their texts may be made up."""
    place = getattr(getattr(item, "callspec", None), "indices", {})
    name = f"{item.path.name}::{getattr(item, 'originalname', None) or item.name}{sorted(place.items())}"
    return (SQLITE, POSTGRESQL)[crc32(name.encode()) % 2]


def _fixtures(item: pytest.Item) -> set[str]:
    return set(getattr(item, "fixturenames", ()))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a required test whose tool is missing, with the reason."""
    for mark, reason in _missing.items():
        if item.get_closest_marker(mark):
            pytest.fail(f"{REQUIRE[mark]} is set, but {reason}", pytrace=False)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Write the counts for the driver and say in red what could not run."""
    stats = terminalreporter.stats
    counts = {
        "passed": len(stats.get("passed", [])) + len(stats.get("xfailed", [])),
        "failed": len(stats.get("failed", [])) + len(stats.get("error", [])),
        "skipped": len(stats.get("skipped", [])),
    }
    could_not_run = [f"{count} {mark} tests: {_missing[mark]}" for mark, count in sorted(_affected.items())]
    _report(counts=counts, could_not_run=could_not_run)
    if could_not_run:
        terminalreporter.section("COULD NOT RUN", sep="!", red=True, bold=True)
        for line in could_not_run:
            terminalreporter.line(line, red=True)


def pytest_unconfigure() -> None:
    """Stop the servers and remove the temporary folder."""
    _leave()


def _engine() -> str:
    engine = os.environ.get("DATABASE") or SQLITE
    if engine not in OTHER_PASS:
        raise pytest.UsageError(f"DATABASE={engine} is unknown; use DATABASE={SQLITE} or DATABASE={POSTGRESQL}.")
    return engine


def _enter_controller(engine: str) -> None:
    servers.sweep_stale_workspaces()
    workspace = servers.Workspace()
    _folders.append(workspace)
    atexit.register(_leave)
    given = {name: os.environ.get(name, "") for name in ("DATABASE_URL", "REDIS_URL")}
    _clean_environment(workspace.folder("var"))
    os.environ[INHERITED] = str(workspace.path)
    if engine == SQLITE:
        return
    try:
        os.environ["DATABASE_URL"] = given["DATABASE_URL"] or _started(servers.start_postgresql(workspace))
        os.environ["DATABASE_POOL_SIZE"] = "60"
    except servers.Unavailable as error:
        _report(counts={}, could_not_run=[f"all tests on PostgreSQL: {error}"])
        raise pytest.UsageError(str(error)) from error
    try:
        os.environ["REDIS_URL"] = given["REDIS_URL"] or _started(servers.start_redis(workspace))
    except servers.Unavailable as error:
        _missing["redis"] = str(error)


_folders: list[servers.Workspace] = []


def _enter_worker(number: int) -> None:
    """An xdist worker uses the controller's servers, with a folder and a Redis database of its own."""
    folder = Path(os.environ[INHERITED], f"worker-{number}")
    folder.mkdir(exist_ok=True)
    os.environ["VAR_DIR"] = str(folder)
    redis_url = os.environ.get("REDIS_URL", "")
    if redis_url:
        os.environ["REDIS_URL"] = f"{redis_url.rsplit('/', 1)[0]}/{number + 1}"


def _clean_environment(var: Path) -> None:
    """Nothing of the developer's own configuration reaches the tests."""
    from flagsite.env import Environment

    for name in Environment.model_fields:
        os.environ.pop(name, None)
    static = var / "static"
    static.mkdir()
    os.environ.update(
        DJANGO_SETTINGS_MODULE="tests.settings",
        SECRET_KEY="only-for-tests-" + "0123456789abcdefghijklmnopqrstuvwxyz" * 2,
        VAR_DIR=str(var),
        STATIC_ROOT=str(static),
        LOG_LEVEL="ERROR",
    )


def _started(server: servers.Server) -> str:
    _running.append(server)
    return server.url


def _report(*, counts: dict[str, int], could_not_run: list[str]) -> None:
    target = os.environ.get("TEST_COUNTS")
    if target:
        Path(target).write_text(json.dumps({**counts, "could_not_run": could_not_run}))


def _leave() -> None:
    while _running:
        _running.pop().stop()
    while _folders:
        _folders.pop().remove()
