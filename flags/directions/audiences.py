"""Conditions before and after a change in the words of one set of segments, so that they can be reasoned about."""

from collections.abc import Mapping
from typing import Any

from audits.integrity import canonical_json
from flags.documents.reasoning import Reasoning
from flags.documents.references import segment_places
from flags.evaluation.ordering import dependency_order, segments_named

from .reading import NOBODY, Condition

Segments = Mapping[str, Mapping[str, Any]]
# No key of a segment begins with this.
_AFTER = "\x00"


class Audiences:
    """The segments of an environment before and after. What moves gets another name for after."""

    def __init__(self, before: Segments, after: Segments, *, steps: int) -> None:
        self.moved = _moved(before, after)
        self._present = {True: _usable(before), False: _usable(after)}
        documents = {key: {"condition": self.before(before[key]["condition"])} for key in self._present[True]}
        for key in self.moved & self._present[False]:
            documents[_AFTER + key] = {"condition": self.after(after[key]["condition"])}
        self.reasoning = Reasoning(documents, steps=steps)

    def before(self, condition: Condition) -> Condition:
        """A condition of a document from before."""
        return _renamed(condition, self._present[True], frozenset())

    def after(self, condition: Condition) -> Condition:
        """A condition of a document from after."""
        return _renamed(condition, self._present[False], self.moved)

    def moved_in(self, *documents: Mapping[str, Any] | None) -> list[str]:
        """The segments that move and that some config documents name."""
        named = {key for document in documents if document for _, key in segment_places(document)}
        return sorted(named & self.moved)


def _usable(segments: Segments) -> frozenset[str]:
    """The segments that anybody can be in: not those on a circle, and not those that lead into one."""
    _, circular = dependency_order({key: set(segments_named(item["condition"])) for key, item in segments.items()})
    return frozenset(segments) - circular


def _moved(before: Segments, after: Segments) -> frozenset[str]:
    """The segments whose members may differ: by their own condition, or by that of one inside."""
    keys = [key for key in before.keys() | after.keys() if before.get(key) is not after.get(key)]
    found = {key for key in keys if _content(before.get(key)) != _content(after.get(key))}
    using: dict[str, set[str]] = {}
    for segments in (before, after):
        for key, document in segments.items():
            for inner in segments_named(document["condition"]):
                using.setdefault(inner, set()).add(key)
    pending = list(found)
    while pending:
        fresh = using.get(pending.pop(), set()) - found
        found |= fresh
        pending.extend(fresh)
    return frozenset(found)


def _content(document: Mapping[str, Any] | None) -> bytes | None:
    return None if document is None else canonical_json(document["condition"])


def _renamed(condition: Condition, present: frozenset[str], moved: frozenset[str]) -> Condition:
    if condition is None:
        return None
    for group in ("and", "or"):
        if group in condition:
            return {group: [_renamed(part, present, moved) for part in condition[group]]}
    if "not" in condition:
        return {"not": _renamed(condition["not"], present, moved)}
    if "segment" not in condition:
        return condition
    key: str = condition["segment"]
    if key not in present:
        return NOBODY
    return {"segment": _AFTER + key} if key in moved else condition
