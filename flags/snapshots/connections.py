"""Database connections of background threads: beside the pool of the requests, and quick to give up."""

import os
import socket
from collections.abc import Callable
from contextlib import suppress

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

Cut = Callable[[], None]

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


def use_separate_connection() -> Cut | None:
    """Let everything this thread does with the default database go over a connection of its own.

    Returns what ends whatever the thread waits for there, for another thread to call. SQLite has no server that could
    be away, and its file may be replaced by a backup: it is opened for every look, and there is nothing to cut.
    """
    if connections[DEFAULT_DB_ALIAS].vendor != "postgresql":
        return None
    separate = separate_connection()
    connections[DEFAULT_DB_ALIAS] = separate
    return lambda: _cut(separate)


def _cut(wrapper: BaseDatabaseWrapper) -> None:
    """Shut the socket, which wakes its thread with an error. Nothing that asks the server would get through to it."""
    connection = wrapper.connection
    if connection is None:
        return
    # It may be closed at this very moment, which is as good.
    with suppress(Exception), socket.socket(fileno=os.dup(connection.fileno())) as shared:
        shared.shutdown(socket.SHUT_RDWR)
