"""Folders and files that only the user of the process can read: they hold hashes of tokens and passwords."""

import os
import sqlite3
from pathlib import Path
from typing import Any


def make_private_folder(folder: Path) -> None:
    """Create a folder, and those above it that are missing, for this user alone. One that exists stays as it is."""
    if folder.is_dir():
        return
    if folder.parent != folder:
        make_private_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)


class PrivateConnection(sqlite3.Connection):
    """A SQLite connection whose database, if it is new, only this user can read.

    SQLite gives a new file to everybody the umask lets in, and the files beside it (WAL, shared memory) the mode of the
    database. The umask itself is everybody's: changing it would also close the static files that a build collects.
    """

    def __init__(self, database: str, *args: Any, **kwargs: Any) -> None:
        if not database.startswith(("file:", ":memory:")) and not os.path.exists(database):
            _create_private_file(database)
        super().__init__(database, *args, **kwargs)


def _create_private_file(name: str) -> None:
    """Create an empty file, which SQLite takes for an empty database. What goes wrong, SQLite itself will say."""
    try:
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError:
        return
