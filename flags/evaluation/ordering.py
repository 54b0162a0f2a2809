"""What has to be evaluated before what: flags before the flags that require them, segments before those that use them.

Iterative throughout, since nothing bounds how long a chain can be.
"""

from collections.abc import Iterator, Mapping, Set
from contextlib import suppress
from graphlib import CycleError, TopologicalSorter
from typing import Any


def dependency_order(needs: Mapping[str, Set[str]]) -> tuple[list[str], set[str]]:
    """Return the keys of `needs`, each behind everything it needs, and apart from them those that cannot be ordered.

    Not orderable is what is on a cycle or leads into one. Keys that are needed but not among `needs` are left out.
    """
    sorter = TopologicalSorter(needs)
    # After this error the sorter still gives everything that no cycle holds up.
    with suppress(CycleError):
        sorter.prepare()
    order: list[str] = []
    while ready := sorter.get_ready():
        order.extend(key for key in ready if key in needs)
        sorter.done(*ready)
    return order, needs.keys() - set(order)


def segments_named(condition: object) -> Iterator[str]:
    """Every segment key a condition names, at any depth and of any shape."""
    pending = [condition]
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            pending.extend(item)
        elif isinstance(item, Mapping):
            if isinstance(item.get("segment"), str):
                yield item["segment"]
            pending.extend(item[group] for group in ("and", "or", "not") if group in item)


def flags_required(document: object) -> set[str]:
    """The keys of the flags that a config document requires, if it gets as far as asking: a switched off flag does not.

    Whatever cannot be read requires nothing.
    """
    if not isinstance(document, Mapping) or document.get("enabled") is not True:
        return set()
    required: Any = document.get("prerequisites")
    if not isinstance(required, list):
        return set()
    return {item["flag"] for item in required if isinstance(item, Mapping) and isinstance(item.get("flag"), str)}
