"""The embedded broker's messages, whole before a worker sees them.

Kombu's own way opens a message's file under its final name and fills it afterwards: a worker that looks in between
reads nothing, and stops.
"""

import time
import uuid
from pathlib import Path
from typing import Any

from kombu.transport import filesystem
from kombu.utils.json import dumps


class Channel(filesystem.Channel):
    """Messages as files that come into being at once."""

    def _put(self, queue: str, payload: Any, **_options: Any) -> None:  # type: ignore[override]
        name = f"{round(time.monotonic() * 1000)}_{uuid.uuid4()}.{queue}.msg"
        folder = Path(self.data_folder_out)
        # No reader takes a file of another ending.
        draft = folder / f"{name}.part"
        draft.write_text(dumps(payload))  # type: ignore[no-untyped-call]
        draft.replace(folder / name)


class Transport(filesystem.Transport):
    """The transport of `filesystem://` with such messages."""

    Channel = Channel
