"""Carrying out an act in one transaction, again when another act stood in its way."""

import random
import time
from collections.abc import Callable
from functools import partial, wraps
from typing import ParamSpec, TypeVar

from django.db import OperationalError, transaction

from flags.errors import ConcurrentUpdate

P = ParamSpec("P")
T = TypeVar("T")

ATTEMPTS = 6
_LONGEST_PAUSE_SECONDS = 0.4
# PostgreSQL: serialization failure, deadlock, lock not available. The loser of a deadlock has done nothing wrong.
_RETRYABLE = frozenset({"40001", "40P01", "55P03"})


def attempt(act: Callable[[], T]) -> T:
    """Run `act` in a transaction and return its result; run it again when the database was busy with somebody else's.

    Raises ConcurrentUpdate when it stayed busy. Inside a transaction of the caller there is one attempt only, because
    only the caller could begin anew.
    """
    if transaction.get_connection().in_atomic_block:
        with transaction.atomic():
            return act()
    for number in range(1, ATTEMPTS + 1):
        try:
            with transaction.atomic():
                return act()
        except OperationalError as error:
            if not is_busy(error):
                raise
        # The pause differs, so that two that met do not meet again.
        time.sleep(random.uniform(0.2, 1.0) * _LONGEST_PAUSE_SECONDS * number / ATTEMPTS)  # noqa: S311
    raise ConcurrentUpdate("Many people are changing things here right now. Nothing was done: try again in a moment.")


def attempted(act: Callable[P, T]) -> Callable[P, T]:
    """Decorate a writer so that every call of it is an `attempt`."""

    @wraps(act)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return attempt(partial(act, *args, **kwargs))

    return call


def is_busy(error: OperationalError) -> bool:
    """Whether the database refused because of somebody else's transaction, not because something is wrong."""
    if getattr(error.__cause__, "sqlstate", None) in _RETRYABLE:
        return True
    text = str(error)
    return "database is locked" in text or "database table is locked" in text
