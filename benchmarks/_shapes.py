"""The flags and contexts that the evaluation benchmark puts before every engine, in our own documents.

plain: on for everyone. rules: three rules of two or three conditions (text, list of 20, version, number) that mostly
fall through to a 30 % split by user. split: that split alone.
"""

from itertools import count
from typing import Any

from flags.documents import initial_document, validate_config
from flags.evaluation import FlagSource, Generation, Snapshot

SHAPES = ("plain", "rules", "split")
_serial = count()

Conditions = tuple[tuple[str, str, Any], ...]

COUNTRIES = [f"country-{n}" for n in range(20)]
# variant served, and the conditions that all have to hold
TARGETED: tuple[tuple[str, Conditions], ...] = (
    ("on", (("plan", "equals", "gold"), ("country", "in", COUNTRIES))),
    (
        "on",
        (("version", "version_greater_or_equal", "2.4.0"), ("age", "greater_than", 60), ("plan", "equals", "silver")),
    ),
    ("off", (("age", "greater_than", 30), ("plan", "equals", "none"))),
)
SHARE = 30_000
EVERYONE = {"split": [{"variant": "on", "weight": SHARE}, {"variant": "off", "weight": 100_000 - SHARE}]}


def compare(attribute: str, operator: str, value: Any) -> dict[str, Any]:
    """One comparison of a document."""
    return {"attribute": attribute, "operator": operator, "value": value}


def rule(number: int, serve: dict[str, Any], condition: dict[str, Any] | None = None) -> dict[str, Any]:
    """One rule of a document."""
    return {"id": f"r{number}", "description": "", "condition": condition, "serve": serve}


def rules_of(shape: str) -> list[dict[str, Any]]:
    """The rules of a shape; "five" is the shape that is compiled a thousand times."""
    targeted = [
        rule(number, {"variant": variant}, {"and": [compare(*condition) for condition in conditions]})
        for number, (variant, conditions) in enumerate(TARGETED)
    ]
    fourth = rule(4, {"variant": "on"}, compare("plan", "starts_with", "internal"))
    everyone = rule(9, EVERYONE)
    by_shape = {"plain": [], "rules": [*targeted, everyone], "split": [everyone], "five": [*targeted, fourth, everyone]}
    return by_shape[shape]


def flag(key: str, shape: str, **fields: Any) -> FlagSource:
    """One boolean flag of a shape. Off is "off", and so is what nobody matches; plain flags are on."""
    document = initial_document(key, "boolean") | {"enabled": True, "rules": rules_of(shape)}
    document["default_variant"] = "on" if shape == "plain" else "off"
    document |= fields
    problems = validate_config(document, value_type="boolean", segment_keys=())
    assert not problems, problems
    return FlagSource("boolean", document, 1)


def snapshot(
    flags: dict[str, FlagSource],
    *,
    segments: dict[str, Any] | None = None,
    generation: Generation = Generation.FLAGD_V2,
) -> Snapshot:
    """A snapshot of these flags."""
    return Snapshot("project", "environment", "production", 1, generation, flags, segments or {})


def contexts(number: int) -> list[dict[str, Any]]:
    """Contexts whose targeting keys nobody has seen before."""
    return [
        {
            "targetingKey": f"user-{next(_serial)}",
            "plan": ("gold", "silver", "free")[n % 3],
            "country": f"country-{n % 60}",
            "version": f"{n % 4}.{n % 7}.{n % 11}",
            "age": n % 60,
        }
        for n in range(number)
    ]
