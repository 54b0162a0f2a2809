"""Runs the whole suite on both engines and closes with one line of counts.

`python -m tests.run [pytest arguments]`. The exit code is 0 only when nothing failed and nothing required is missing.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

PASSES = {"sqlite": "SQLite, embedded", "postgresql": "PostgreSQL and Valkey"}
REQUIRE = ("REQUIRE_REAL_SERVERS", "REQUIRE_BROWSER", "REQUIRE_NODE", "REQUIRE_PROMETHEUS")
NO_TESTS_COLLECTED = 5
RED, PLAIN = "\033[31;1m", "\033[0m"


def main(arguments: list[str]) -> int:
    """Run each pass, then say what could not run and how many tests did."""
    total = {"passed": 0, "failed": 0, "skipped": 0}
    could_not_run: list[str] = []
    for engine, (code, counts) in _run_both(arguments).items():
        title = PASSES[engine]
        named = counts.pop("could_not_run", [])
        could_not_run += [f"{title}: {line}" for line in named]
        if not counts and not named:
            counts = {"failed": 1}
        if not _is_success(code, counts, engine):
            # A pass that broke off without a failed test is a failure all the same.
            counts["failed"] = max(1, counts.get("failed", 0))
        for name in total:
            total[name] += counts.get(name, 0)
    if total["skipped"] and all(_is_set(name) for name in REQUIRE):
        could_not_run.append(f"{total['skipped']} tests were skipped although everything is required: a failure.")
        total["failed"] += 1
    _print_closing(total, could_not_run)
    return 0 if total["passed"] and not total["failed"] else 1


def _run_both(arguments: list[str]) -> dict[str, tuple[int, dict[str, Any]]]:
    """Both passes at once, a core each: they share nothing. What the second one says waits for the end of the first."""
    with tempfile.TemporaryFile("w+") as kept, ThreadPoolExecutor(1) as aside:
        second = aside.submit(_run_pass, "postgresql", arguments, kept)
        print(f"\n=== {PASSES['sqlite']} ===", flush=True)
        first = _run_pass("sqlite", arguments, None)
        outcomes = {"sqlite": first, "postgresql": second.result()}
        print(f"\n=== {PASSES['postgresql']} ===", flush=True)
        kept.seek(0)
        shutil.copyfileobj(kept, sys.stdout)
    return outcomes


def _run_pass(engine: str, arguments: list[str], output: IO[str] | None) -> tuple[int, dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "counts.json")
        environment = {**os.environ, "DATABASE": engine, "TEST_COUNTS": str(target)}
        # The tests start dozens of processes; unless compiled code is kept, each of them compiles the product anew.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        command = [sys.executable, "-m", "pytest", *arguments]
        code = subprocess.call(command, env=environment, stdout=output, stderr=output)
        return code, json.loads(target.read_text()) if target.exists() else {}


def _is_success(code: int, counts: dict[str, int], engine: str) -> bool:
    if code in (0, NO_TESTS_COLLECTED):
        return True
    could_not_start = not counts and engine == "postgresql"
    return could_not_start and not _is_set("REQUIRE_REAL_SERVERS")


def _is_set(name: str) -> bool:
    return os.environ.get(name, "") not in ("", "0")


def _print_closing(total: dict[str, int], could_not_run: list[str]) -> None:
    red, plain = (RED, PLAIN) if sys.stdout.isatty() else ("", "")
    if could_not_run:
        print(f"\n{red}!!!!!!!!!! COULD NOT RUN !!!!!!!!!!")
        print("\n".join(could_not_run) + plain)
    print(f"\n{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
