"""Semantic versions, read and ordered as flagd's `sem_ver` does.

A leading v or V and partial versions (`1`, `1.2`) are accepted, build metadata is ignored, a pre-release needs all
three numbers (the engines disagree on `1-rc.1`), and anything else is no version.
"""

import re
from functools import lru_cache

Version = tuple[int, int, int, tuple[tuple[int, int, str], ...]]

MAX_VERSION_CHARACTERS = 100

_NUMBER = r"(0|[1-9][0-9]*)"
_SHAPE = re.compile(rf"[vV]?{_NUMBER}(?:\.{_NUMBER}(?:\.{_NUMBER}(?:-([0-9A-Za-z.-]+))?)?)?(?:\+[0-9A-Za-z.-]+)?")

# A release is newer than every pre-release of the same numbers, and identifiers start with 0 or 1.
_RELEASED: tuple[tuple[int, int, str], ...] = ((2, 0, ""),)


def parse_version(text: object) -> Version | None:
    """Return a tuple that orders by semantic-version precedence, or None where `text` is no version."""
    if not isinstance(text, str) or len(text) > MAX_VERSION_CHARACTERS:
        return None
    return parse_short_version(text)


# Clients send few distinct versions, and reading one costs ten times as much as remembering it.
@lru_cache(maxsize=2_048)
def parse_short_version(text: str) -> Version | None:
    """`parse_version` for text of at most `MAX_VERSION_CHARACTERS`, which the caller has checked."""
    match = _SHAPE.fullmatch(text)
    if match is None:
        return None
    major, minor, patch, labels = match.groups()
    released = _RELEASED if labels is None else _pre_release(labels)
    if released is None:
        return None
    return int(major), int(minor or 0), int(patch or 0), released


def _pre_release(labels: str) -> tuple[tuple[int, int, str], ...] | None:
    """Numeric labels order below textual ones and by number; a longer list is newer than its own beginning."""
    ordered: list[tuple[int, int, str]] = []
    for label in labels.split("."):
        if not label or (label.isdigit() and len(label) > 1 and label[0] == "0"):
            return None
        ordered.append((0, int(label), "") if label.isdigit() else (1, 0, label))
    return tuple(ordered)
