"""Answers to requests that go no further: RFC 9457 problems of the evaluation API."""

from flags.api.limits import WINDOW_SECONDS, Excess
from flags.api.wire import Refused, WireResponse, problem_response

_ASK_LATER = "Use code defaults, ask again in {seconds} s, and keep answers instead of asking for each."
_ADVICE = {
    "telemetry batches": "Keep what you counted, add it up, and send it in {seconds} s in fewer, larger batches.",
    "scans": "Scan a branch when it changes, and send this one again in {seconds} s with its id.",
}


def refused(status: int, code: str, detail: str, **headers: str) -> Refused:
    """A refusal to raise. Header names are given with underscores."""
    return Refused(problem_response(status, code=code, detail=detail, **headers))


def length_required() -> WireResponse:
    """For a body in chunks where the server does not mark its end."""
    return problem_response(
        411,
        code="length_required",
        detail="The body has no length and this server cannot read it in chunks. Send a Content-Length.",
    )


def too_many(excess: Excess, *, what: str = "evaluations") -> Refused:
    """For a token beyond its rate limit of something, with the headers of draft-ietf-httpapi-ratelimit-headers."""
    advice = _ADVICE.get(what, _ASK_LATER).format(seconds=excess.retry_seconds)
    response = problem_response(
        429,
        code="rate_limited",
        detail=f"This token has made its {excess.limit:,} {what} of this minute. {advice}",
        Retry_After=str(excess.retry_seconds),
        RateLimit_Policy=f'"{what}";q={excess.limit};w={WINDOW_SECONDS}',
        RateLimit=f'"{what}";r=0;t={excess.retry_seconds}',
    )
    return Refused(response)


def unavailable() -> WireResponse:
    """For a process that has never read the flags."""
    return problem_response(
        503,
        code="snapshots_unavailable",
        detail="This process has not been able to read the flags since it started. Use code defaults and try again.",
        Retry_After="1",
    )
