"""Reading the files of a checkout on all cores."""

import os
import stat
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from flags.scanning.files import files_below
from flags.scanning.matching import matches
from flags.scanning.names import Names
from flags.scanning.scans import FileReferences, Scan

LARGEST_FILE = 1_000_000
_SNIFFED = 8_000
_CHUNK = 2_000
_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class _Part(NamedTuple):
    """What came of some files."""

    files: tuple[FileReferences, ...]
    read: int
    binary: int
    large: int
    other: int


def scan_folder(
    folder: Path,
    names: Names,
    *,
    branch: str,
    commit: str,
    root: str = "",
    with_text: bool = False,
    processes: int | None = None,
    with_git: bool = True,
) -> Scan:
    """Read every file below a folder that is not ignored. `root` is put before the paths: empty, or ends with a slash.

    Binary files, those above `LARGEST_FILE` bytes, links and what else is no readable file are passed over and counted.
    """
    started = monotonic()
    paths = files_below(folder, with_git=with_git)
    chunks = [paths[at : at + _CHUNK] for at in range(0, len(paths), _CHUNK)]
    work = partial(_read_part, os.fsencode(folder), names, root, with_text)
    parts = _worked(work, chunks, processes or os.cpu_count() or 1)
    return Scan(
        branch=branch,
        commit=commit,
        root=root,
        files=_in_order(parts),
        files_read=sum(part.read for part in parts),
        seconds=round(monotonic() - started, 3),
        binary_files=sum(part.binary for part in parts),
        large_files=sum(part.large for part in parts),
        other_files=sum(part.other for part in parts),
    )


def _worked(work: "partial[_Part]", chunks: Sequence[list[bytes]], processes: int) -> list[_Part]:
    """A small checkout is read sooner than another process starts."""
    if processes == 1 or len(chunks) < 2:
        return list(map(work, chunks))
    with ProcessPoolExecutor(min(processes, len(chunks)), initializer=_tell, initargs=(work,)) as pool:
        return list(pool.map(_read_told, chunks))


# What a process that reads was told when it began: with every chunk, the names would take longer than some of them.
_told: list["partial[_Part]"] = []


def _tell(work: "partial[_Part]") -> None:
    _told.append(work)


def _read_told(paths: list[bytes]) -> _Part:
    return _told[-1](paths)


def _read_part(folder: bytes, names: Names, root: str, with_text: bool, paths: list[bytes]) -> _Part:
    files: list[FileReferences] = []
    read = binary = large = other = 0
    for path in paths:
        content = _content(os.path.join(folder, path))
        if content is None:
            other += 1
        elif len(content) > LARGEST_FILE:
            large += 1
        elif b"\0" in content[:_SNIFFED]:
            binary += 1
        else:
            read += 1
            found = matches(content, names, with_text=with_text)
            if found:
                files.append(FileReferences(root + shown_path(path), found))
    return _Part(tuple(files), read, binary, large, other)


def _in_order(parts: Sequence[_Part]) -> tuple[FileReferences, ...]:
    """Sorted, and each path once: two names that no page can tell apart are shown alike."""
    by_path = {file.path: file for part in parts for file in part.files}
    return tuple(by_path[path] for path in sorted(by_path))


def shown_path(path: bytes) -> str:
    """A path as text; what no page can show is replaced."""
    text = path.decode(errors="replace")
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def _content(path: bytes) -> bytes | None:
    """The bytes of a file, one more than the limit at most; None for what is no file or may not be read."""
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError:
        return None
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            return None
        return os.read(descriptor, min(facts.st_size, LARGEST_FILE) + 1)
    except OSError:
        return None
    finally:
        os.close(descriptor)
