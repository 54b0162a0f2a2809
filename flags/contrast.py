"""Two values in words that differ wherever the values do, however long they are. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from audits.integrity import canonical_json

from .documents.schema import named, quoted
from .documents.words import describe_condition, shown

MAX_NAMES = 10
_BEFORE, _AFTER = 20, 60


class Describe(Protocol):
    """Puts a value in words: cut to a readable length, or all of it."""

    def __call__(self, value: Any, /, *, full: bool = False) -> str:
        """The words."""


def told_apart(old: Any, new: Any, describe: Describe) -> tuple[str, str]:
    """Both values in words. Where these would read alike, the place of the first difference is shown instead."""
    brief = describe(old), describe(new)
    if brief[0] != brief[1] or _same(old, new):
        return brief
    whole = describe(old, full=True), describe(new, full=True)
    if whole[0] == whole[1]:
        whole = canonical_json(old).decode(), canonical_json(new).decode()
    return _around_difference(*whole)


def condition_notes(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> list[str]:
    """What changed inside lists and long texts of a condition, where its words do not show all of it."""
    was, becomes = _leaves(old), _leaves(new)
    return [
        note
        for leaf in was
        if len(was[leaf]) == len(becomes.get(leaf, ()))
        for before, after in zip(was[leaf], becomes[leaf], strict=True)
        if not _same(before, after)
        for note in _notes(leaf[0], before, after)
    ]


def listed_notes(old: list[str], new: list[str], *, variant: str) -> str:
    """Who came to and who left a list of individual targets, and how many are on it now."""
    was, becomes = set(old), set(new)
    added = [key for key in new if key not in was]
    removed = [key for key in old if key not in becomes]
    # Long keys that begin alike are written out, else the same words would come and go.
    full = bool({shown(key) for key in added} & {shown(key) for key in removed})
    parts = [
        f"{_names(keys, full=full)} {verb if len(keys) > 1 else f'{verb}s'} {quoted(variant)}"
        for keys, verb in ((added, "now get"), (removed, "no longer get"))
        if keys
    ]
    words = "; ".join(parts) or f"the same keys for {quoted(variant)} in another order"
    growth = len(new) - len(old)
    return f"{words} ({f'{growth:+d}, ' if growth else ''}{len(new)} in all)"


def is_cut(value: Any) -> bool:
    """Whether the words for a condition leave a part of it out."""
    return describe_condition(value) != describe_condition(value, full=True)


def _same(a: Any, b: Any) -> bool:
    return canonical_json(a) == canonical_json(b)


def _around_difference(old: str, new: str) -> tuple[str, str]:
    length = min(len(old), len(new))
    place = next((index for index in range(length) if old[index] != new[index]), length)
    return _window(old, place), _window(new, place)


def _window(text: str, place: int) -> str:
    begin, end = max(0, place - _BEFORE), place + _AFTER
    return f"{'…' if begin else ''}{text[begin:end]}{'…' if end < len(text) else ''}"


def _leaves(condition: Mapping[str, Any] | None) -> dict[tuple[str, str], list[Any]]:
    found: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for leaf in _each_leaf(condition):
        found[leaf["attribute"], leaf["operator"]].append(leaf.get("value"))
    return found


def _each_leaf(condition: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
    if not condition:
        return
    if "attribute" in condition:
        yield condition
    for part in [*condition.get("and", ()), *condition.get("or", ()), condition.get("not")]:
        yield from _each_leaf(part)


def _notes(attribute: str, old: Any, new: Any) -> list[str]:
    if isinstance(old, list) and isinstance(new, list):
        return [f"{named(attribute)}: {_list_change(old, new)}"]
    if shown(old) != shown(new):
        return []
    before, after = told_apart(old, new, shown)
    return [f"{named(attribute)}: {before} → {after}"]


def _list_change(old: list[Any], new: list[Any]) -> str:
    was, becomes = ({canonical_json(value): value for value in values} for values in (old, new))
    removed = [value for key, value in was.items() if key not in becomes]
    added = [value for key, value in becomes.items() if key not in was]
    # Long values that begin alike are written out, else the same words would be added and removed.
    full = bool({shown(value) for value in added} & {shown(value) for value in removed})
    parts = [
        f"{word} {len(values)}: {_names(values, full=full)}"
        for word, values in (("added", added), ("removed", removed))
        if values
    ]
    return "; ".join(parts) or "the same values in another order or number"


def _names(values: list[Any], *, full: bool) -> str:
    names = ", ".join(shown(value, full=full) for value in values[:MAX_NAMES])
    return names if len(values) <= MAX_NAMES else f"{names} and {len(values) - MAX_NAMES} more"
