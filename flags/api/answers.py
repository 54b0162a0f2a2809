"""Resolutions as OFREP writes them. Answers that an environment gives again and again are rendered once."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from flags.api import metrics
from flags.api.wire import to_json
from flags.evaluation.compile import CompiledSnapshot
from flags.evaluation.resolution import ErrorCode, Reason, Resolution

_OPAQUE_TAG = re.compile(r'"[^"]*"')


class BulkAnswer(NamedTuple):
    """The body of a bulk answer, and a digest of what it says."""

    body: bytes
    content: str


class _Stale:
    """The answers of a snapshot as they state one age in seconds, by the identity of the resolution.

    The snapshot is kept beside them: as long as it lives, its resolutions live and no other object can have their
    identity. Digests are of the answers without an age.
    """

    __slots__ = ("_parts", "seconds", "snapshot")

    def __init__(self, snapshot: CompiledSnapshot, seconds: int) -> None:
        self.snapshot = snapshot
        self.seconds = seconds
        self._parts: dict[int, tuple[bytes, bytes]] = {}

    def part(self, flag_key: str, resolution: Resolution) -> tuple[bytes, bytes]:
        """One answer and its digest."""
        part = self._parts.get(id(resolution))
        if part is None:
            part = _rendered_with_digest(flag_key, resolution, self.seconds)
            if _belongs(resolution, flag_key, self.snapshot):
                self._parts[id(resolution)] = part
        return part


# Stale answers are rendered anew each second, since they say it.
_stale: dict[str, _Stale] = {}


def render(
    snapshot: CompiledSnapshot, flag_key: str, resolution: Resolution, *, stale_seconds: int | None = None
) -> bytes:
    """The JSON object of one flag's answer, a success or a failure."""
    if stale_seconds is not None:
        return _stale_answers(snapshot, stale_seconds).part(flag_key, resolution)[0]
    try:
        return resolution.written
    except AttributeError:
        return _part(snapshot, flag_key, resolution)[0]


def render_all(
    snapshot: CompiledSnapshot,
    resolutions: Mapping[str, Resolution],
    *,
    stale_seconds: int | None = None,
    streams: bytes = b"",
) -> BulkAnswer:
    """The JSON object of a bulk answer; `streams` is that of its streams.

    Its digest is made of those of its parts, so a context that changes the answer changes it. The age of a stale answer
    stays out of it, or no tag would last a second. Streams count: their tickets lapse, and a 304 has none.
    """
    facts: dict[str, Any] = {"environment": snapshot.environment_key, "revision": snapshot.revision}
    if stale_seconds is not None:
        facts["staleSeconds"] = stale_seconds
    further = b',"eventStreams":' + streams if streams else b""
    answers, digests = _parts(snapshot, resolutions, stale_seconds)
    body = b'{"flags":[%b],"metadata":%b%b}' % (b",".join(answers), to_json(facts), further)
    return BulkAnswer(body, _content(snapshot, digests, further))


def failure_document(flag_key: str | None, code: ErrorCode, message: str) -> bytes:
    """The JSON object of a failure; a bulk request as a whole has no flag key."""
    key = {} if flag_key is None else {"key": flag_key}
    return to_json({**key, "errorCode": code.value, "errorDetails": message})


def is_known(etag: str, if_none_match: str) -> bool:
    """Whether `If-None-Match` names the tag: a list, weak or strong, or `*`. Comparison is weak (RFC 9110, 13.1.2)."""
    return if_none_match.strip() == "*" or etag in _OPAQUE_TAG.findall(if_none_match)


def _parts(
    snapshot: CompiledSnapshot, resolutions: Mapping[str, Resolution], stale_seconds: int | None
) -> tuple[list[bytes], list[bytes]]:
    """The answers and their digests."""
    if stale_seconds is None:
        try:
            given = resolutions.values()
            return [each.written for each in given], [each.digest for each in given]
        except AttributeError:
            pairs = [_part(snapshot, key, resolution) for key, resolution in resolutions.items()]
    else:
        stale = _stale_answers(snapshot, stale_seconds)
        pairs = [stale.part(key, resolution) for key, resolution in resolutions.items()]
    return [answer for answer, _ in pairs], [digest for _, digest in pairs]


def _part(snapshot: CompiledSnapshot, flag_key: str, resolution: Resolution) -> tuple[bytes, bytes]:
    """A fresh answer and its digest, kept with the resolution if that is of this flag alone."""
    try:
        return resolution.written, resolution.digest
    except AttributeError:
        answer, digest = _rendered_with_digest(flag_key, resolution, None)
    if _belongs(resolution, flag_key, snapshot):
        resolution.keep(answer, digest)
    return answer, digest


def _belongs(resolution: Resolution, flag_key: str, snapshot: CompiledSnapshot) -> bool:
    """Whether it is one of the flag's own, and not one that several keys share."""
    return any(resolution is known for known in snapshot.answers(flag_key))


def _content(snapshot: CompiledSnapshot, digests: list[bytes], further: bytes) -> str:
    facts = f"{snapshot.environment_key}\n{snapshot.revision}\n".encode()
    return hashlib.sha256(facts + b"".join(digests) + further).hexdigest()[:32]


def _stale_answers(snapshot: CompiledSnapshot, seconds: int) -> _Stale:
    environment_id = snapshot.snapshot.environment_id
    stale = _stale.get(environment_id)
    if stale is None or stale.snapshot is not snapshot or stale.seconds != seconds:
        stale = _stale[environment_id] = _Stale(snapshot, seconds)
    return stale


def _rendered_with_digest(flag_key: str, resolution: Resolution, stale_seconds: int | None) -> tuple[bytes, bytes]:
    metrics.rendered()
    document = _document(flag_key, resolution)
    if stale_seconds is None or resolution.error_code is not None:
        answer = to_json(document)
        return answer, _digest(answer)
    metadata = document["metadata"]
    metadata["reason"] = document["reason"]
    document["reason"] = Reason.STALE
    digest = _digest(to_json(document))
    metadata["staleSeconds"] = stale_seconds
    return to_json(document), digest


def _digest(answer: bytes) -> bytes:
    return hashlib.sha256(answer).digest()[:16]


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
