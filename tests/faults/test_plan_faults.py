"""Rollouts go on, once and in order, whatever is killed beside them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from tests import servers
from tests.faults.installation import Installation
from tests.faults.milestone_driver import POINTS as MILESTONE_POINTS
from tests.faults.plan_crowd import DUE
from tests.faults.plan_driver import POINTS
from tests.journeys.demos import LEFT_OUT, ROOT

pytestmark = pytest.mark.redis

# At each of the points; the nightly number is in docs/development.md.
RUNS = int(os.environ.get("PLAN_FAULT_RUNS", "5"))
MILESTONE_RUNS = int(os.environ.get("MILESTONE_FAULT_RUNS", "2"))

PROGRESS_SECONDS = 60


def test_tick__killed_at_every_point__converges_and_nothing_happens_twice(tmp_path: Path) -> None:
    found = _driven("tests.faults.plan_driver", str(RUNS), folder=tmp_path)

    print(f"{found['runs']} killed ticks in {found['seconds']:.0f} s")
    assert found["problems"] == []
    assert found["runs"] == RUNS * len(POINTS)


def test_tick__of_timelines_killed_at_every_point__converges_and_nothing_happens_twice(tmp_path: Path) -> None:
    found = _driven("tests.faults.milestone_driver", str(MILESTONE_RUNS), folder=tmp_path)

    print(f"{found['runs']} killed ticks in {found['seconds']:.0f} s")
    assert found["problems"] == []
    assert found["runs"] == MILESTONE_RUNS * len(MILESTONE_POINTS)


def test_stages__that_three_beats_and_four_workers_look_at__are_applied_once_each(tmp_path: Path) -> None:
    found = _driven("tests.faults.plan_crowd", str(tmp_path), folder=tmp_path, has_broker=True)

    print(f"{found['applied']} stages in {found['seconds']:.1f} s; moved {found['moved']} in looks {found['looks']}")
    assert found["problems"] == []
    assert found["applied"] == DUE == 100


def _driven(module: str, *arguments: str, folder: Path, has_broker: bool = False) -> dict[str, Any]:
    """What a driver found, with a PostgreSQL of its own, and a Valkey where it wants one."""
    workspace = servers.Workspace()
    running = [servers.start_postgresql(workspace)]
    kept = {name: value for name, value in os.environ.items() if name not in LEFT_OUT}
    variables = {
        **kept,
        "DJANGO_SETTINGS_MODULE": "flagsite.settings",
        "DEMO": "1",
        "VAR_DIR": str(folder),
        "LOG_LEVEL": "ERROR",
        "DATABASE_URL": running[0].url,
    }
    if has_broker:
        running.append(servers.start_redis(workspace))
        variables["REDIS_URL"] = running[1].url
    try:
        command = [sys.executable, "-m", module, *arguments]
        done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=900)
    finally:
        for server in running:
            server.stop()
        workspace.remove()
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _forget(site: Installation) -> None:
    redis.Redis.from_url(site.redis.server.url).flushall()


def _start_again(site: Installation) -> None:
    site.redis.kill()
    site.redis.heal()


def test_rollout__while_the_broker_forgets_everything_or_is_started_again__goes_on(site: Installation) -> None:
    plan_id = site.hand("roll_out")

    with _celery(site) as logs:
        for hurt in (_leave, _forget, _start_again):
            hurt(site)
            stage = site.hand("let_a_minute_pass", plan_id)
            _wait_until_after(stage, plan_id, site, logs)
            assert site.hand("stage_of", plan_id) == stage + 1


def _leave(site: Installation) -> None:
    """For comparison."""


def _wait_until_after(stage: int, plan_id: str, site: Installation, logs: list[Path]) -> None:
    until = time.monotonic() + PROGRESS_SECONDS
    while site.hand("stage_of", plan_id) == stage:
        said = "\n".join(log.read_text(errors="replace")[-2000:] for log in logs)
        assert time.monotonic() < until, f"No progress within {PROGRESS_SECONDS} s.\n{said}"
        time.sleep(0.25)


@contextmanager
def _celery(site: Installation) -> Iterator[list[Path]]:
    """A worker and a beat as in production, looking every second; the files with what they say."""
    worker = ("worker", "-c", "1", "--without-gossip", "--without-mingle")
    logs = [site.folder / "worker.log", site.folder / "beat.log"]
    running = []
    try:
        for arguments, log in zip((worker, ("beat", "--pidfile=")), logs, strict=True):
            with log.open("wb") as said:
                command = [sys.executable, "-m", "celery", "-A", "flagsite", *arguments, "-l", "INFO"]
                variables = {**site.variables, "SWEEP_SECONDS": "1"}
                running.append(
                    subprocess.Popen(command, cwd=ROOT, env=variables, stdout=said, stderr=said, start_new_session=True)
                )
        yield logs
    finally:
        # A worker that lost its broker takes long to say goodbye, and has a child of its own.
        for process in running:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=30)
