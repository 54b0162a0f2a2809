"""YAML as a tree that knows its lines. Only what JSON can say is taken: no anchors, tags, merges or second documents.

Scalars are resolved here and as YAML 1.2 does it, so `on`, `no` and dates stay the text they are. The parser gives
events, not objects: nothing is built that the text does not hold, whatever it says.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from .errors import Path, Problem, invalid

MAX_BYTES = 10_000_000
MAX_DEPTH = 100
MAX_NODES = 1_500_000
_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# What YAML forbids outright, in quotes too; it has to be written as an escape.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}
INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,999})\Z")
FLOAT = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+(?:[eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)\Z")


@dataclass(slots=True)
class Node:
    """A value and where it stands, counted from 1. `places` are lines and columns of the keys, None but of mappings."""

    value: Any
    line: int
    column: int
    places: dict[str, tuple[int, int]] | None = None

    def plain(self) -> Any:
        """The value as JSON has it."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def place_of(self, path: Path) -> tuple[int, int]:
        """Line and column of what the path leads to; of the last thing on the way where it leads nowhere."""
        node, place = self, (self.line, self.column)
        for part in path:
            if node.places is not None and part in node.places:
                place, node = node.places[str(part)], node.value[part]
            elif isinstance(node.value, list) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                place = node.line, node.column
            else:
                break
        return place


@dataclass(slots=True)
class _Open:
    """A list or mapping that has not ended; `key` is the one whose value comes next."""

    node: Node
    key: str | None = None


def compose(text: str | bytes, *, most: int = MAX_NODES) -> Node:
    """The tree of one YAML document of at most so many values. Raises InvalidManifest."""
    try:
        return _built(_checked(text), most)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        words = getattr(error, "problem", None) or getattr(error, "reason", None) or "it holds a forbidden character"
        message = f"This is no YAML that can be read: {words}."
        place = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        raise invalid([Problem((), message, *place)]) from None


def _checked(text: str | bytes) -> str:
    try:
        content = text.encode() if isinstance(text, str) else text
        decoded = content.decode()
    except UnicodeDecodeError as error:
        raise _refused_at(error.object[: error.start].decode(), "The manifest is no text in UTF-8.") from None
    except UnicodeEncodeError as error:
        raise _refused_at(error.object[: error.start], "The manifest is no text in UTF-8.") from None
    if len(content) > MAX_BYTES:
        raise invalid([Problem((), f"The manifest is larger than {MAX_BYTES:,} bytes. Split it by environment.")])
    if found := _FORBIDDEN.search(decoded):
        message = f"The character U+{ord(found.group()):04X} cannot stand in a manifest. Take it out."
        raise _refused_at(decoded[: found.start()], message)
    return decoded


def _refused_at(before: str, message: str) -> Exception:
    """The error about what follows behind a text."""
    lines = f"{before}.".splitlines()
    return invalid([Problem((), message, len(lines), len(lines[-1]))])


def _events(text: str) -> Iterator[Any]:
    """Events of the one document, without those around it."""
    documents = 0
    for event in yaml.parse(text, Loader=_PARSER):
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise _refused(event, "A second document begins here. A manifest is one document.")
        elif not isinstance(event, yaml.StreamStartEvent | yaml.StreamEndEvent | yaml.DocumentEndEvent):
            _refuse_more_than_json(event)
            yield event


def _refuse_more_than_json(event: Any) -> None:
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        raise _refused(event, "Anchors and aliases (& and *) are not taken. Write the value out.")
    if getattr(event, "tag", None):
        raise _refused(event, "Tags (!) are not taken. Write the plain value, in quotes where it is text.")
    if "\0" in getattr(event, "value", ""):
        raise _refused(event, "The character U+0000 cannot stand in a manifest. Take it out.")


def _built(text: str, most: int) -> Node:
    opened: list[_Open] = []
    root: Node | None = None
    for number, event in enumerate(_events(text)):
        if number >= most:
            raise _refused(event, f"The manifest holds more than {most:,} values. Split it by environment.")
        if isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            opened.pop()
            continue
        if opened and opened[-1].node.places is not None and opened[-1].key is None:
            _take_key(opened[-1].node.places, opened[-1], event)
            continue
        node = _node(event)
        _place(node, opened[-1] if opened else None)
        root = root or node
        if not isinstance(event, yaml.ScalarEvent):
            opened.append(_Open(node))
            if len(opened) > MAX_DEPTH:
                raise _refused(event, f"This is nested more than {MAX_DEPTH} deep.")
    if root is None:
        raise invalid([Problem((), "The manifest is empty.", 1, 1)])
    return root


def _take_key(places: dict[str, tuple[int, int]], holder: _Open, event: Any) -> None:
    if not isinstance(event, yaml.ScalarEvent):
        raise _refused(event, "A key must be text.")
    if event.value == "<<" and event.implicit[0]:
        raise _refused(event, "Merges (<<) are not taken. Write the values out.")
    if event.value in places:
        first = places[event.value][0]
        raise _refused(event, f"“{event.value[:100]}” is there already, on line {first}. Keep one of the two.")
    holder.key = event.value
    places[event.value] = _start(event)


def _place(node: Node, holder: _Open | None) -> None:
    if holder is None:
        return
    if isinstance(holder.node.value, list):
        holder.node.value.append(node)
    else:
        holder.node.value[holder.key], holder.key = node, None


def _node(event: Any) -> Node:
    place = _start(event)
    if isinstance(event, yaml.MappingStartEvent):
        return Node({}, *place, places={})
    if isinstance(event, yaml.SequenceStartEvent):
        return Node([], *place)
    return Node(_resolved(event) if event.implicit[0] else event.value, *place)


def _resolved(event: Any) -> Any:
    """A scalar without quotes as YAML 1.2 reads it in JSON's terms."""
    text: str = event.value
    if text in _WORDS:
        return _WORDS[text]
    if INTEGER.match(text):
        return int(text)
    if FLOAT.match(text):
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise _refused(event, "This number is too large.")
        return number
    return text


def _refused(event: Any, message: str) -> Exception:
    return invalid([Problem((), message, *_start(event))])


def _start(event: Any) -> tuple[int, int]:
    """Line and column at which an event begins, from 1."""
    return event.start_mark.line + 1, event.start_mark.column + 1
