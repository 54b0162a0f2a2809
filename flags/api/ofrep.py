"""The evaluation API: OFREP 0.3.0 as one function from request to answer, without a framework.

Nothing of an evaluation context is stored, logged or repeated in an answer.
"""

import re
import traceback
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from time import perf_counter

import structlog

from flags.api import metrics, stream_tickets, tracing
from flags.api.answers import failure_document, is_known, render, render_all
from flags.api.compression import MIN_BYTES, compress, takes_gzip
from flags.api.contexts import UnusableBody, read_context
from flags.api.cors import PREFLIGHT_HEADERS
from flags.api.edge import Edge
from flags.api.refusals import length_required, refused, too_many, unavailable
from flags.api.tokens import presented_secret
from flags.api.wire import JSON_TYPE, Refused, WireRequest, WireResponse, json_response
from flags.evaluation.compile import CompiledSnapshot
from flags.evaluation.resolution import ErrorCode, Resolution
from flags.snapshots import SnapshotStore, SnapshotsUnavailable, TokenFacts

logger = structlog.get_logger(__name__)

BULK_PATH = "/ofrep/v1/evaluate/flags"
SINGLE_PREFIX = BULK_PATH + "/"
_PREFIX_CHARACTERS = len(SINGLE_PREFIX)
MAX_SINGLE_BYTES = 64 * 1024
MAX_BULK_BYTES = 256 * 1024
# The only headers an adapter needs to hand over.
HEADERS_READ = (
    "x-api-key",
    "authorization",
    "content-type",
    "content-encoding",
    "accept-encoding",
    "if-none-match",
    "origin",
    "x-request-id",
    "traceparent",
    "tracestate",
)

ALLOW = "OPTIONS, POST"
_STATUS = {None: 200, ErrorCode.FLAG_NOT_FOUND: 404}
_EVALUATING = frozenset({"evaluate", "client"})
_NO_FLAG_KEY = ""
_SINGLE_HEADERS = {"Content-Type": JSON_TYPE, "Cache-Control": "no-store"}
_BULK_HEADERS = {"Cache-Control": "private, no-cache", "Vary": "Accept-Encoding"}
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_ANY_EDGE = Edge()


@dataclass(slots=True)
class _Course:
    """What becomes of a request on its way: for the next step, and for those who count and trace."""

    request: WireRequest
    now: datetime
    kind: str = "other"
    flag_key: str | None = None
    is_client: bool = False
    stale_seconds: int | None = None
    snapshot: CompiledSnapshot | None = None
    resolutions: Mapping[str, Resolution] = field(default_factory=dict)


def handle(request: WireRequest, *, store: SnapshotStore, now: datetime, edge: Edge = _ANY_EDGE) -> WireResponse:
    """Answer one evaluation request. Never raises."""
    started = perf_counter()
    course = _Course(request, now)
    try:
        response = _answer(course, store=store, edge=edge)
    except Refused as refusal:
        response = refusal.response
    except SnapshotsUnavailable:
        response = unavailable()
    except Exception as error:
        response = _failed(request, error)
    response = _finished(request, response, edge=edge)
    seconds = perf_counter() - started
    metrics.finished(course.kind, response.status, seconds)
    if tracing.hook is not None:
        _trace(course, status=response.status, seconds=seconds)
    return response


def answer_without_length(request: WireRequest, *, edge: Edge = _ANY_EDGE) -> WireResponse:
    """The answer to a body whose end the server in front cannot find."""
    return _finished(request, length_required(), edge=edge)


def _answer(course: _Course, *, store: SnapshotStore, edge: Edge) -> WireResponse:
    request, now = course.request, course.now
    flag_key = course.flag_key = _flag_key(request.path)
    course.kind = "bulk" if flag_key is None else "single"
    if request.method == "OPTIONS":
        return WireResponse(204, {"Allow": ALLOW, **PREFLIGHT_HEADERS}, b"")
    if request.method != "POST":
        raise refused(405, "method_not_allowed", "Evaluate with POST.", Allow=ALLOW)
    token = _authenticate(request, store=store, now=now)
    excess = None if edge.limiter is None else edge.limiter.excess(token.id, now=now)
    if excess is not None:
        raise too_many(excess)
    snapshot = course.snapshot = store.snapshot(token.environment_id)
    if snapshot is None:
        raise SnapshotsUnavailable
    context = _read_context(request, flag_key)
    course.is_client = token.scope == "client"
    age = store.staleness(now=now)
    course.stale_seconds = None if age is None else int(age)
    if flag_key is None:
        return _bulk(course, snapshot, context, token=token)
    return _single(course, snapshot, context, flag_key=flag_key)


def _single(course: _Course, snapshot: CompiledSnapshot, context: dict[str, object], *, flag_key: str) -> WireResponse:
    """One flag. What a client token may not see is, byte for byte, a flag that does not exist."""
    is_hidden = course.is_client and flag_key not in snapshot.client_flag_keys
    resolution = snapshot.evaluate(_NO_FLAG_KEY if is_hidden else flag_key, context, course.now)
    course.resolutions = {flag_key: resolution}
    metrics.answered(snapshot, (resolution,), stale=course.stale_seconds is not None)
    body = render(snapshot, flag_key, resolution, stale_seconds=course.stale_seconds)
    return WireResponse(_STATUS.get(resolution.error_code, 400), _SINGLE_HEADERS, body)


