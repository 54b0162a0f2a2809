"""Random environments and contexts inside the portable subset, the same in every process and on every machine.

Attributes have a type that their comparisons respect. What the engines are known to read differently is not sent:
true where a number is compared (Python takes it for 1), a list or an object there (JavaScript fails), a short version
with a label (`1-rc.1`), a key with blanks around it (Go cuts them off), for v2 a key that is not ASCII (JavaScript).
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from flags.documents import TOTAL_WEIGHT, normalise_config, normalise_segment, validate_config
from flags.evaluation import FlagSource, Generation, Snapshot

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
FLAGS_EACH = 6
SEGMENTS = ("staff", "beta", "north")
TEXTS = ("", "basic", "beta", "gold", "NO", "no", "se", "älv", "漢字", "a'b\"c\\d", "1", "true", "null")
VERSIONS = (
    "1",
    "v2",
    "2.4",
    "2.4.0",
    "2.4.0-rc.1",
    "2.4.0-rc.2",
    "2.10.0",
    "10.0.0+build.5",
    "V3.0.1",
    "abc",
    "1.2.3.4",
)
NUMBERS = (-3, 0, 1, 5, 17, 18, 18.5, 65, 1e6)
KEYS = (*[f"user-{number}" for number in range(40)], "", "0", "ejOoVL", "bY9fO-", "SI7p-", "ceQdGm")
COMPANIES = ("acme", "globex", "initech", "x" * 100)
VALUES: dict[str, tuple[Any, ...]] = {
    "boolean": (True, False),
    "string": ("", "blue", "grün", "漢字"),
    "integer": (0, 42, -7, 2**53 - 1),
    "float": (0.5, 1.0, -2.25),
    "object": ({}, {"nested": {"list": [1, "two", None]}}, {"a": 1.5}),
}
_TEXT_LIKE, _NUMERIC, _BOOLEAN, _VERSION = ("plan", "country"), ("age", "spend"), ("internal",), ("version",)
_WRONG_FOR_TEXT: tuple[Any, ...] = (None, 0, 1, 2.5, True, False, [], ["basic"], {}, {"basic": 1})
_WRONG_FOR_NUMBERS: tuple[Any, ...] = (None, "", "17", "abc")
_WRONG_FOR_BOOLEANS: tuple[Any, ...] = (None, "", "true", 2, [], {})


def environments(count: int, *, generation: Generation, seed: int = 7, endings: bool = False) -> list[Snapshot]:
    """Environments of `FLAGS_EACH` flags whose definitions leave nothing out; with `endings` a third of them end."""
    random = Random(f"{seed}/{count}")
    found = [_environment(random, generation) for _ in range(count)]
    return [_ending(random, snapshot) for snapshot in found] if endings else found


def contexts(count: int, *, seed: int = 11) -> list[dict[str, Any]]:
    """Evaluation contexts."""
    random = Random(f"{seed}/{count}")
    return [_context(random) for _ in range(count)]


def _ending(random: Random, snapshot: Snapshot) -> Snapshot:
    flags: dict[str, FlagSource] = {}
    for key, source in snapshot.flags.items():
        names = [variant["name"] for variant in source.document["variants"]]
        weight = random.choice([1, 20_000, 50_000, 99_999, TOTAL_WEIGHT, TOTAL_WEIGHT])
        withdrawal = {"weight": weight, "serves": random.choice([None, *names])}
        if random.random() < 0.5:
            until = NOW + timedelta(seconds=random.choice([-86_400, 0, 1, 86_400]))
            withdrawal["until"] = until.isoformat().replace("+00:00", "Z")
        found: dict[str, Any] = {
            "deprecated_at": "2026-11-01T00:00:00Z",
            "successor": "other",
            "withdrawal": withdrawal,
        }
        if random.random() < 0.1:
            found["is_archived"] = True
        ends = {"deprecation": found} if random.random() < 0.35 else {}
        flags[key] = replace(source, document=normalise_config({**source.document, **ends}))
    return replace(snapshot, flags=flags)


def _environment(random: Random, generation: Generation) -> Snapshot:
    keys = [f"flag-{number}" for number in range(FLAGS_EACH)]
    names: dict[str, list[str]] = {}
    flags: dict[str, FlagSource] = {}
    for key in keys:
        value_type = random.choice(list(VALUES))
        document = _document(random, key, value_type, parents=names)
        assert not validate_config(document, value_type=value_type, segment_keys=SEGMENTS), document
        names[key] = [variant["name"] for variant in document["variants"]]
        flags[key] = FlagSource(value_type, document, random.randint(1, 9))
    segments: dict[str, Any] = {}
    for key in SEGMENTS[:-1] if random.random() < 0.2 else SEGMENTS:
        document = {"condition": _condition(random, tuple(segments))}
        segments[key] = normalise_segment(document)
    return Snapshot("shop", "id", "production", 3, generation, flags, segments)


def _document(random: Random, key: str, value_type: str, *, parents: dict[str, list[str]]) -> dict[str, Any]:
    values = random.sample(VALUES[value_type], random.randint(1, len(VALUES[value_type])))
    names = random.sample(["on", "off", "true", "false", "A/B 50 %", "grün", "0"], len(values))
    document: dict[str, Any] = {
        "enabled": random.random() < 0.85,
        "off_variant": random.choice([None, *names]),
        "variants": [{"name": name, "value": value} for name, value in zip(names, values, strict=True)],
        "default_variant": random.choice([None, *names, *names]),
        "salt": random.choice([f"{key}/", "a b", "0"]),
        "rules": [_rule(random, names) for _ in range(random.choice([0, 1, 2, 3, 4]))],
    }
    if random.random() < 0.3:
        document["targets"] = _targets(random, names)
    if parents and random.random() < 0.4:
        chosen = random.sample(sorted(parents), min(len(parents), random.randint(1, 2)))
        document["prerequisites"] = [
            {"flag": parent, "variants": random.sample(parents[parent], random.randint(1, len(parents[parent])))}
            for parent in chosen
        ]
    return normalise_config(document, value_type=value_type, flag_key=key)


def _targets(random: Random, names: Sequence[str]) -> list[dict[str, Any]]:
    chosen = random.sample([key for key in KEYS if key], 6)
    variants = random.sample(list(names), min(2, len(names)))
    return [{"variant": name, "keys": chosen[index::2]} for index, name in enumerate(variants)]


def _rule(random: Random, names: Sequence[str]) -> dict[str, Any]:
    rule: dict[str, Any] = {"condition": None if random.random() < 0.2 else _condition(random, SEGMENTS)}
    if random.random() < 0.5:
        rule["serve"] = {"variant": random.choice(names)}
    else:
        chosen = random.sample(list(names), random.randint(1, len(names)))
        cuts = sorted(
            random.choice([0, 1, 33_333, 50_000, TOTAL_WEIGHT, random.randint(0, TOTAL_WEIGHT)]) for _ in chosen[1:]
        )
        weights = [end - start for start, end in zip([0, *cuts], [*cuts, TOTAL_WEIGHT], strict=True)]
        rule["serve"] = {
            "split": [{"variant": name, "weight": weight} for name, weight in zip(chosen, weights, strict=True)]
        }
        if random.random() < 0.3:
            rule["salt"] = random.choice(["other/", "holdout"])
        if random.random() < 0.3:
            rule["bucket_by"] = random.choice(["company", "plan"])
    if random.random() < 0.25:
        start = NOW + timedelta(seconds=random.choice([-86_400, -1, 0, 1, 86_400]))
        rule["starts_at"] = start.isoformat()
        if random.random() < 0.5:
            rule["ends_at"] = (start + timedelta(days=random.choice([1, 2]))).isoformat()
    elif random.random() < 0.1:
        rule["ends_at"] = (NOW + timedelta(seconds=random.choice([-1, 0, 1]))).isoformat()
    return rule


def _condition(random: Random, segments: Sequence[str], depth: int = 0) -> dict[str, Any]:
    kind = random.random()
    if depth < 3 and kind < 0.35:
        group = random.choice(["and", "or"])
        return {group: [_condition(random, segments, depth + 1) for _ in range(random.randint(1, 3))]}
    if depth < 3 and kind < 0.45:
        return {"not": _condition(random, segments, depth + 1)}
    if segments and kind < 0.6:
        return {"segment": random.choice(list(segments))}
    attribute, operator, value = _comparison(random)
    return {"attribute": attribute, "operator": operator, "value": value}


def _comparison(random: Random) -> tuple[str, str, Any]:
    family = random.choice(["text", "text", "list", "part", "number", "numbers", "version", "boolean", "set"])
    attribute = random.choice([*_TEXT_LIKE, "targetingKey"])
    text = random.choice([item for item in TEXTS if item])
    if family == "text":
        return attribute, random.choice(["equals", "not_equals"]), random.choice([*TEXTS, *KEYS[:5]])
    if family == "list":
        return attribute, random.choice(["in", "not_in"]), random.sample([*TEXTS, *KEYS[:9]], 4)
    if family == "part":
        return attribute, random.choice(["", "not_"]) + random.choice(["contains", "starts_with", "ends_with"]), text
    if family == "numbers":
        mixed = [*random.sample(NUMBERS, 2), *random.choice([(), ("17", "abc")])]
        return random.choice(_NUMERIC), random.choice(["in", "not_in"]), mixed
    if family == "number":
        operators = ["less_than", "less_or_equal", "greater_than", "greater_or_equal", "number_equals", "equals"]
        return random.choice(_NUMERIC), random.choice(operators), random.choice(NUMBERS)
    if family == "version":
        relations = ["equals", "less_than", "less_or_equal", "greater_than", "greater_or_equal", "same_major"]
        operator = random.choice([*relations, "same_minor"])
        return _VERSION[0], f"version_{operator}", random.choice(["1", "2.4", "2.4.0", "2.4.0-rc.2", "v3.0.1+b"])
    if family == "boolean":
        value = random.choice([True, False])
        named = [("is_true", None), ("is_false", None), ("equals", value), ("not_equals", value)]
        operator, wanted = random.choice(named)
        return _BOOLEAN[0], operator, wanted
    return random.choice([*_TEXT_LIKE, *_NUMERIC, *_VERSION, *_BOOLEAN]), random.choice(["is_set", "is_not_set"]), None


def _context(random: Random) -> dict[str, Any]:
    context: dict[str, Any] = {}
    if random.random() < 0.9:
        context["targetingKey"] = random.choice(KEYS)
    fitting: dict[str, tuple[Sequence[Any], Sequence[Any]]] = {
        **dict.fromkeys(_TEXT_LIKE, (TEXTS, _WRONG_FOR_TEXT)),
        "company": (COMPANIES, _WRONG_FOR_TEXT),
        **dict.fromkeys(_NUMERIC, (NUMBERS, _WRONG_FOR_NUMBERS)),
        **dict.fromkeys(_VERSION, (VERSIONS, _WRONG_FOR_TEXT)),
        **dict.fromkeys(_BOOLEAN, ((True, False), _WRONG_FOR_BOOLEANS)),
    }
    for name, (right, wrong) in fitting.items():
        chance = random.random()
        if chance < 0.75:
            context[name] = random.choice(right)
        elif chance < 0.88:
            context[name] = random.choice(wrong)
    return context
