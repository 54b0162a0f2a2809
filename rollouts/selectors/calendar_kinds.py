"""One thing that the month of the calendar shows."""

import uuid
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class CalendarEntry:
    """One thing a month shows. `kind` decides colour and symbol; an instant has the same start and end.

    `tags` are those of the flags it is about, empty for all of them.
    """

    kind: str
    title: str
    text: str
    starts_at: datetime
    ends_at: datetime
    environment_ids: frozenset[uuid.UUID]
    route: str
    arguments: tuple[uuid.UUID | str, ...] = ()
    tags: tuple[str, ...] = ()

    @property
    def is_instant(self) -> bool:
        """Whether it happens at one moment."""
        return self.starts_at == self.ends_at
