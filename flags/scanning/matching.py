"""Pure: the flags that a file names. Every token is looked up in a set, so the number of flags costs nothing."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from flags.scanning.names import Names
from flags.scanning.scans import Found

LONGEST_TEXT = 500
_BEFORE = 250

# A dot or dash at an end belongs to the sentence or the option around a key, not to the key.
_TOKEN = re.compile(rb"[A-Za-z0-9_]+(?:[.-]+[A-Za-z0-9_]+)*")
_QUOTED = re.compile(rb"(?<=[\"'`])[A-Za-z0-9][A-Za-z0-9._-]*(?=\\?[\"'`])")
_IDENTIFIER = re.compile(rb"(?<![A-Za-z0-9_])[A-Za-z_][A-Za-z0-9_]*")

_WORD_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"
_BLANKED_WORDS = bytes(byte if byte in _WORD_BYTES else 32 for byte in range(256))
_BLANKED_TOKENS = bytes(byte if byte in _WORD_BYTES + b".-" else 32 for byte in range(256))


class _Hit(NamedTuple):
    start: int
    flag_key: str
    alias: str


def matches(content: bytes, names: Names, *, with_text: bool = False) -> tuple[Found, ...]:
    """The flags named in a file, in the order of their lines; a flag counts once in a line, at its first place."""
    hits = sorted(_hits(content, names))
    return tuple(_placed(content, hits, with_text)) if hits else ()


def _hits(content: bytes, names: Names) -> Iterator[_Hit]:
    """Two steps, because most files name no flag: what is there at all, which needs no expression, then where."""
    words = content.translate(_BLANKED_WORDS).split() if names.aliases else []
    if words and names.marks.isdisjoint(words):
        return
    tokens = content.translate(_BLANKED_TOKENS).split()
    keys = names.keys.intersection([token.strip(b".-") for token in tokens])
    quoted = names.quoted.intersection(tokens)
    for wanted, pattern in ((keys, _TOKEN), (quoted, _QUOTED)):
        for match in pattern.finditer(content) if wanted else ():
            if match.group() in wanted:
                yield _Hit(match.start(), match.group().decode(), "")
    if not names.aliases.keys().isdisjoint(words):
        for match in _IDENTIFIER.finditer(content):
            name = match.group().decode()
            for key in names.aliases.get(match.group(), ()):
                yield _Hit(match.start(), key, "" if name == key else name)


def _placed(content: bytes, hits: list[_Hit], with_text: bool) -> Iterator[Found]:
    """Lines and columns are counted on from the hit before, so a file of one long line costs no more than another."""
    line, line_start, at, column = 1, 0, 0, 1
    told: set[str] = set()
    for hit in hits:
        newlines = content.count(b"\n", at, hit.start)
        if newlines:
            line, line_start, column = line + newlines, content.rfind(b"\n", at, hit.start) + 1, 1
            at = line_start
            told.clear()
        column += _characters(content[at : hit.start])
        at = hit.start
        if hit.flag_key not in told:
            told.add(hit.flag_key)
            text = _text(content, line_start, hit.start) if with_text else ""
            yield Found(hit.flag_key, hit.alias, line, column, text)


def _characters(part: bytes) -> int:
    return len(part) if part.isascii() else len(part.decode(errors="replace"))


def _text(content: bytes, line_start: int, at: int) -> str:
    """The line, or the part of a long one around the hit, without what no page can show."""
    start = line_start if at - line_start <= _BEFORE else at - _BEFORE
    end = content.find(b"\n", at, at + LONGEST_TEXT)
    line = content[start : end if end >= 0 else at + LONGEST_TEXT].decode(errors="replace")
    return "".join(character if character.isprintable() else " " for character in line).strip()[:LONGEST_TEXT]
