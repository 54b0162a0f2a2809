"""Compile the segments of a snapshot, those that use others behind the others."""

from collections.abc import Callable, Mapping
from typing import Any

from .conditions import Condition, Context, Weighed, never, weigh_condition
from .ordering import dependency_order, segments_named

UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError, OverflowError)

# Documents may nest segments 8 levels deep; what is deeper than this came around the validation and is not run.
_MAX_NESTING = 16

# Under this key a context carries what its evaluation already knows about segments. No caller can send it.
_KNOWN: Any = object()


class Segments:
    """The compiled segments of a snapshot.

    A missing segment holds for no one, and neither does one that is on a cycle or leads into one. An unreadable one
    spoils only what uses it.

    `find` gives conditions that look at everything each time. Segments that many others use can make that grow without
    bounds; for such flags `find_remembered` gives conditions that look once per evaluation, within `remembering`.
    """

    def __init__(self, documents: Mapping[str, Mapping[str, Any]]) -> None:
        self._documents = documents
        self._order, self._circular = dependency_order({key: _used(document) for key, document in documents.items()})
        self._direct = self._compile(lambda key, condition: condition)
        self._remembered: dict[str, Weighed | None] | None = None

    def find(self, key: str) -> Weighed:
        """The condition of a segment. Raises ValueError for an unreadable one."""
        return _found(self._direct, key)

    def find_remembered(self, key: str) -> Weighed:
        """The same condition, for contexts given by `remembering`."""
        if self._remembered is None:
            self._remembered = self._compile(_remembered)
        return _found(self._remembered, key)

    def _compile(self, finish: Callable[[str, Condition], Condition]) -> dict[str, Weighed | None]:
        compiled: dict[str, Weighed | None] = dict.fromkeys(self._circular, Weighed(never, 0))
        nesting: dict[str, int] = {}
        for key in self._order:
            nesting[key] = 1 + max((nesting.get(used, 0) for used in _used(self._documents[key])), default=0)
            try:
                if nesting[key] > _MAX_NESTING:
                    raise ValueError(f"Segments are nested more than {_MAX_NESTING} levels deep.")
                found = weigh_condition(
                    self._documents[key]["condition"], segment=lambda inner: _found(compiled, inner)
                )
                compiled[key] = found if found.cost == 0 else found._replace(holds=finish(key, found.holds))
            except UNREADABLE:
                compiled[key] = None
        return compiled


def remembering(context: Context) -> Context:
    """A copy of a context for one evaluation, in which each segment is looked at once."""
    return {**context, _KNOWN: {}}


def _remembered(key: str, condition: Condition) -> Condition:
    def holds(context: Context) -> bool:
        known: dict[str, bool] = context[_KNOWN]
        held = known.get(key)
        if held is None:
            held = known[key] = condition(context)
        return held

    return holds


def _used(document: object) -> set[str]:
    return set(segments_named(document.get("condition"))) if isinstance(document, Mapping) else set()


def _found(compiled: Mapping[str, Weighed | None], key: str) -> Weighed:
    found = compiled.get(key, Weighed(never, 0))
    if found is None:
        raise ValueError(f"Segment {key!r} cannot be read.")
    return found
