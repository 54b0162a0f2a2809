"""Database connections of background threads: beside the pool of the requests, and quick to give up."""

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

# For libpq: a server that does not answer, and one that vanished without a word.
_IMPATIENT = {
    "connect_timeout": 2,
    "tcp_user_timeout": 5000,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}


def separate_connection() -> BaseDatabaseWrapper:
    """A connection of our own to the default database. The pool waits 20 seconds for a server that is away."""
    shared = connections[DEFAULT_DB_ALIAS]
    given = shared.settings_dict
    options = {name: value for name, value in given["OPTIONS"].items() if name != "pool"}
    if shared.vendor == "postgresql":
        options |= _IMPATIENT
    persistent = {"OPTIONS": options, "CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": False}
    return type(shared)({**given, **persistent}, DEFAULT_DB_ALIAS)


def use_separate_connection() -> None:
    """Let everything this thread does with the default database go over a connection of its own.

    SQLite has no server that could be away, and its file may be replaced by a backup: it is opened for every look.
    """
    if connections[DEFAULT_DB_ALIAS].vendor == "postgresql":
        connections[DEFAULT_DB_ALIAS] = separate_connection()
