"""Keys that were evaluated and not found, until somebody writes them down: whose they are is looked up then. No I/O.

Of a key nothing is kept but a mark, how often it was asked for, and the key itself where it may be kept. Only as many
are kept as fit.
"""

import os
import uuid
from collections.abc import Mapping

from flags.telemetry.labels import flag_mark
from flags.telemetry.unknown_keys import FURTHER, Keeping, Unserved

MOST = 1_000

Marks = Mapping[uuid.UUID, Mapping[str, Unserved]]


class Unanswered:
    """What was noted since it was taken last, by environment and mark."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew: in a forked child, and between tests."""
        self._noted: dict[uuid.UUID, dict[str, Unserved]] = {}
        self._keeping: dict[uuid.UUID, Keeping] = {}

    def note(self, environment_id: uuid.UUID, flag_key: str) -> None:
        """Somebody asked for a flag that the environment does not serve."""
        noted, mark = self._noted.setdefault(environment_id, {}), flag_mark(flag_key)
        found = noted.get(mark)
        if found is None and len(noted) < MOST:
            keeping = self._keeping.setdefault(environment_id, Keeping())
            found = noted.setdefault(mark, Unserved(keeping.kept(flag_key)))
        elif found is None:
            found = noted.setdefault(FURTHER, Unserved(FURTHER))
        found.count += 1

    def take(self) -> Marks:
        """What was noted, which is forgotten."""
        taken = self._noted
        self.forget()
        return taken


unanswered = Unanswered()
os.register_at_fork(after_in_child=unanswered.forget)
