"""A population to begin with: every value that a condition asks for occurs, and some that none asks for."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flags.evaluation.instants import parse_instant
from flags.evaluation.versions import parse_version

from .mentions import Mention, Mentions
from .populations import MAX_ATTRIBUTES, MAX_CHARACTERS, Population

OTHER = "other"
_MOST_VALUES = 20
_MISSING_PERCENT = 20
_DISTINCT = 500


def proposed_population(mentions: Mentions, *, declared: Mapping[str, str], size: int) -> Population:
    """A population in which rules match at all; `declared` are the types of attributes by name.

    Every value that conditions name is as frequent as all others together that they do not name. People know better:
    the shares are a start.
    """
    attributes: dict[str, dict[str, Any]] = {}
    missing: dict[str, float] = {}
    for name, mention in list(mentions.items())[:MAX_ATTRIBUTES]:
        attributes[name] = _distribution(mention, declared.get(name, ""))
        if mention.may_be_missing:
            missing[name] = _MISSING_PERCENT
    return Population(size, 1, attributes, missing)


def _distribution(mention: Mention, kind: str) -> dict[str, Any]:
    if mention.versions:
        return {"values": dict.fromkeys(_versions(mention.versions), 1)}
    if mention.instants:
        return {"instants": _instants(mention.instants)}
    if mention.steps:
        return {"range": _range([number for number, _ in mention.steps] + list(mention.numbers))}
    if mention.has_booleans or (kind == "boolean" and not mention.texts):
        return {"values": [[True, 1], [False, 1]]}
    if mention.numbers:
        return {"values": [[number, 1] for number in [*sorted(mention.numbers)[:_MOST_VALUES], -1]]}
    texts = _texts(mention)
    if texts:
        return {"values": dict.fromkeys([*texts[:_MOST_VALUES], OTHER], 1)}
    if mention.is_bucketed:
        return {"distinct": _DISTINCT}
    return {"range": [0, 100]} if kind == "number" else {"values": {"given": 1}}


def _texts(mention: Mention) -> list[str]:
    made = {"starts_with": "{}-1", "ends_with": "1-{}", "contains": "1-{}-1"}
    parts = [made[operator].format(text) for operator, text in sorted(mention.parts)]
    return [text for text in [*sorted(mention.texts), *parts] if len(text) <= MAX_CHARACTERS and text.isprintable()]


def _versions(mentioned: set[str]) -> list[str]:
    """Each version that is named, one before all of them, and the next major one after."""
    known = sorted((version, text) for text in mentioned if (version := parse_version(text)))[:_MOST_VALUES]
    (major, *_), _ = known[-1]
    return [*dict.fromkeys(["0.0.1", *(text for _, text in known), f"{major + 1}.0.0"])]


def _range(numbers: list[float]) -> list[float]:
    low, high = min(numbers), max(numbers)
    margin = max((high - low) / 2, abs(high) / 2, 10)
    bottom = max(0, low - margin) if low >= 0 else low - margin
    return [int(bottom), int(high + margin)]


def _instants(mentioned: set[str]) -> list[str]:
    instants = sorted(instant for text in mentioned if (instant := parse_instant(text)))
    margin = timedelta(days=30)
    return [f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in (instants[0] - margin, instants[-1] + margin)]
