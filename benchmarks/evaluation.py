"""Nanoseconds of CPU per evaluation, with resolution detail. Run: python benchmarks/evaluation.py

plain: on for everyone. rules: three rules of two or three conditions (text, list of 20, version, number) that mostly
fall through to a 30 % split. split: that split alone. Bulk: 100 flags of these shapes for one context.
"new keys" hashes every targeting key for the first time, "known keys" meets the same ones again.
Figures come from interleaved rounds of CPU time in one thread.
"""

import platform
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from flags.documents import initial_document, validate_config
from flags.evaluation import CompiledSnapshot, FlagSource, Generation, Snapshot, compile_snapshot

CONTEXTS = 1_000
ROUNDS = 9
SHAPES = ("plain", "rules", "split")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
_serial = count()


def _compare(attribute: str, operator: str, value: Any) -> dict[str, Any]:
    return {"attribute": attribute, "operator": operator, "value": value}


def _rule(rule_id: str, serve: dict[str, Any], *conditions: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": rule_id,
        "description": "",
        "condition": {"and": list(conditions)} if conditions else None,
        "serve": serve,
    }


SPLIT = {"split": [{"variant": "on", "weight": 30_000}, {"variant": "off", "weight": 70_000}]}
EVERYONE = _rule("everyone", SPLIT)
COUNTRIES = [f"country-{n}" for n in range(20)]
TARGETED = [
    _rule("r1", {"variant": "on"}, _compare("plan", "equals", "gold"), _compare("country", "in", COUNTRIES)),
    _rule(
        "r2",
        {"variant": "on"},
        _compare("version", "version_greater_or_equal", "2.4.0"),
        _compare("age", "greater_than", 60),
        _compare("plan", "equals", "silver"),
    ),
    _rule("r3", {"variant": "off"}, _compare("age", "greater_than", 30), _compare("plan", "equals", "none")),
]


def flag(key: str, shape: str) -> FlagSource:
    """One boolean flag of a shape."""
    document = initial_document(key, "boolean")
    document["enabled"] = True
    document["rules"] = {"plain": [], "rules": [*TARGETED, EVERYONE], "split": [EVERYONE]}[shape]
    assert not validate_config(document, value_type="boolean", segment_keys=())
    return FlagSource("boolean", document, 1)


def snapshot(flags: dict[str, FlagSource], generation: Generation) -> Snapshot:
    """A snapshot of these flags."""
    return Snapshot("project", "environment", "production", 1, generation, flags, {})


def contexts() -> list[dict[str, Any]]:
    """Contexts whose targeting keys nobody has seen before."""
    return [
        {
            "targetingKey": f"user-{next(_serial)}",
            "plan": ("gold", "silver", "free")[n % 3],
            "country": f"country-{n % 60}",
            "version": f"{n % 4}.{n % 7}.{n % 11}",
            "age": n % 60,
        }
        for n in range(CONTEXTS)
    ]


def cpu_ns(compiled: CompiledSnapshot, key: str, given: Sequence[dict[str, Any]]) -> float:
    """CPU nanoseconds per evaluation of one flag, loop included."""
    evaluate = compiled.evaluate
    started = time.process_time_ns()
    for context in given:
        evaluate(key, context, NOW)
    return (time.process_time_ns() - started) / len(given)


def bulk_ns(compiled: CompiledSnapshot, given: Sequence[dict[str, Any]]) -> float:
    """CPU nanoseconds per evaluation of all flags."""
    evaluate_all = compiled.evaluate_all
    started = time.process_time_ns()
    for context in given:
        evaluate_all(context, NOW)
    return (time.process_time_ns() - started) / len(given)


def compile_ns(flags: int) -> float:
    """CPU nanoseconds to compile so many flags of the rules shape."""
    many = snapshot({f"flag-{n}": flag(f"flag-{n}", "rules") for n in range(flags)}, Generation.FLAGD_V2)
    started = time.process_time_ns()
    compile_snapshot(many)
    return time.process_time_ns() - started


def measure() -> dict[str, list[float]]:
    """Collect the figures of every row over all rounds."""
    rows: dict[str, list[float]] = defaultdict(list)
    known = contexts()
    for _ in range(ROUNDS):
        for generation in Generation:
            compiled = compile_snapshot(snapshot({shape: flag(shape, shape) for shape in SHAPES}, generation))
            for shape in SHAPES:
                cpu_ns(compiled, shape, known)
                rows[f"{shape}, {generation}, known keys"].append(cpu_ns(compiled, shape, known * 20))
                rows[f"{shape}, {generation}, new keys"].append(cpu_ns(compiled, shape, contexts()))
            many = {f"flag-{n}": flag(f"flag-{n}", SHAPES[n % 3]) for n in range(100)}
            bulk = compile_snapshot(snapshot(many, generation))
            bulk_ns(bulk, known[:100])
            rows[f"bulk of 100, {generation}, known keys"].append(bulk_ns(bulk, known[:100]))
            rows[f"bulk of 100, {generation}, new keys"].append(bulk_ns(bulk, contexts()[:100]))
        rows["compile 1,000 flags"].append(compile_ns(1_000))
    return rows


def main() -> None:
    """Print the table."""
    print(f"CPython {platform.python_version()}, {CONTEXTS} contexts, {ROUNDS} rounds, CPU ns: median (best)")
    for row, figures in measure().items():
        print(f"{row:<36}{statistics.median(figures):>14,.0f} ({min(figures):,.0f})")


if __name__ == "__main__":
    main()
