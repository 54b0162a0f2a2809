"""How fast a chain is verified: fills a temporary SQLite database with N events and runs the verification over it.

    python -m benchmarks.audit_chain [N]        (default 100,000)

The events are hashed like real ones but inserted in bulk with the guards lifted; the verification is the real one.
"""

import os
import platform
import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

TARGET = 20_000
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


def main() -> int:
    """Run the benchmark; 1 when it is slower than the target."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        _configure(Path(folder))
        written = _fill(count)
        used = time.process_time()
        verdict, seconds = _verify()
        used = time.process_time() - used
        rate = count / seconds
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{platform.python_implementation()} {platform.python_version()}, SQLite {sqlite3.sqlite_version}, ", end=""
        )
        print(f"{os.cpu_count()} cores, {platform.machine()}, {count:,} events of about 900 bytes, one chain")
        print(f"written in bulk in {written:.1f} s; peak memory {memory:.0f} MB")
        print(f"verified in {seconds:.2f} s: {rate:,.0f} rows/s (target {TARGET:,}); {verdict}")
        print(f"{used:.2f} s of processor time: {count / used:,.0f} rows/s; load average {os.getloadavg()[0]:.1f}")
        return 0 if rate >= TARGET and verdict == "sound" else 1


def _configure(folder: Path) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flagsite.settings")
    os.environ.update(DEMO="1", VAR_DIR=str(folder), DATABASE_URL="")
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", "audits", verbosity=0)


def _fill(count: int) -> float:
    from django.db import connection, transaction

    from audits.guards import install_guards, remove_guards
    from audits.integrity import GENESIS_HASH
    from audits.models import AuditChain, AuditEvent

    started = time.perf_counter()
    remove_guards(connection)
    with transaction.atomic():
        last_hash = GENESIS_HASH
        batch: list[AuditEvent] = []
        for event in _events(count):
            last_hash = event.hash
            batch.append(event)
            if len(batch) == 1000:
                AuditEvent.objects.bulk_create(batch)
                batch.clear()
        AuditEvent.objects.bulk_create(batch)
        AuditChain.objects.create(chain="benchmark", sequence=count, head_hash=last_hash)
    install_guards(connection)
    return time.perf_counter() - started


def _events(count: int) -> Iterator["AuditEvent"]:  # noqa: F821 - Django is not set up when this module is imported
    from audits.integrity import GENESIS_HASH, canonical_json, event_hash
    from audits.models import AuditEvent

    last_hash = GENESIS_HASH
    person = uuid5(NAMESPACE_URL, "person")
    for number in range(1, count + 1):
        event = AuditEvent(
            id=uuid4(),
            chain="benchmark",
            sequence=number,
            occurred_at=BEGINNING + timedelta(seconds=number, microseconds=number % 1000),
            action="flag_config.applied",
            actor_kind="person",
            actor_id=str(person),
            via="admin",
            correlation_id=UUID(int=number),
            project_key="storefront",
            environment_key="production",
            flag_key="checkout-redesign",
            target_type="flag_config",
            target_id=str(person),
            target_label="checkout-redesign",
            reason="Raise the share after a quiet week: no errors, no complaints.",
            data=canonical_json({"version": number, "before": {"weight": 5000}, "after": {"weight": 25000}}).decode(),
            previous_hash=last_hash,
        )
        event.hash = last_hash = event_hash(last_hash, event.facts())
        yield event


def _verify() -> tuple[str, float]:
    from audits.chains import verify_chain

    verdict = verify_chain("benchmark")
    return ("sound" if verdict.bad is None else verdict.bad.message), verdict.seconds


if __name__ == "__main__":
    raise SystemExit(main())
