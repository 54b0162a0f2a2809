"""Which files of a checkout are read: tracked or not ignored, and no link."""

import os
from collections.abc import Iterator
from pathlib import Path

from flags.scanning.git import listed_files
from flags.scanning.ignoring import Rules, is_ignored, parse_rules


def files_below(folder: Path, *, with_git: bool = True) -> list[bytes]:
    """Paths relative to a folder, sorted. Git is asked; without it `.gitignore` files are read as git would."""
    listed = listed_files(folder) if with_git else None
    if listed is None:
        return sorted(_walked(folder))
    inside = {parent: _is_inside(folder, parent) for parent in {os.path.dirname(path) for path in listed}}
    return sorted(path for path in listed if inside[os.path.dirname(path)])


def _is_inside(folder: Path, parent: bytes) -> bool:
    """Whether no link stands in the way: a tracked folder may have been replaced by one that leads elsewhere."""
    whole = os.path.join(os.path.realpath(os.fsencode(folder)), parent).rstrip(b"/")
    return os.path.realpath(whole) == whole


def _walked(folder: Path) -> Iterator[bytes]:
    root = _root_of(folder)
    below = os.fsencode(folder.resolve().relative_to(root).as_posix())
    start = b"" if below == b"." else below + b"/"
    levels = [_rules(root / ".git" / "info" / "exclude", b""), _rules(root / ".gitignore", b"")]
    for at in (number + 1 for number, byte in enumerate(start) if byte == ord("/")):
        levels.append(_rules(root / os.fsdecode(start[:at]) / ".gitignore", start[:at]))
    waiting = [(start, tuple(level for level in levels if level.rules))]
    while waiting:
        parent, rules = waiting.pop()
        for entry in _entries(os.path.join(os.fsencode(root), parent)):
            path = parent + entry.name
            is_folder = entry.is_dir(follow_symlinks=False)
            if entry.name == b".git" or entry.is_symlink() or is_ignored(path, rules, is_folder=is_folder):
                continue
            if is_folder:
                own = _rules(Path(os.fsdecode(entry.path)) / ".gitignore", path + b"/")
                waiting.append((path + b"/", (*rules, own) if own.rules else rules))
            else:
                yield path[len(start) :]


def _root_of(folder: Path) -> Path:
    """The nearest folder above that holds `.git`, else the folder itself."""
    folder = folder.resolve()
    return next((each for each in (folder, *folder.parents) if (each / ".git").exists()), folder)


def _entries(folder: bytes) -> list[os.DirEntry[bytes]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def _rules(file: Path, folder: bytes) -> Rules:
    """The rules of an ignore file; none where it is missing. Git does not follow a link that stands for one."""
    try:
        return parse_rules(b"" if file.is_symlink() else file.read_bytes(), folder=folder)
    except OSError:
        return Rules(folder, ())
