"""One thing that waits for somebody on the desk."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Tone = Literal["bad", "wait", "quiet"]


@dataclass(frozen=True, slots=True)
class DeskTask:
    """One thing to do: what, where it is done, by when. `route` and `arguments` make the address of its page.

    The tone “bad” says that it is overdue.
    """

    title: str
    text: str
    symbol: str
    tone: Tone
    route: str
    arguments: tuple[uuid.UUID | str, ...] = ()
    due_at: datetime | None = None
    query: str = ""
