"""docs/observability.md names every metric there is, and none that is not."""

import re
from pathlib import Path

from prometheus_client import CollectorRegistry

from flags.api.metrics import MAX_SERIES, Meters
from flagsite.metrics import FlagsiteCollector
from flagsite.telemetry import MOST_EVENTS
from tests.factories import NOW
from tests.flags.api.plane import SECRET, fake_store

TEXT = (Path(__file__).parents[2] / "docs" / "observability.md").read_text()


def test_docs__metrics__are_those_that_are_exported():
    counters, (store, _) = Meters(), fake_store()
    store.token(SECRET, now=NOW)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(FlagsiteCollector(counters=counters, store=store, clock=lambda: NOW))

    exported = {family.name + ("_total" if family.type == "counter" else "") for family in registry.collect()}
    rows = [line for line in TEXT.splitlines() if line.startswith("| `flagsite_") and line.count("|") == 4]
    named = {name for row in rows for name in re.findall(r"`(flagsite_\w+)`", row.split("|")[1])}

    assert named == exported


def test_docs__numbers__are_those_of_the_code():
    assert f"{MAX_SERIES:,} series" in TEXT
    assert f"first {MOST_EVENTS}" in TEXT
