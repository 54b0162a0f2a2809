"""Runs the whole suite, on both engines where a database is in it, and closes with one line of counts.

`python -m tests.run [pytest arguments]`. The exit code is 0 only when nothing failed and nothing required is missing.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

PASSES = {"sqlite": "SQLite, embedded", "postgresql": "PostgreSQL and Valkey", "without": "Without a database"}
SETTINGS = {
    "sqlite": {"DATABASE": "sqlite", "WITHOUT_DATABASE": "elsewhere"},
    "postgresql": {"DATABASE": "postgresql", "WITHOUT_DATABASE": "elsewhere"},
    "without": {"DATABASE": "sqlite", "WITHOUT_DATABASE": "only"},
}
CORES = 2
REQUIRE = ("REQUIRE_REAL_SERVERS", "REQUIRE_BROWSER", "REQUIRE_NODE", "REQUIRE_PROMETHEUS")
NO_TESTS_COLLECTED = 5
RED, PLAIN = "\033[31;1m", "\033[0m"


def main(arguments: list[str]) -> int:
    """Run each pass, then say what could not run and how many tests did."""
    total = {"passed": 0, "failed": 0, "skipped": 0}
    could_not_run: list[str] = []
    for name, (code, counts) in _run_all(arguments).items():
        title = PASSES[name]
        named = counts.pop("could_not_run", [])
        could_not_run += [f"{title}: {line}" for line in named]
        if not counts and not named:
            counts = {"failed": 1}
        if not _is_success(code, counts, name):
            # A pass that broke off without a failed test is a failure all the same.
            counts["failed"] = max(1, counts.get("failed", 0))
        for outcome in total:
            total[outcome] += counts.get(outcome, 0)
    if total["skipped"] and all(_is_set(name) for name in REQUIRE):
        could_not_run.append(f"{total['skipped']} tests were skipped although everything is required: a failure.")
        total["failed"] += 1
    _print_closing(total, could_not_run)
    return 0 if total["passed"] and not total["failed"] else 1


def _run_all(arguments: list[str]) -> dict[str, tuple[int, dict[str, Any]]]:
    """Two passes at once, a core each, and the third on the core that is free first: they share nothing.

    The first one is heard as it goes; what the others say waits for its end.
    """
    # One order of sets in all passes, so that what is dealt out among them is the same everywhere.
    os.environ.setdefault("PYTHONHASHSEED", str(random.randrange(2**32)))
    with ExitStack() as opened, ThreadPoolExecutor(CORES) as cores:
        kept = {name: opened.enter_context(tempfile.TemporaryFile("w+")) for name in list(PASSES)[1:]}
        running = {name: cores.submit(_run_pass, name, arguments, kept.get(name)) for name in PASSES}
        outcomes = {}
        for name, title in PASSES.items():
            print(f"\n=== {title} ===", flush=True)
            outcomes[name] = running[name].result()
            if name in kept:
                kept[name].seek(0)
                shutil.copyfileobj(kept[name], sys.stdout)
    return outcomes


def _run_pass(name: str, arguments: list[str], output: IO[str] | None) -> tuple[int, dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "counts.json")
        environment = {**os.environ, **SETTINGS[name], "TEST_COUNTS": str(target)}
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
