"""What goes over a stream: server-sent events as OFREP's change notification (ADR-0008) wants them. Pure."""

import json
import re
from datetime import datetime

# A comment; proxies close connections on which nothing moves.
KEEP_ALIVE = b": still here\n\n"
_POSITION = re.compile(r"[0-9]{1,19}(-[0-9a-f]{12})?")


def opening(position: str, *, retry_milliseconds: int) -> bytes:
    """The first bytes: when to come back after a break, and from where on. Without data it is not an event yet."""
    return f"retry: {retry_milliseconds}\nid: {position}\n\n".encode("ascii")


def refetch(position: str, *, at: datetime) -> bytes:
    """Asks a client to evaluate again. `at` is when the change was noticed here."""
    data = {"type": "refetchEvaluation", "etag": position, "lastModified": int(at.timestamp())}
    text = json.dumps(data, separators=(",", ":"))
    return f"event: message\nid: {position}\ndata: {text}\n\n".encode("ascii")


def read_position(text: str) -> str:
    """The position a client says it is at; "" when it says none or something that no stream ever said."""
    return text if _POSITION.fullmatch(text, 0, 40) else ""
