"""What documents compare attributes with: the values and thresholds that can decide an answer."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from flags.evaluation.instants import parse_instant
from flags.evaluation.versions import parse_version

TARGETING_KEY = "targetingKey"
_EXACT = ("equals", "not_equals", "in", "not_in")
_ORDERED = ("less_than", "less_or_equal", "greater_than", "greater_or_equal")


@dataclass(slots=True)
class Mention:
    """Everything that some documents say about one attribute.

    `steps` are numbers at which an answer can change, each with whether the number itself belongs to what lies above.
    """

    texts: set[str] = field(default_factory=set)
    parts: set[tuple[str, str]] = field(default_factory=set)
    numbers: set[float] = field(default_factory=set)
    steps: set[tuple[float, bool]] = field(default_factory=set)
    versions: set[str] = field(default_factory=set)
    instants: set[str] = field(default_factory=set)
    has_booleans: bool = False
    may_be_missing: bool = False
    is_bucketed: bool = False


Mentions = Mapping[str, Mention]


def mentions_of(documents: Iterable[Mapping[str, Any]]) -> dict[str, Mention]:
    """What config and segment documents say about attributes, by name. The targeting key is not among them."""
    found: dict[str, Mention] = {}
    for document in documents:
        for comparison in _comparisons(document):
            _note(found.setdefault(comparison["attribute"], Mention()), comparison)
        for rule in document.get("rules") or ():
            if "bucket_by" in rule:
                found.setdefault(rule["bucket_by"], Mention()).is_bucketed = True
    found.pop(TARGETING_KEY, None)
    return dict(sorted(found.items()))


def _comparisons(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    pending: list[Any] = [document.get("condition")]
    pending += [rule.get("condition") for rule in document.get("rules") or ()]
    while pending:
        condition = pending.pop()
        if not condition:
            continue
        if "attribute" in condition:
            yield condition
        pending.extend(condition.get("and") or ())
        pending.extend(condition.get("or") or ())
        pending.append(condition.get("not"))


def _note(mention: Mention, comparison: Mapping[str, Any]) -> None:
    operator: str = comparison["operator"]
    value: Any = comparison.get("value")
    if operator in _EXACT:
        for item in value if isinstance(value, list) else [value]:
            _note_value(mention, item)
    elif operator in _ORDERED:
        # “less than 18” and “18 or more” part the numbers below 18, “more than 18” and “18 or less” those above it.
        mention.steps.add((value, operator in ("less_than", "greater_or_equal")))
    elif operator == "number_equals":
        mention.numbers.add(value)
    elif operator.startswith("version_") and parse_version(value):
        mention.versions.add(value)
    elif operator in ("before", "after") and parse_instant(value):
        mention.instants.add(value)
    elif operator in ("is_true", "is_false"):
        mention.has_booleans = True
    elif operator in ("is_set", "is_not_set"):
        mention.may_be_missing = True
    elif isinstance(value, str):
        mention.parts.add((operator.removeprefix("not_"), value))


def _note_value(mention: Mention, value: Any) -> None:
    if isinstance(value, bool):
        mention.has_booleans = True
    elif isinstance(value, str):
        mention.texts.add(value)
    elif isinstance(value, int | float):
        mention.numbers.add(value)
