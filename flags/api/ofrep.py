"""The evaluation API: OFREP 0.3.0 as one function from request to answer, without a framework.

Nothing of an evaluation context is logged or repeated in an answer, and nothing kept but where an environment samples.
"""

import re
import traceback
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from time import perf_counter

import structlog

from flags.api import entity_tags, metrics, stream_tickets, tracing
from flags.api.answers import failure_document, render, render_all
from flags.api.compression import compress, takes_gzip
from flags.api.contexts import UnusableBody, read_context
from flags.api.cors import PREFLIGHT_HEADERS
from flags.api.deprecations import deprecation_headers
from flags.api.edge import Edge
from flags.api.refusals import length_required, refused, too_many, unavailable
from flags.api.tokens import TOKEN_REQUIRED, presented_secret
from flags.api.unanswered import unanswered
from flags.api.wire import JSON_TYPE, Refused, WireRequest, WireResponse, json_response, to_json
from flags.evaluation.compile import CompiledSnapshot
from flags.evaluation.plans import Plan
from flags.evaluation.resolution import ErrorCode, Resolution
from flags.sampling import reservoirs
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
# Status, headers and body: a WireResponse without what every answer carries.
Answer = tuple[int, Mapping[str, str], bytes]
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_ANY_EDGE = Edge()


class _Course:
    """What a request came to, for those who count and trace: of the flag it named, or of those of a plan."""

    snapshot: CompiledSnapshot | None = None
    plan: Plan | None = None
    decided: Sequence[Resolution] = ()
    sampled: Mapping[str, object] | None = None

    def resolutions(self, flag_key: str | None) -> dict[str, Resolution]:
        """Every answer that was given, by flag key."""
        if self.plan is not None:
            return self.plan.fixed | dict(zip(self.plan.open_keys, self.decided, strict=True))
        return {} if flag_key is None else dict(zip([flag_key], self.decided, strict=False))


def handle(request: WireRequest, *, store: SnapshotStore, now: datetime, edge: Edge = _ANY_EDGE) -> WireResponse:
    """Answer one evaluation request. Never raises."""
    started = perf_counter()
    course = _Course()
    kind, flag_key = _asked_for(request.path)
    try:
        if kind == "other":
            raise refused(404, "not_found", f"There is nothing at this address. Evaluate at {BULK_PATH}.")
        answer = _answer(request, flag_key, course, store=store, now=now, edge=edge)
    except Refused as refusal:
        answer = refusal.response
    except SnapshotsUnavailable:
        answer = unavailable()
    except Exception as error:
        answer = _failed(request, error)
    response = _finished(request, answer, edge=edge)
    seconds = perf_counter() - started
    metrics.finished(kind, response.status, seconds)
    if course.sampled is not None:
        _offer(course)
    if tracing.hook is not None:
        resolutions = course.resolutions(flag_key)
        _trace(tracing.Evaluation(request, flag_key, response.status, seconds, course.snapshot, resolutions))
    return response


def answer_without_length(request: WireRequest, *, edge: Edge = _ANY_EDGE) -> WireResponse:
    """The answer to a body whose end the server in front cannot find."""
    return _finished(request, length_required(), edge=edge)


def _answer(
    request: WireRequest, flag_key: str | None, course: _Course, *, store: SnapshotStore, now: datetime, edge: Edge
) -> Answer:
    if request.method != "POST":
        if request.method == "OPTIONS":
            return (204, {"Allow": ALLOW, **PREFLIGHT_HEADERS}, b"")
        raise refused(405, "method_not_allowed", "Evaluate with POST.", Allow=ALLOW)
    token = _authenticate(request, store=store, now=now)
    excess = None if edge.limiter is None else edge.limiter.excess(token.id, now=now)
    if excess is not None:
        raise too_many(excess)
    snapshot = course.snapshot = store.snapshot(token.environment_id)
    if snapshot is None:
        raise SnapshotsUnavailable
    context = _read_context(request, flag_key)
    if snapshot.snapshot.samples_contexts:
        course.sampled = context
    age = store.staleness(now=now)
    stale_seconds = None if age is None else int(age)
    if flag_key is not None:
        # What a client token may not see is, byte for byte, a flag that does not exist.
        is_hidden = token.scope == "client" and flag_key not in snapshot.client_flag_keys
        resolution = snapshot.evaluate(_NO_FLAG_KEY if is_hidden else flag_key, context, now)
        decided = course.decided = (resolution,)
        metrics.answered(snapshot, decided, stale=stale_seconds is not None)
        if resolution.error_code is ErrorCode.FLAG_NOT_FOUND and not is_hidden:
            unanswered.note(token.environment_id, flag_key)
        body = render(snapshot, flag_key, resolution, stale_seconds=stale_seconds)
        told = deprecation_headers(snapshot, flag_key, resolution, prefix=SINGLE_PREFIX)
        headers = {**_SINGLE_HEADERS, **told} if told else _SINGLE_HEADERS
        return (_STATUS.get(resolution.error_code, 400), headers, body)
    bulk = _Bulk(request, snapshot, token, now, stale_seconds)
    known = bulk.known()
    return known or bulk.answer(context, course)


