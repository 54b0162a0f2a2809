"""Resolutions as OFREP writes them. Answers that an environment gives again and again are rendered once."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from flags.api.wire import to_json
from flags.evaluation.compile import CompiledSnapshot
from flags.evaluation.resolution import ErrorCode, Resolution

_OPAQUE_TAG = re.compile(r'"[^"]*"')

# The rendered answers of the snapshot each environment serves now, by the identity of the resolution. The snapshot is
# kept beside them: as long as it lives, its resolutions live and no other object can have their identity.
_rendered: dict[str, tuple[CompiledSnapshot, dict[int, bytes]]] = {}


def render(snapshot: CompiledSnapshot, flag_key: str, resolution: Resolution) -> bytes:
    """The JSON object of one flag's answer, a success or a failure."""
    ready = _ready_answers(snapshot)
    answer = ready.get(id(resolution))
    if answer is None:
        answer = to_json(_document(flag_key, resolution))
        # A resolution that several keys share, as the one for unknown flags is, does not belong to any of them.
        if any(resolution is known for known in snapshot.answers(flag_key)):
            ready[id(resolution)] = answer
    return answer


def render_all(snapshot: CompiledSnapshot, resolutions: Mapping[str, Resolution]) -> bytes:
    """The JSON object of a bulk answer."""
    flags = b",".join([render(snapshot, key, resolution) for key, resolution in resolutions.items()])
    metadata = to_json({"environment": snapshot.environment_key, "revision": snapshot.revision})
    return b'{"flags":[' + flags + b'],"metadata":' + metadata + b"}"


def failure_document(flag_key: str | None, code: ErrorCode, message: str) -> bytes:
    """The JSON object of a failure; a bulk request as a whole has no flag key."""
    key = {} if flag_key is None else {"key": flag_key}
    return to_json({**key, "errorCode": code.value, "errorDetails": message})


def etag_of(body: bytes) -> str:
    """The entity tag of an answer: of its bytes, so a context that changes the answer changes the tag."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def is_known(etag: str, if_none_match: str) -> bool:
    """Whether `If-None-Match` names the tag: a list, weak or strong, or `*`. Comparison is weak (RFC 9110, 13.1.2)."""
    return if_none_match.strip() == "*" or etag in _OPAQUE_TAG.findall(if_none_match)


def _ready_answers(snapshot: CompiledSnapshot) -> dict[int, bytes]:
    environment_id = snapshot.snapshot.environment_id
    entry = _rendered.get(environment_id)
    if entry is None or entry[0] is not snapshot:
        entry = _rendered[environment_id] = (snapshot, {})
    return entry[1]


def _document(flag_key: str, resolution: Resolution) -> dict[str, Any]:
    """`variant` is always there, empty without one: published providers fail on its absence.

    An answer without `value` leaves the decision to the caller's code default.
    """
    metadata = dict(resolution.metadata)
    if resolution.error_code is not None:
        details = resolution.error_message
        return {"key": flag_key, "errorCode": resolution.error_code, "errorDetails": details, "metadata": metadata}
    value = {"value": resolution.value} if resolution.has_value else {}
    return {
        "key": flag_key,
        "reason": resolution.reason,
        "variant": resolution.variant or "",
        **value,
        "metadata": metadata,
    }
