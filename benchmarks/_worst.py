"""The dearest configuration that may be saved: every flag here passes the validation, limits used to the full."""

from typing import Any

from benchmarks._shapes import compare, contexts, flag, rule, snapshot
from flags.documents import validate_config, validate_segment
from flags.evaluation import FlagSource, Snapshot

ON = {"variant": "on"}
RULES, COMPARISONS, LEVELS, CHAIN, PARENTS = 100, 50, 8, 20, 20


def _rules(operator: str, value: Any, *, rules: int = RULES) -> list[dict[str, Any]]:
    """Rules that hold for nobody, which only the last comparison of each shows."""
    parts = [compare("a", operator, value)] * COMPARISONS
    return [rule(number, ON, {"or": parts}) for number in range(rules)]


def _segments() -> dict[str, Any]:
    """Eight levels of fifty segments that all use the fifty below; the lowest hold fifty comparisons each."""
    lowest = {"or": [compare("n", "less_than", -1)] * COMPARISONS}
    segments = {f"1-{n}": {"schema": 1, "condition": lowest} for n in range(COMPARISONS)}
    for level in range(2, LEVELS + 1):
        below = {"or": [{"segment": f"{level - 1}-{n}"} for n in range(COMPARISONS)]}
        segments |= {f"{level}-{n}": {"schema": 1, "condition": below} for n in range(COMPARISONS)}
    for key, document in segments.items():
        assert not validate_segment(document, segment_keys=segments.keys()), key
    return segments


def worst_snapshot() -> Snapshot:
    """Six flags: many comparisons, dear ones, long lists, deep segments, and a chain of such flags."""
    segments = _segments()
    keys = [f"{number:05}-aaaaaaaaaaaaaaaa" for number in range(10_000)]
    targets = [{"variant": "on", "keys": keys}]
    flags = {
        "comparisons": flag("comparisons", "plain", rules=_rules("contains", "b", rules=88), targets=targets),
        "long-texts": flag("long-texts", "plain", rules=_rules("contains", "aab", rules=80)),
        "instants": flag("instants", "plain", rules=_rules("before", "2000-01-01T00:00:00Z", rules=60)),
        "lists": flag("lists", "plain", rules=[rule(1, ON, compare("a", "in", [f"{n:05}" for n in range(10_000)]))]),
    }
    used = {"or": [{"segment": f"{LEVELS}-{n}"} for n in range(COMPARISONS)]}
    document = flag("segments", "plain").document | {"rules": [rule(number, ON, used) for number in range(RULES)]}
    assert not validate_config(document, value_type="boolean", segment_keys=segments.keys())
    flags["segments"] = FlagSource("boolean", document, 1)
    return snapshot(flags | _chain(), segments=segments)


def _chain() -> dict[str, FlagSource]:
    """Twenty levels of twenty flags that each require all twenty below; the lowest are split."""
    flags = {f"0-{n}": flag(f"0-{n}", "split") for n in range(PARENTS)}
    for level in range(1, CHAIN + 1):
        below = [{"flag": f"{level - 1}-{n}", "variants": ["on", "off"]} for n in range(PARENTS)]
        flags |= {f"{level}-{n}": flag(f"{level}-{n}", "five", prerequisites=below) for n in range(PARENTS)}
    below = [{"flag": f"{CHAIN}-{n}", "variants": ["on", "off"]} for n in range(PARENTS)]
    return flags | {"chain": flag("chain", "five", prerequisites=below)}


def worst_contexts(number: int, *, is_long: bool = False) -> list[dict[str, Any]]:
    """Contexts that no rule decides early."""
    if is_long:
        return [context | {"a": "a" * 1_024} for context in contexts(number)]
    return [context | {"a": f"2026-01-01T00:00:00.{n:06}Z", "n": n} for n, context in enumerate(contexts(number))]