def _bulk(
    course: _Course, snapshot: CompiledSnapshot, context: dict[str, object], *, token: TokenFacts
) -> WireResponse:
    """Evaluate first, compare second: the tag depends on the answer, not on the revision alone.

    `no-cache` because a client may keep the answer, provided that it asks again with its tag.
    """
    resolutions = course.resolutions = snapshot.evaluate_all(context, course.now, client_only=course.is_client)
    metrics.answered(snapshot, resolutions.values(), stale=course.stale_seconds is not None)
    streams = stream_tickets.event_streams(token, now=course.now, since=stream_tickets.position(snapshot))
    body, etag = render_all(snapshot, resolutions, stale_seconds=course.stale_seconds, streams=streams)
    read = course.request.headers.get
    is_compressed = len(body) >= MIN_BYTES and takes_gzip(read("accept-encoding", ""))
    headers = {**_BULK_HEADERS, "ETag": f"W/{etag}" if is_compressed else etag}
    if_none_match = read("if-none-match", "")
    if if_none_match and is_known(etag, if_none_match):
        return WireResponse(304, headers, b"")
    headers["Content-Type"] = JSON_TYPE
    if is_compressed:
        headers["Content-Encoding"] = "gzip"
        body = compress(body, etag=etag, stale_seconds=course.stale_seconds)
    return WireResponse(200, headers, body)


def _finished(request: WireRequest, response: WireResponse, *, edge: Edge) -> WireResponse:
    """The answer with what every answer carries. Whether it has a length is the same behind every door."""
    status, headers, body = response
    further = edge.headers(request.headers.get("origin", ""))
    complete = {**headers, **further}
    if "Vary" in further and "Vary" in headers:
        complete["Vary"] = f"{headers['Vary']}, {further['Vary']}"
    if body:
        complete["Content-Length"] = str(len(body))
    return WireResponse(status, complete, body)


def _trace(course: _Course, *, status: int, seconds: float) -> None:
    hook, snapshot = tracing.hook, course.snapshot
    try:
        if hook is not None:
            hook(tracing.Evaluation(course.request, course.flag_key, status, seconds, snapshot, course.resolutions))
    except Exception as error:
        logger.error("tracing_failed", error=type(error).__name__)


def _failed(request: WireRequest, error: Exception) -> WireResponse:
    """The answer to a bug of ours. The id leads from it to the log line, which has nothing of the context."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    correlation_id = str(uuid.uuid4())
    request_id = request.headers.get("x-request-id", "")
    logger.error(
        "evaluation_failed",
        error=type(error).__name__,
        file=place.filename,
        line=place.lineno,
        correlation_id=correlation_id,
        request_id=request_id if _REQUEST_ID.fullmatch(request_id) else None,
    )
    message = "The evaluation failed. Its cause is in the server's log, under the X-Correlation-Id of this answer."
    body = failure_document(None, ErrorCode.GENERAL, message)
    return json_response(500, body, X_Correlation_Id=correlation_id)


def _read_context(request: WireRequest, flag_key: str | None) -> dict[str, object]:
    check_media_type(request)
    limit = MAX_BULK_BYTES if flag_key is None else MAX_SINGLE_BYTES
    if len(request.body) > limit:
        raise refused(413, "body_too_large", f"The body is larger than {limit:,} bytes. Send fewer attributes.")
    try:
        return read_context(request.body)
    except UnusableBody as error:
        document = failure_document(flag_key, error.code, error.message)
        raise Refused(json_response(400, document)) from None


def _flag_key(path: str) -> str | None:
    """The flag key in a path, None for the bulk path."""
    if path.startswith(SINGLE_PREFIX):
        return path[_PREFIX_CHARACTERS:]
    if path == BULK_PATH:
        return None
    raise refused(404, "not_found", f"There is nothing at this address. Evaluate at {BULK_PATH}.")


def _authenticate(request: WireRequest, *, store: SnapshotStore, now: datetime) -> TokenFacts:
    """The token of the request. Missing, unknown, expired and revoked ones get the same answer, byte for byte."""
    secret = presented_secret(request.headers.get("x-api-key", ""), request.headers.get("authorization", ""))
    token = store.token(secret, now=now) if secret else None
    if token is None:
        raise refused(
            401,
            "token_required",
            "No valid token was sent. Send one as X-API-Key or Authorization: Bearer; administrators issue them.",
            WWW_Authenticate='Bearer realm="flagsite"',
        )
    if token.scope not in _EVALUATING:
        raise refused(
            403, "wrong_scope", "This token may not evaluate flags. Use one with the scope “evaluate” or “client”."
        )
    return token


def check_media_type(request: WireRequest) -> None:
    """JSON in UTF-8, not compressed, or no word about it; raises Refused for anything else.

    A charset that is really a codec might unpack the body.
    """
    content_type = request.headers.get("content-type", "")
    if content_type == JSON_TYPE and "content-encoding" not in request.headers:
        return
    if request.headers.get("content-encoding", "").strip().lower() not in {"", "identity"}:
        raise refused(415, "unsupported_encoding", "Compressed bodies are not accepted. Send the JSON as it is.")
    media_type, *parameters = content_type.split(";")
    charsets = [value for name, _, value in (part.partition("=") for part in parameters) if _is_charset(name)]
    if media_type.strip().lower() not in {"", "application/json"} or not all(map(_is_utf8, charsets)):
        raise refused(
            415, "unsupported_media_type", "The body must be application/json in UTF-8. Say so in Content-Type."
        )


def _is_charset(name: str) -> bool:
    return name.strip().lower() == "charset"


def _is_utf8(charset: str) -> bool:
    return charset.strip().strip('"').lower() in {"utf-8", "utf8"}