class _Bulk:
    """A question for all flags. `no-cache`: clients may keep the answer, provided that they ask again with its tag."""

    __slots__ = (
        "_if_none_match",
        "_is_client",
        "_now",
        "_question",
        "_read",
        "_snapshot",
        "_stale_seconds",
        "_streams",
    )

    def __init__(
        self, request: WireRequest, snapshot: CompiledSnapshot, token: TokenFacts, now: datetime, stale: int | None
    ) -> None:
        self._read = request.headers.get
        self._snapshot = snapshot
        self._now = now
        self._stale_seconds = stale
        self._is_client = token.scope == "client"
        self._if_none_match = self._read("if-none-match", "")
        streams = stream_tickets.event_streams(token, now=now, since=stream_tickets.position(snapshot))
        self._streams = to_json(streams) if streams else b""
        self._question = entity_tags.question(
            snapshot,
            request.body,
            now=now,
            is_client=self._is_client,
            is_stale=stale is not None,
            streams=self._streams,
        )

    def known(self) -> Answer | None:
        """That the client has the answer, if it asked the same before: nothing is evaluated."""
        tag = self._if_none_match and entity_tags.tag_for_question(self._if_none_match, self._question)
        return (304, self._headers(tag, self._takes_gzip(entity_tags.is_long(tag))), b"") if tag else None

    def answer(self, context: dict[str, object], course: _Course) -> Answer:
        """The answer, worked out."""
        snapshot, stale_seconds = self._snapshot, self._stale_seconds
        plan = course.plan = snapshot.plan(client_only=self._is_client)
        decided = course.decided = snapshot.decide(plan, context, self._now)
        metrics.answered(snapshot, decided, stale=stale_seconds is not None, plan=plan)
        body = render_all(snapshot, plan, decided, stale_seconds=stale_seconds, streams=self._streams)
        tag = entity_tags.tag_of(self._question, size=len(body))
        is_compressed = self._takes_gzip(entity_tags.is_long(tag))
        headers = self._headers(tag, is_compressed)
        if self._if_none_match and entity_tags.takes_any(self._if_none_match):
            return (304, headers, b"")
        headers["Content-Type"] = JSON_TYPE
        if is_compressed:
            headers["Content-Encoding"] = "gzip"
            body = compress(body)
        return (200, headers, body)

    def _takes_gzip(self, is_long: bool) -> bool:
        return is_long and takes_gzip(self._read("accept-encoding", ""))

    @staticmethod
    def _headers(tag: str, is_compressed: bool) -> dict[str, str]:
        etag = f"W/{tag}" if is_compressed else tag
        return {"Cache-Control": "private, no-cache", "Vary": "Accept-Encoding", "ETag": etag}


def _finished(request: WireRequest, answer: Answer, *, edge: Edge) -> WireResponse:
    """The answer with what every answer carries. Whether it has a length is the same behind every door."""
    status, headers, body = answer
    further = edge.headers(request.headers.get("origin", ""))
    complete = {**headers, **further}
    if "Vary" in further and "Vary" in headers:
        complete["Vary"] = f"{headers['Vary']}, {further['Vary']}"
    if body:
        complete["Content-Length"] = str(len(body))
    return WireResponse(status, complete, body)


def _trace(evaluation: tracing.Evaluation) -> None:
    try:
        if tracing.hook is not None:
            tracing.hook(evaluation)
    except Exception as error:
        logger.error("tracing_failed", error=type(error).__name__)


def _offer(course: _Course) -> None:
    """Offer the context of an answered request to those who sample. Nothing of it may come out in an error."""
    try:
        if course.snapshot is not None and course.sampled is not None:
            reservoirs.offer(course.snapshot.snapshot.environment_id, course.sampled)
    except Exception as error:
        logger.error("sampling_failed", error=type(error).__name__)


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


def _asked_for(path: str) -> tuple[str, str | None]:
    """The kind of request at a path, and the flag key in it."""
    if path.startswith(SINGLE_PREFIX):
        return "single", path[_PREFIX_CHARACTERS:]
    return ("bulk" if path == BULK_PATH else "other"), None


def _authenticate(request: WireRequest, *, store: SnapshotStore, now: datetime) -> TokenFacts:
    """The token of the request. Missing, unknown, expired and revoked ones get the same answer, byte for byte."""
    secret = presented_secret(request.headers.get("x-api-key", ""), request.headers.get("authorization", ""))
    token = store.token(secret, now=now) if secret else None
    if token is None:
        raise refused(
            401,
            "token_required",
            TOKEN_REQUIRED,
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
