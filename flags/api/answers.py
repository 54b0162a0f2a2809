"""Resolutions as OFREP writes them. Answers that an environment gives again and again are rendered once."""

import re
from collections.abc import Sequence
from typing import Any

from flags.api import metrics
from flags.api.wire import to_json
from flags.evaluation.compile import CompiledSnapshot
from flags.evaluation.plans import Plan
from flags.evaluation.resolution import ErrorCode, Reason, Resolution

_OPAQUE_TAG = re.compile(r'"[^"]*"')


class _Stale:
    """The answers of a snapshot as they state one age in seconds, by the identity of the resolution.

    The snapshot is kept beside them: as long as it lives, its resolutions live and no other object can have their
    identity.
    """

    __slots__ = ("_answers", "seconds", "snapshot")

    def __init__(self, snapshot: CompiledSnapshot, seconds: int) -> None:
        self.snapshot = snapshot
        self.seconds = seconds
        self._answers: dict[int, bytes] = {}

    def answer(self, flag_key: str, resolution: Resolution) -> bytes:
        """One answer."""
        answer = self._answers.get(id(resolution))
        if answer is None:
            answer = _rendered(flag_key, resolution, self.seconds)
            if _belongs(resolution, flag_key, self.snapshot):
                self._answers[id(resolution)] = answer
        return answer


# Stale answers are rendered anew each second, since they say it.
_stale: dict[str, _Stale] = {}


def render(
    snapshot: CompiledSnapshot, flag_key: str, resolution: Resolution, *, stale_seconds: int | None = None
) -> bytes:
    """The JSON object of one flag's answer, a success or a failure."""
    if stale_seconds is not None:
        return _stale_answers(snapshot, stale_seconds).answer(flag_key, resolution)
    try:
        return resolution.written
    except AttributeError:
        return _fresh(snapshot, flag_key, resolution)


def render_all(
    snapshot: CompiledSnapshot,
    plan: Plan,
    decided: Sequence[Resolution],
    *,
    stale_seconds: int | None = None,
    streams: bytes = b"",
) -> bytes:
    """The JSON object of a bulk answer: what a plan has fixed, then what was decided; `streams` is that of its streams.

    What answers have in common is written once: only what the context decides is put together here.
    """
    if stale_seconds is None:
        before, after = _frame(snapshot, plan)
        try:
            answers = [each.written for each in decided]
        except AttributeError:
            answers = [render(snapshot, key, each) for key, each in zip(plan.open_keys, decided, strict=True)]
    else:
        stale = _stale_answers(snapshot, stale_seconds)
        before, after = _around([stale.answer(*each) for each in plan.fixed.items()], plan, snapshot, stale_seconds)
        answers = [stale.answer(key, each) for key, each in zip(plan.open_keys, decided, strict=True)]
    further = b',"eventStreams":' + streams if streams else b""
    return b"%b%b%b%b}" % (before, b",".join(answers), after, further)


def failure_document(flag_key: str | None, code: ErrorCode, message: str) -> bytes:
    """The JSON object of a failure; a bulk request as a whole has no flag key."""
    key = {} if flag_key is None else {"key": flag_key}
    return to_json({**key, "errorCode": code.value, "errorDetails": message})


def is_known(etag: str, if_none_match: str) -> bool:
    """Whether `If-None-Match` names the tag: a list, weak or strong, or `*`. Comparison is weak (RFC 9110, 13.1.2)."""
    return if_none_match.strip() == "*" or etag in _OPAQUE_TAG.findall(if_none_match)


def _frame(snapshot: CompiledSnapshot, plan: Plan) -> tuple[bytes, bytes]:
    """What stands before and behind fresh answers that the context decides."""
    try:
        return plan.frame
    except AttributeError:
        fixed = [render(snapshot, key, each) for key, each in plan.fixed.items()]
        plan.frame = _around(fixed, plan, snapshot, None)
        return plan.frame


def _around(
    fixed: list[bytes], plan: Plan, snapshot: CompiledSnapshot, stale_seconds: int | None
) -> tuple[bytes, bytes]:
    facts: dict[str, Any] = {"environment": snapshot.environment_key, "revision": snapshot.revision}
    if stale_seconds is not None:
        facts["staleSeconds"] = stale_seconds
    between = b"," if fixed and plan.open_keys else b""
    return b'{"flags":[%b%b' % (b",".join(fixed), between), b'],"metadata":' + to_json(facts)


def _fresh(snapshot: CompiledSnapshot, flag_key: str, resolution: Resolution) -> bytes:
    """A fresh answer, kept with the resolution if that is of this flag alone."""
    answer = _rendered(flag_key, resolution, None)
    if _belongs(resolution, flag_key, snapshot):
        resolution.keep(answer)
    return answer


def _belongs(resolution: Resolution, flag_key: str, snapshot: CompiledSnapshot) -> bool:
    """Whether it is one of the flag's own, and not one that several keys share."""
    return any(resolution is known for known in snapshot.answers(flag_key))


def _stale_answers(snapshot: CompiledSnapshot, seconds: int) -> _Stale:
    environment_id = snapshot.snapshot.environment_id
    stale = _stale.get(environment_id)
    if stale is None or stale.snapshot is not snapshot or stale.seconds != seconds:
        stale = _stale[environment_id] = _Stale(snapshot, seconds)
    return stale


def _rendered(flag_key: str, resolution: Resolution, stale_seconds: int | None) -> bytes:
    metrics.rendered()
    document = _document(flag_key, resolution)
    if stale_seconds is not None and resolution.error_code is None:
        document["metadata"] |= {"reason": document["reason"], "staleSeconds": stale_seconds}
        document["reason"] = Reason.STALE
    return to_json(document)


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
