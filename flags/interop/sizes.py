"""How large a value is as JSON, where parts are shared: each is walked once and counts every time. Pure."""

from dataclasses import dataclass
from json import JSONEncoder
from typing import Any

_encode = JSONEncoder(ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class Size:
    """A value written out: how many values it holds, how many bytes it has, and how deep it goes."""

    nodes: int
    octets: int
    levels: int


class Scale:
    """Measures values that share parts."""

    def __init__(self) -> None:
        # The values stay beside their sizes: an id belongs to one object only as long as that lives.
        self._known: dict[int, tuple[Any, Size]] = {}

    def keep(self, value: Any) -> Size:
        """The size of a value that will be part of others, or is measured again; it must not change any more."""
        size = self.measure(value)
        if isinstance(value, dict | list):
            self._known[id(value)] = (value, size)
        return size

    def measure(self, value: Any) -> Size:
        """The size of a value. Raises RecursionError where that nests too deep."""
        known = self._known.get(id(value))
        if known is not None:
            return known[1]
        if isinstance(value, dict):
            return self._sum(value.values(), sum(_bytes(name) + 1 for name in value))
        if isinstance(value, list | tuple):
            return self._sum(value, 0)
        return Size(1, _bytes(value), 1)

    def _sum(self, parts: Any, names: int) -> Size:
        nodes, octets, levels = 1, names + 2, 0
        for part in parts:
            size = self.measure(part)
            nodes += size.nodes
            octets += size.octets + 1
            levels = max(levels, size.levels)
        return Size(nodes, octets, levels + 1)


def _bytes(value: Any) -> int:
    text = _encode(value)
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
