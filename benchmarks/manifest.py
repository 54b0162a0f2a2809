"""How long it takes to plan a manifest: python -m benchmarks.manifest [flags]

PostgreSQL, started for this; three environments, each with a config of every flag. Measured are the export, reading it,
planning it as it is, and planning it with every tenth config changed.
"""

import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

GOAL_SECONDS = 10.0


def main(flags: int) -> int:
    """Run the benchmark; 1 when reading and planning take longer than they may."""
    from tests import servers

    workspace = servers.Workspace()
    server = servers.start_postgresql(workspace)
    try:
        with tempfile.TemporaryDirectory() as folder:
            _configure(folder, server.url)
            return _measure(flags)
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


def _measure(flags: int) -> int:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from rollouts.manifest.reading import read_manifest
    from rollouts.manifest.writing import write_manifest
    from rollouts.selectors.manifest_plans import plan_manifest
    from rollouts.selectors.manifests import present_state
    from tests.factories import actor_of, make_world

    world = make_world()
    _fill(world, flags)
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, PostgreSQL")
    text = _timed("export", lambda: write_manifest(present_state(world.project).manifest))
    print(f"{flags:,} flags in 3 environments, {len(text) / 1e6:.1f} MB, {text.count(chr(10)):,} lines")
    begun = time.perf_counter()
    reading = _timed("reading", lambda: read_manifest(text))
    with CaptureQueriesContext(connection) as queries:
        plan = _timed("planning what is so already", lambda: plan_manifest(reading, actor=actor_of(world.rita)))
    spent = time.perf_counter() - begun
    assert plan.steps == ()
    print(f"{len(queries)} queries; reading and planning {spent:.1f} s, goal {GOAL_SECONDS:.0f} s")
    changed = read_manifest(write_manifest(_changed(reading.manifest)))
    plan = _timed("planning with a tenth changed", lambda: plan_manifest(changed, actor=actor_of(world.rita)))
    print(f"{len(plan.steps)} steps")
    assert len(plan.steps) == 3 * (flags // 10)
    return int(spent > GOAL_SECONDS)


def _timed(what: str, act: Callable[[], Any]) -> Any:
    begun, worked = time.perf_counter(), time.process_time()
    found = act()
    spent, cpu = time.perf_counter() - begun, time.process_time() - worked
    print(f"{what:32}{spent:8.2f} s, {cpu:.2f} s of CPU in Python")
    return found


def _fill(world: Any, flags: int) -> None:
    """Flags and configs by bulk, behind a ticket: what is measured is not how they came to be."""
    from django.db import transaction

    from flags.changes import document_digest
    from flags.models import Flag, FlagConfig
    from flags.services.tickets import governed_write
    from tests.factories import NOW, percent_document

    told = {"kind": "release", "value_type": "boolean", "created_at": NOW, "project": world.project}
    rows = Flag.objects.bulk_create(
        Flag(key=f"team{number % 50}-feature-{number:05}", name=f"Feature {number}", **told) for number in range(flags)
    )
    for place in world.environments:
        configs = []
        for row in rows:
            document = percent_document(row.key, 10)
            facts = {"document": document, "digest": document_digest(document), "version": 1, "updated_at": NOW}
            configs.append(FlagConfig(flag=row, environment=place, **facts))
        with transaction.atomic(), governed_write(place.pk):
            FlagConfig.objects.bulk_create(configs)


def _changed(manifest: dict[str, Any]) -> dict[str, Any]:
    """Every tenth config switched off."""
    places = {}
    for name, place in manifest["environments"].items():
        flags = {
            key: {"config": {**entry["config"], "enabled": number % 10 != 9}}
            for number, (key, entry) in enumerate(place["flags"].items())
        }
        places[name] = {**place, "flags": flags}
    return {**manifest, "environments": places}


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000))
