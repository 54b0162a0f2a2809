"""The history of a config as its life sees it: each version as it was then, and what its windows did since."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from flags.documents.deprecation import deprecation_of
from flags.evaluation.instants import parse_instant

from .shapes import shape_of
from .stages import Version


def add_version(versions: list[Version], at: datetime, document: Mapping[str, Any], now: datetime) -> None:
    """Put a version behind those before it: one entry from `at` on, and one for each instant up to `now` at which
    a window of it made it serve something else. What windows of former versions would have done later is dropped.
    Nothing is added where nothing is left of the document.
    """
    while versions and versions[-1].at > at:
        versions.pop()
    for instant in (at, *sorted(each for each in set(_instants(document)) if at < each <= now)):
        shape = shape_of(document, instant)
        if shape is None:
            return
        if instant == at or shape != versions[-1].shape:
            versions.append(Version(instant, shape))


def _instants(document: Mapping[str, Any]) -> Iterator[datetime]:
    """When windows of rules open and close, and when a withdrawal ends."""
    for rule in document.get("rules", ()):
        for name in ("starts_at", "ends_at"):
            instant = parse_instant(rule.get(name))
            if instant is not None:
                yield instant
    deprecation = deprecation_of(document)
    if deprecation and deprecation.withdrawal and deprecation.withdrawal.until:
        yield deprecation.withdrawal.until
