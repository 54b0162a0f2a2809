"""Pure: what `.gitignore` leaves out, with git's own rules (gitignore(5), wildmatch.c).

Needed where git itself is not there to ask. Paths and patterns are bytes, as git sees them, with slashes.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

_POSIX = {
    b"alnum": rb"A-Za-z0-9",
    b"alpha": rb"A-Za-z",
    b"blank": rb" \t",
    b"cntrl": rb"\x00-\x1f\x7f",
    b"digit": rb"0-9",
    b"graph": rb"\x21-\x7e",
    b"lower": rb"a-z",
    b"print": rb"\x20-\x7e",
    b"punct": rb"\x21-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e",
    b"space": rb"\s",
    b"upper": rb"A-Z",
    b"xdigit": rb"A-Fa-f0-9",
}

_NAME = rb"[^/]*"
_FOLDERS = rb"(?:.*/)?"
_WILDCARD = re.compile(rb"[*?[\\]")


class Rule(NamedTuple):
    """One line of an ignore file. `by_name` compares the name alone; else the path from the file's folder."""

    pattern: re.Pattern[bytes]
    by_name: bool
    folders_only: bool
    keeps: bool


class Rules(NamedTuple):
    """The rules of one ignore file. `folder` is where it lies: empty, or a path that ends with a slash."""

    folder: bytes
    rules: tuple[Rule, ...]


def parse_rules(content: bytes, *, folder: bytes = b"") -> Rules:
    """The rules of an ignore file. A line that git would never match is left out."""
    lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    found = (_rule(line.removesuffix(b"\r")) for line in lines)
    return Rules(folder, tuple(rule for rule in found if rule is not None))


def is_ignored(path: bytes, levels: Sequence[Rules], *, is_folder: bool) -> bool:
    """Whether rules leave a path out: the last one that matches decides. `levels` go from the weakest to the strongest.

    Folders are asked before what is in them: what lies in a folder that is left out is never asked for.
    """
    name = path[path.rfind(b"/") + 1 :]
    for level in reversed(levels):
        below = path[len(level.folder) :]
        for rule in reversed(level.rules):
            if (is_folder or not rule.folders_only) and rule.pattern.fullmatch(name if rule.by_name else below):
                return not rule.keeps
    return False


def _rule(line: bytes) -> Rule | None:
    if line.startswith(b"#"):
        return None
    line = _without_trailing_blanks(line)
    keeps = line.startswith(b"!")
    line = line.removeprefix(b"!")
    folders_only = line.endswith(b"/")
    line = line[:-1] if folders_only else line
    by_name = b"/" not in line
    pattern = _translated(line.removeprefix(b"/"))
    if not line or pattern is None:
        return None
    return Rule(re.compile(pattern, re.DOTALL), by_name, folders_only, keeps)


def _without_trailing_blanks(line: bytes) -> bytes:
    """Trailing blanks do not count, unless a backslash stands before them."""
    end = len(line)
    while end and line[end - 1 : end] == b" " and not _is_escaped(line, end - 1):
        end -= 1
    return line[:end]


def _is_escaped(line: bytes, at: int) -> bool:
    before = line[:at]
    return (len(before) - len(before.rstrip(b"\\"))) % 2 == 1


def _translated(glob: bytes) -> bytes | None:
    """A glob as a regular expression; None for one that matches nothing.

    Each star takes as little as it can and never gives it back: the next one takes what it left, within the same name,
    and `**/` as many folders more. Only what stands behind the last of each is tried at several places, so that no
    line of an ignore file makes comparing slow.
    """
    folders: list[list[bytes]] = [[b""]]
    at = 0
    while at < len(glob):
        found = _piece(glob, at)
        if found is None:
            return None
        part, at = found
        if part == _FOLDERS:
            folders.append([b""])
        elif part == _NAME:
            folders[-1].append(b"")
        else:
            folders[-1][-1] += part
    first, *others = [_within_names(stars) for stars in folders]
    if not others:
        return first
    begun = first + b"".join(rb"(?>(?:.*?/)??" + part + b")" for part in others[:-1])
    return begun + rb"(?:.*?/)??" + others[-1]


def _within_names(parts: Sequence[bytes]) -> bytes:
    """What stands before, between and behind single stars."""
    first, *others = parts
    if not others:
        return first
    return first + b"".join(rb"(?>[^/]*?" + part + b")" for part in others[:-1]) + _NAME + others[-1]


def _piece(glob: bytes, at: int) -> tuple[bytes, int] | None:
    """The next character, set or star as a regular expression, and where the one after it begins; None for what
    matches nothing.
    """
    character = glob[at : at + 1]
    if character == b"*":
        return _stars(glob, at)
    if character == b"[":
        return _bracket(glob, at)
    if character == b"\\":
        return None if at + 1 == len(glob) else (re.escape(glob[at + 1 : at + 2]), at + 2)
    return rb"[^/]" if character == b"?" else re.escape(character), at + 1


def _stars(glob: bytes, at: int) -> tuple[bytes, int]:
    """`*` stays within a name. `**` between slashes, or at an end, is any number of folders.

    Git compares what stands before the first wildcard by itself, so `**` right behind that stands at the beginning.
    """
    end = at
    while glob[end : end + 1] == b"*":
        end += 1
    begins = glob[at - 1 : at] in (b"", b"/") or not _WILDCARD.search(glob, 0, at)
    if end - at == 1 or not begins or glob[end : end + 1] not in (b"", b"/"):
        return _NAME, end
    return (rb".*", end) if end == len(glob) else (_FOLDERS, end + 1)


def _bracket(glob: bytes, at: int) -> tuple[bytes, int] | None:
    """A set of characters, never a slash; None where it has no end."""
    start = at + 1
    negated = glob[start : start + 1] in (b"!", b"^")
    start += negated
    members: list[bytes] = []
    at = start
    while at < len(glob) and (glob[at : at + 1] != b"]" or at == start):
        found = _member(glob, at)
        if found is None:
            return None
        member, at = found
        members.append(member)
    if at >= len(glob):
        return None
    inside = b"".join(members)
    if not inside:
        return (rb"[^/]" if negated else rb"(?!)"), at + 1
    return rb"(?!/)[" + (b"^" if negated else b"") + inside + b"]", at + 1


def _member(glob: bytes, at: int) -> tuple[bytes, int] | None:
    """One character, range or class within brackets, and where the next begins."""
    if glob[at : at + 2] == b"[:":
        end = glob.find(b":]", at + 2)
        if end >= 0:
            inside = _POSIX.get(glob[at + 2 : end])
            return None if inside is None else (inside, end + 2)
    first, at = _literal(glob, at)
    if glob[at : at + 1] == b"-" and glob[at + 1 : at + 2] not in (b"", b"]"):
        last, at = _literal(glob, at + 1)
        return (b"" if last < first else re.escape(first) + b"-" + re.escape(last)), at
    return re.escape(first), at


def _literal(glob: bytes, at: int) -> tuple[bytes, int]:
    at += glob[at : at + 1] == b"\\" and at + 1 < len(glob)
    return glob[at : at + 1], at + 1
