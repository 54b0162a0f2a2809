"""Keys that were evaluated and not found, as marks: whether they are flags of the past is looked up later. No I/O.

Nothing of a key that never was a flag's can be read from its mark. Only as many are kept as fit.
"""

import os
import uuid
from collections.abc import Mapping

from flags.telemetry.labels import flag_mark

MOST = 1_000

Marks = Mapping[uuid.UUID, set[str]]


class Unanswered:
    """The marks noted since they were taken last, by environment."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew: in a forked child, and between tests."""
        self._noted: dict[uuid.UUID, set[str]] = {}

    def note(self, environment_id: uuid.UUID, flag_key: str) -> None:
        """Somebody asked for a flag that the environment does not serve."""
        noted = self._noted.setdefault(environment_id, set())
        if len(noted) < MOST:
            noted.add(flag_mark(flag_key))

    def take(self) -> Marks:
        """What was noted, which is forgotten."""
        taken, self._noted = self._noted, {}
        return taken


unanswered = Unanswered()
os.register_at_fork(after_in_child=unanswered.forget)
