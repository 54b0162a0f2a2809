"""How many comparisons conditions lead to through segments, each counted as often as it is looked at. Pure.

Nothing here recurses: what is counted may not be valid.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

MAX_SEGMENTS: Final = 500
# What one flag may ask through its segments, which bounds the time of an evaluation and the size of an explanation.
MAX_REACHED_COMPARISONS: Final = 20_000

Documents = Mapping[str, Mapping[str, Any]]


def segment_comparisons(segments: Documents) -> dict[str, int]:
    """The comparisons of every segment, with those of the segments inside it at every use.

    A missing segment has none. Where segments run in a circle one of them counts as missing.
    """
    contents = {key: _contents([document.get("condition")]) for key, document in segments.items()}
    amounts: dict[str, int] = {}
    for start in contents:
        way, on_way = [start], {start}
        while way:
            key = way[-1]
            own, inner = contents[key]
            waiting = [name for name in inner if name in contents and name not in amounts and name not in on_way]
            if waiting:
                way.append(waiting[0])
                on_way.add(waiting[0])
                continue
            amounts[key] = own + _sum(inner, amounts)
            on_way.discard(way.pop())
    return amounts


def reached_comparisons(document: Mapping[str, Any], amounts: Mapping[str, int]) -> int:
    """The comparisons that a config document asks through its segments. `amounts` are those of the segments."""
    _, named = _contents(rule.get("condition") for rule in document.get("rules") or ())
    return _sum(named, amounts)


def _sum(named: Mapping[str, int], amounts: Mapping[str, int]) -> int:
    return sum(times * amounts.get(key, 0) for key, times in named.items())


def _contents(conditions: Iterable[Any]) -> tuple[int, Counter[str]]:
    """The comparisons in some conditions, and how often each segment is named there."""
    comparisons, named, pending = 0, Counter[str](), list(conditions)
    while pending:
        condition = pending.pop()
        if not condition:
            continue
        if "segment" in condition:
            named[condition["segment"]] += 1
        elif "attribute" in condition:
            comparisons += 1
        else:
            pending.extend(condition.get("and") or condition.get("or") or [condition.get("not")])
    return comparisons, named
