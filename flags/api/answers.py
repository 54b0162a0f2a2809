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
    """The body of a bulk answer and its strong entity tag."""

    body: bytes
    etag: str


class _Ready:
    """The rendered answers of a snapshot, by the identity of the resolution; `stale_seconds` is the age they state.

    The snapshot is kept beside them: as long as it lives, its resolutions live and no other object can have their
    identity. `digests` are of the answers without an age.
    """

    __slots__ = ("answers", "digests", "metadata", "snapshot", "stale_seconds")

    def __init__(self, snapshot: CompiledSnapshot, stale_seconds: int | None) -> None:
        facts: dict[str, Any] = {"environment": snapshot.environment_key, "revision": snapshot.revision}
        if stale_seconds is not None:
            facts["staleSeconds"] = stale_seconds
        self.snapshot = snapshot
        self.stale_seconds = stale_seconds
        self.metadata = to_json(facts)
        self.answers: dict[int, bytes] = {}
        self.digests: dict[int, bytes] = {}

    def add(self, flag_key: str, resolution: Resolution) -> tuple[bytes, bytes]:
        """Render an answer; keep it if it belongs to this flag, which one that several keys share does not."""
        metrics.rendered()
        answer, digest = _rendered_with_digest(flag_key, resolution, self.stale_seconds)
        if any(resolution is known for known in self.snapshot.answers(flag_key)):
            self.digests[id(resolution)] = digest
            self.answers[id(resolution)] = answer
        return answer, digest


# What each environment serves now, fresh and stale. Stale answers are rendered anew each second, since they say it.
_fresh: dict[str, _Ready] = {}
_stale: dict[str, _Ready] = {}


def render(
    snapshot: CompiledSnapshot, flag_key: str, resolution: Resolution, *, stale_seconds: int | None = None
) -> bytes:
    """The JSON object of one flag's answer, a success or a failure."""
    ready = _ready_answers(snapshot, stale_seconds)
    answer = ready.answers.get(id(resolution))
    return ready.add(flag_key, resolution)[0] if answer is None else answer


def render_all(
    snapshot: CompiledSnapshot,
    resolutions: Mapping[str, Resolution],
    *,
    stale_seconds: int | None = None,
    streams: list[dict[str, Any]] | None = None,
) -> BulkAnswer:
    """The JSON object of a bulk answer.

    Its tag is made of the digests of its parts, so a context that changes the answer changes the tag. The age of a
    stale answer stays out of it, or no tag would last a second. Streams count: their tickets lapse, and a 304 has none.
    """
    ready = _ready_answers(snapshot, stale_seconds)
    identities = list(map(id, resolutions.values()))
    answers: list[Any] = list(map(ready.answers.get, identities))
    if None in answers:
        pairs = [_part(ready, key, resolution) for key, resolution in resolutions.items()]
        answers, digests = [answer for answer, _ in pairs], [digest for _, digest in pairs]
    else:
        digests = list(map(ready.digests.__getitem__, identities))
    further = b',"eventStreams":' + to_json(streams) if streams else b""
    body = b'{"flags":[' + b",".join(answers) + b'],"metadata":' + ready.metadata + further + b"}"
    return BulkAnswer(body, _etag(snapshot, digests, further))


def failure_document(flag_key: str | None, code: ErrorCode, message: str) -> bytes:
    """The JSON object of a failure; a bulk request as a whole has no flag key."""
    key = {} if flag_key is None else {"key": flag_key}
    return to_json({**key, "errorCode": code.value, "errorDetails": message})


def is_known(etag: str, if_none_match: str) -> bool:
    """Whether `If-None-Match` names the tag: a list, weak or strong, or `*`. Comparison is weak (RFC 9110, 13.1.2)."""
    return if_none_match.strip() == "*" or etag in _OPAQUE_TAG.findall(if_none_match)


def _part(ready: _Ready, flag_key: str, resolution: Resolution) -> tuple[bytes, bytes]:
    answer = ready.answers.get(id(resolution))
    return ready.add(flag_key, resolution) if answer is None else (answer, ready.digests[id(resolution)])


def _etag(snapshot: CompiledSnapshot, digests: list[bytes], further: bytes) -> str:
    facts = f"{snapshot.environment_key}\n{snapshot.revision}\n".encode()
    hashed = hashlib.sha256(facts + b"".join(digests) + further)
    return f'"{hashed.hexdigest()[:32]}"'


def _ready_answers(snapshot: CompiledSnapshot, stale_seconds: int | None) -> _Ready:
    kept = _fresh if stale_seconds is None else _stale
    environment_id = snapshot.snapshot.environment_id
    ready = kept.get(environment_id)
    if ready is None or ready.snapshot is not snapshot or ready.stale_seconds != stale_seconds:
        ready = kept[environment_id] = _Ready(snapshot, stale_seconds)
    return ready


def _rendered_with_digest(flag_key: str, resolution: Resolution, stale_seconds: int | None) -> tuple[bytes, bytes]:
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
