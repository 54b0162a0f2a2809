"""How long the nightly look for stale flags takes: python -m benchmarks.stale [flags]

PostgreSQL, started for this. Every flag is set up in three environments with ten versions each, and two services
evaluated four of five flags in two variants, which makes a row of counts for each day of three months and for each
minute of the last hour. One flag in ten has code references, one in fifty an open request. Measured are judging and
keeping all of them, with how much of that is reading, and one flag for its page.
"""

import os
import platform
import resource
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

GOAL_SECONDS = 30.0
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
VERSIONS, DAYS, MINUTES = 10, 90, 60
BATCH = 20_000


def main(count: int) -> int:
    """Run the benchmark; 1 when the look takes longer than it may."""
    from tests import servers

    workspace = servers.Workspace()
    server = servers.start_postgresql(workspace)
    try:
        with tempfile.TemporaryDirectory() as folder:
            _configure(folder, server.url)
            return _measure(count)
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


def _measure(count: int) -> int:
    from flags.models import EvaluationCount, Flag
    from rollouts.models import StaleVerdict
    from rollouts.selectors.staleness.facts import life_of_flag, lives_of
    from rollouts.services.staleness import scan_stale

    project = _seed(count)
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, PostgreSQL")
    print(
        f"{count:,} flags, 3 environments, {VERSIONS} versions each, {EvaluationCount.objects.count():,} rows of counts"
    )
    began = time.perf_counter()
    lives_of(project, now=NOW)
    reading = time.perf_counter() - began
    began, cpu = time.perf_counter(), time.process_time()
    scan_stale(project.pk, now=NOW)
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    stale = StaleVerdict.objects.filter(is_stale=True).count()
    verdict = f"goal {GOAL_SECONDS:.0f} s {'met' if took < GOAL_SECONDS else 'MISSED'}"
    print(f"judging all: {reading:.1f} s; judging and keeping: {took:.1f} s, {cpu:.1f} s of it CPU here ({verdict})")
    began = time.perf_counter()
    life_of_flag(Flag.objects.select_related("project").get(project=project, key="flag-7"), now=NOW)
    print(f"one flag for its page: {(time.perf_counter() - began) * 1000:.0f} ms")
    print(f"{stale:,} are stale; memory at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")
    return 0 if took < GOAL_SECONDS else 1


def _seed(count: int) -> Any:
    from django.db import connection

    from flags.services.tickets import governed_write
    from tests.factories import make_world

    world = make_world("stale")
    with governed_write(world.project.pk):
        flags = _flags(world, count)
    for environment in world.environments:
        with governed_write(environment.pk):
            _configs(flags, environment)
    _uses(flags, world.environments)
    _code(flags, world.project)
    _requests(flags, world)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return world.project


def _flags(world: Any, count: int) -> list[Any]:
    from flags.models import Flag
    from flags.models.flags import FlagKind

    kinds = list(FlagKind.values)
    made = [
        Flag(
            project=world.project,
            key=f"flag-{number}",
            name=f"Flag {number}",
            kind=kinds[number % 3],
            value_type="boolean",
            created_at=NOW - timedelta(days=200),
        )
        for number in range(count)
    ]
    return Flag.objects.bulk_create(made, batch_size=BATCH)


def _configs(flags: list[Any], environment: Any) -> None:
    """A share that grows by version; every third flag has come to everybody."""
    from flags.changes import document_digest
    from flags.models import FlagConfig
    from tests.factories import percent_document

    configs, history = [], []
    for number, flag in enumerate(flags):
        for version in range(1, VERSIONS + 1):
            share = version * 10 if number % 3 == 0 else version
            document = percent_document(flag.key, share)
            at = NOW - timedelta(days=200 - version * 10)
            facts = {
                "id": uuid.uuid5(flag.pk, environment.key),
                "document": document,
                "version": version,
                "digest": document_digest(document),
                "updated_at": at,
            }
            history.append(_version(flag, environment, facts, at))
        configs.append(FlagConfig(flag=flag, environment=environment, **facts))
    FlagConfig.objects.bulk_create(configs, batch_size=BATCH)
    FlagConfig.history.model.objects.bulk_create(history, batch_size=BATCH)


def _version(flag: Any, environment: Any, facts: dict[str, Any], at: datetime) -> Any:
    from flags.models import FlagConfig

    return FlagConfig.history.model(
        flag_id=flag.pk,
        environment_id=environment.pk,
        history_date=at,
        history_type="+",
        actor_kind="system",
        actor_id="benchmark",
        correlation_id=uuid.uuid4(),
        **facts,
    )


def _uses(flags: list[Any], environments: Any) -> None:
    from flags.models import EvaluationCount, FlagUse

    rows: list[Any] = []
    for environment in environments:
        for number, flag in enumerate(flags):
            if number % 5:
                rows += _counts(flag, environment)
                if len(rows) > BATCH:
                    EvaluationCount.objects.bulk_create(rows)
                    rows = []
    EvaluationCount.objects.bulk_create(rows)
    first_at, last_at = NOW - timedelta(days=180), NOW - timedelta(hours=1)
    known = [
        FlagUse(
            environment=environment,
            flag_key=flag.key,
            service=service,
            version="1",
            first_at=first_at,
            last_at=last_at,
        )
        for environment, (number, flag), service in product(environments, enumerate(flags), ("shop", "billing"))
        if number % 5
    ]
    FlagUse.objects.bulk_create(known, batch_size=BATCH)


def _counts(flag: Any, environment: Any) -> Iterator[Any]:
    from flags.models import EvaluationCount

    hour = NOW.replace(minute=0) - timedelta(hours=5)
    days = [("hour", hour - timedelta(days=day), "shop", "on") for day in range(DAYS)]
    minutes = [("minute", NOW - timedelta(minutes=each), "billing", "off") for each in range(MINUTES)]
    for span, at, service, variant in (*days, *minutes[:: 6 if environment.key == "production" else 30]):
        yield EvaluationCount(
            environment=environment,
            span=span,
            at=at,
            flag_key=flag.key,
            variant=variant,
            reason="SPLIT",
            service=service,
            version="1",
            count=40,
        )


def _code(flags: list[Any], project: Any) -> None:
    from flags.models import CodeReference, CodeRepository, CodeScan

    repository = CodeRepository.objects.create(project=project, name="shop", default_branch="main", created_at=NOW)
    found = [
        CodeReference(
            repository=repository,
            branch="main",
            flag_key=flag.key,
            path=f"shop/{number}.py",
            ordinal=line,
            line=line,
            column=1,
            first_seen_at=NOW - timedelta(days=100),
        )
        for number, flag in enumerate(flags[::10])
        for line in range(1, 11)
    ]
    CodeReference.objects.bulk_create(found, batch_size=BATCH)
    CodeScan.objects.create(
        repository=repository,
        branch="main",
        scanned_at=NOW,
        received_at=NOW,
        files_read=1,
        references=len(found),
        added=0,
        vanished=0,
        left_out=0,
        reported_by="ci",
    )


def _requests(flags: list[Any], world: Any) -> None:
    from flags.changes import ChangeSet, ConfigEdit
    from rollouts.services.drafting import create_change_request
    from tests.factories import actor_of, percent_document

    for flag in flags[::50]:
        edit = ConfigEdit(flag_key=flag.key, base_version=VERSIONS, document=percent_document(flag.key, 77))
        create_change_request(
            world.production.pk,
            actor=actor_of(world.rita),
            title="More",
            reason="Benchmark",
            change_set=ChangeSet(environment_id=str(world.production.pk), edits=(edit,)),
            apply_at=None,
            now=NOW,
        )


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5_000))
