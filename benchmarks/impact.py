"""How long counting who flips takes: 100,000 contexts, changes of different reach. Run: python benchmarks/impact.py

Flags have the shapes of `_shapes.py`. Figures are wall-clock seconds of one process, making up the people included; the
best of three runs, so that a busy machine counts less.
"""

import os
import platform
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

# In place of this folder, whose http.py would hide that of the standard library.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks._shapes import flag, snapshot
from flags.evaluation import FlagSource, Snapshot
from rollouts.impact import Side, Simulation, affected_flags, headline, mentions_of, proposed_population
from rollouts.impact.scope import related_documents

PEOPLE = 100_000
ROUNDS = 3
AT = datetime(2026, 1, 1, tzinfo=UTC)
WIDER = {"split": [{"variant": "on", "weight": 60_000}, {"variant": "off", "weight": 40_000}]}


def wider(source: FlagSource) -> FlagSource:
    """A flag whose last rule serves “on” to 60 percent."""
    rules: list[dict[str, Any]] = list(source.document["rules"])
    rules[-1] = {**rules[-1], "serve": WIDER}
    return replace(source, document={**source.document, "rules": rules})


def changes() -> dict[str, tuple[Snapshot, Snapshot]]:
    """What is changed, before and after."""
    split, five = flag("a", "split"), flag("a", "five")
    children = {
        f"child-{n}": flag(f"child-{n}", "rules", prerequisites=[{"flag": "a", "variants": ["on"]}]) for n in range(9)
    }
    plain, rules, family = snapshot({"a": split}), snapshot({"a": five}), snapshot({"a": five, **children})
    return {
        "a percentage": (plain, replace(plain, flags={"a": wider(split)})),
        "a flag with five rules": (rules, replace(rules, flags={"a": wider(five)})),
        "the same, with nine flags that require it": (
            family,
            replace(family, flags={**family.flags, "a": wider(five)}),
        ),
    }


def measure(before: Snapshot, after: Snapshot) -> tuple[float, dict[str, Any]]:
    """Seconds of one run, and its result."""
    started = time.perf_counter()
    keys = affected_flags(Side.of(before), Side.of(after))
    mentions = mentions_of(related_documents(keys, Side.of(before), Side.of(after)))
    population = proposed_population(mentions, declared={}, size=PEOPLE)
    simulation = Simulation(before, after, keys, at=AT, shows_keys=True)
    simulation.feed(population.contexts())
    result = simulation.result()
    return time.perf_counter() - started, result


def main() -> None:
    """Measure and print."""
    load = os.getloadavg()[0]
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores, load {load:.1f}")
    for name, (before, after) in changes().items():
        runs = [measure(before, after) for _ in range(ROUNDS)]
        seconds, result = min(runs, key=lambda run: run[0])
        print(f"{PEOPLE:,} people, {name}: {seconds:.2f} s ({headline(result)})")


if __name__ == "__main__":
    main()
