"""How long it takes to take scans in: python -m benchmarks.references [flags] [references]

PostgreSQL, started for this, and the report as it travels: gzip, read through the body's own reader. Measured are the
first scan of a branch, the same again with nothing changed, one in which a tenth vanished and a tenth moved, and the
question since when 1,000 flags are extinct.
"""

import io
import os
import platform
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

GOAL_SECONDS = 60.0
A_FILE = 20


def main(flags: int, references: int) -> int:
    """Run the benchmark; 1 when the first scan takes longer than it may."""
    from tests import servers

    workspace = servers.Workspace()
    server = servers.start_postgresql(workspace)
    try:
        with tempfile.TemporaryDirectory() as folder:
            _configure(folder, server.url)
            return _measure(flags, references)
    finally:
        server.stop()
        workspace.remove()


def _configure(folder: str, url: str) -> None:
    os.environ.update(
        DJANGO_SETTINGS_MODULE="flagsite.settings", DEMO="1", VAR_DIR=folder, DATABASE_URL=url, LOG_LEVEL="ERROR"
    )
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


def _measure(flags: int, references: int) -> int:
    from flags.selectors.references import extinct_since
    from tests.factories import make_world

    world = make_world()
    keys = [f"team{number % 50}-feature-{number}" for number in range(flags)]
    ids = _flags(world, keys)
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{flags:,} flags, {references:,} references in {references // A_FILE:,} files, PostgreSQL")
    first = _take(world, keys, range(references // A_FILE), hour=0, shift=0, what="the first scan")
    _take(world, keys, range(references // A_FILE), hour=1, shift=0, what="the same again")
    _take(world, keys, range(references // A_FILE * 9 // 10), hour=2, shift=3, what="a tenth vanished, a tenth moved")
    started = time.monotonic()
    extinct = len(extinct_since(ids))
    print(f"extinct flags: {extinct} of {flags:,}, {time.monotonic() - started:.2f} s; load {os.getloadavg()[0]:.1f}")
    return 0 if first < GOAL_SECONDS else 1


def _flags(world: Any, keys: list[str]) -> list[uuid.UUID]:
    from flags.models import Flag
    from tests.factories import NOW

    rows = [
        Flag(project=world.project, key=key, name=key, kind="release", value_type="boolean", created_at=NOW)
        for key in keys
    ]
    return [flag.pk for flag in Flag.objects.bulk_create(rows, batch_size=1_000)]


def _take(world: Any, keys: list[str], files: range, *, hour: int, shift: int, what: str) -> float:
    from audits.context import Actor
    from flags.api.reference_bodies import ReportBody, after_first
    from flags.scanning.wire import read_files, read_head
    from flags.services.references import import_references
    from tests.factories import NOW

    at = NOW + timedelta(hours=hour)
    body = ReportBody(_environ(_report(world, keys, files, shift, at.isoformat())))
    before, started = _cpu(), time.monotonic()
    done = import_references(
        world.project,
        read_head(next(body.lines())),
        lambda: read_files(after_first(body.lines())),
        actor=Actor.service(uuid.uuid4(), "CI"),
        now=at,
    )
    seconds = time.monotonic() - started
    body.close()
    scan = done.scan
    verdict = "met" if seconds < GOAL_SECONDS else "MISSED"
    print(
        f"{what}: {seconds:.1f} s, {_cpu() - before:.1f} s of CPU; {scan.references:,} references, {scan.added:,} new, "
        f"{scan.vanished:,} vanished; load {os.getloadavg()[0]:.1f} (goal {GOAL_SECONDS:.0f} s {verdict})"
    )
    return seconds


def _cpu() -> float:
    """Seconds of CPU of this process and of the one that serves it in the database."""
    from django.db import connection

    connection.ensure_connection()
    words = Path(f"/proc/{connection.connection.info.backend_pid}/stat").read_text().rpartition(")")[2].split()
    return time.process_time() + sum(map(int, words[11:13])) / os.sysconf("SC_CLK_TCK")


def _report(world: Any, keys: list[str], files: range, shift: int, at: str) -> bytes:
    import gzip

    from flags.scanning.scans import Scan
    from flags.scanning.wire import head_of, written

    scan = Scan("main", "ab12", "", (), len(files), 1.0)
    said = {"scan_id": str(uuid.uuid4()), "project": world.project.key, "repository": "shop", "committed_at": ""}
    head = head_of(scan, **said, scanned_at=at)
    return gzip.compress(b"".join(written(head, _files(keys, files, shift))), 1)


def _files(keys: list[str], files: range, shift: int) -> Iterator[Any]:
    """Files of twenty lines that name a flag each; in one of ten files all lines are `shift` further down."""
    from flags.scanning.scans import FileReferences, Found

    for number in files:
        down = shift if number % 10 == 0 else 0
        found = (
            Found(keys[(number * A_FILE + line) % len(keys)], "", line * 7 + 1 + down, 9) for line in range(A_FILE)
        )
        yield FileReferences(f"services/part{number // 1_000:04}/module/source{number:07}.py", tuple(found))


def _environ(content: bytes) -> dict[str, Any]:
    return {
        "CONTENT_TYPE": "application/x-ndjson",
        "HTTP_CONTENT_ENCODING": "gzip",
        "CONTENT_LENGTH": str(len(content)),
        "wsgi.input": io.BytesIO(content),
    }


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:3]]
    sys.exit(main(*(numbers + [1_000, 1_000_000][len(numbers) :])))
