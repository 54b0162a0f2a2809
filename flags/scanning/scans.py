"""What a scan says: which flags are named in which lines of which files."""

from dataclasses import dataclass
from typing import NamedTuple


class Found(NamedTuple):
    """One flag in one line. `alias` is the name that stood there, empty for the key itself; `line` and `column` count
    from 1; `text` is the line, empty unless lines were asked for.
    """

    flag_key: str
    alias: str
    line: int
    column: int
    text: str = ""


class FileReferences(NamedTuple):
    """The flags named in one file; `path` goes from the repository's root, with slashes."""

    path: str
    found: tuple[Found, ...]


@dataclass(frozen=True, slots=True)
class Scan:
    """Everything found in one checkout. `root` is the folder that was looked at, empty for the whole repository.

    `other_files` are links, folders of other repositories, and what may not be read.
    """

    branch: str
    commit: str
    root: str
    files: tuple[FileReferences, ...]
    files_read: int
    seconds: float
    binary_files: int = 0
    large_files: int = 0
    other_files: int = 0

    @property
    def references(self) -> int:
        """How many lines name a flag, counted once for each flag."""
        return sum(len(file.found) for file in self.files)
