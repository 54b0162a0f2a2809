"""The evaluation API: OFREP 0.3.0 as one function from request to answer, without a framework.

Nothing of an evaluation context is stored, logged or repeated in an answer.
"""

import traceback
from datetime import datetime

import structlog

from flags.api.answers import etag_of, failure_document, is_known, render, render_all
from flags.api.contexts import UnusableBody, read_context
from flags.api.tokens import presented_secret
from flags.api.wire import Refused, WireRequest, WireResponse, json_response, problem_response
from flags.evaluation.compile import CompiledSnapshot
from flags.evaluation.resolution import ErrorCode
from flags.snapshots import SnapshotStore, SnapshotsUnavailable, TokenFacts

logger = structlog.get_logger(__name__)

BULK_PATH = "/ofrep/v1/evaluate/flags"
SINGLE_PREFIX = BULK_PATH + "/"
MAX_SINGLE_BYTES = 64 * 1024
MAX_BULK_BYTES = 256 * 1024
# The only headers an adapter needs to hand over.
HEADERS_READ = ("authorization", "x-api-key", "content-type", "content-encoding", "if-none-match")

_ALLOW = "OPTIONS, POST"
_STATUS = {None: 200, ErrorCode.FLAG_NOT_FOUND: 404}


def handle(request: WireRequest, *, store: SnapshotStore, now: datetime) -> WireResponse:
    """Answer one evaluation request. Never raises."""
    try:
        return _answer(request, store=store, now=now)
    except Refused as refused:
        return refused.response
    except SnapshotsUnavailable:
        return _unavailable()
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        logger.error("evaluation_failed", error=type(error).__name__, file=place.filename, line=place.lineno)
        message = "The evaluation failed. Its cause is in the server's log."
        return json_response(500, failure_document(None, ErrorCode.GENERAL, message))


def length_required() -> WireResponse:
    """The answer to a body whose end the server in front cannot find."""
    return problem_response(
        411,
        code="length_required",
        title="A Content-Length is required",
        detail="The body has no length and this server cannot read it in chunks. Send a Content-Length.",
    )


def _answer(request: WireRequest, *, store: SnapshotStore, now: datetime) -> WireResponse:
    flag_key = _flag_key(request.path)
    if request.method == "OPTIONS":
        return WireResponse(204, {"Allow": _ALLOW}, b"")
    if request.method != "POST":
        raise _refused(405, "method_not_allowed", "Evaluate with POST.", Allow=_ALLOW)
    snapshot = store.snapshot(_authenticate(request, store=store, now=now).environment_id)
    if snapshot is None:
        raise SnapshotsUnavailable
    _check_media_type(request)
    limit = MAX_BULK_BYTES if flag_key is None else MAX_SINGLE_BYTES
    if len(request.body) > limit:
        raise _refused(413, "body_too_large", f"The body is larger than {limit:,} bytes. Send fewer attributes.")
    try:
        context = read_context(request.body)
    except UnusableBody as error:
        return json_response(400, failure_document(flag_key, error.code, error.message))
    if flag_key is None:
        return _bulk(snapshot, context, request.headers.get("if-none-match", ""), now=now)
    resolution = snapshot.evaluate(flag_key, context, now)
    return json_response(_STATUS.get(resolution.error_code, 400), render(snapshot, flag_key, resolution))


def _bulk(snapshot: CompiledSnapshot, context: dict[str, object], if_none_match: str, *, now: datetime) -> WireResponse:
    """Evaluate first, compare second: the tag depends on the answer, not on the revision alone.

    `no-cache` because a client may keep the answer, provided that it asks again with its tag.
    """
    body = render_all(snapshot, snapshot.evaluate_all(context, now))
    etag = etag_of(body)
    if if_none_match and is_known(etag, if_none_match):
        return WireResponse(304, {"ETag": etag, "Cache-Control": "private, no-cache"}, b"")
    return json_response(200, body, ETag=etag, Cache_Control="private, no-cache")


def _flag_key(path: str) -> str | None:
    """The flag key in a path, None for the bulk path."""
    if path == BULK_PATH:
        return None
    if path.startswith(SINGLE_PREFIX):
        return path[len(SINGLE_PREFIX) :]
    raise _refused(404, "not_found", f"There is nothing at this address. Evaluate at {BULK_PATH}.")


def _authenticate(request: WireRequest, *, store: SnapshotStore, now: datetime) -> TokenFacts:
    """The token of the request. Missing, unknown, expired and revoked ones get the same answer, byte for byte."""
    secret = presented_secret(request.headers.get("x-api-key", ""), request.headers.get("authorization", ""))
    token = store.token(secret, now=now) if secret else None
    if token is None:
        raise _refused(
            401,
            "token_required",
            "No valid token was sent. Send one as X-API-Key or Authorization: Bearer; administrators issue them.",
            WWW_Authenticate='Bearer realm="flagsite"',
        )
    if token.scope != "evaluate":
        raise _refused(403, "wrong_scope", "This token may not evaluate flags. Use one with the scope “evaluate”.")
    return token


def _check_media_type(request: WireRequest) -> None:
    """JSON in UTF-8, not compressed, or no word about it. A charset that is really a codec might unpack the body."""
    if request.headers.get("content-encoding", "").strip().lower() not in {"", "identity"}:
        raise _refused(415, "unsupported_encoding", "Compressed bodies are not accepted. Send the JSON as it is.")
    media_type, *parameters = request.headers.get("content-type", "").split(";")
    charsets = [value for name, _, value in (part.partition("=") for part in parameters) if _is_charset(name)]
    if media_type.strip().lower() not in {"", "application/json"} or not all(map(_is_utf8, charsets)):
        raise _refused(
            415, "unsupported_media_type", "The body must be application/json in UTF-8. Say so in Content-Type."
        )


def _is_charset(name: str) -> bool:
    return name.strip().lower() == "charset"


def _is_utf8(charset: str) -> bool:
    return charset.strip().strip('"').lower() in {"utf-8", "utf8"}


def _unavailable() -> WireResponse:
    return problem_response(
        503,
        code="snapshots_unavailable",
        title="Flags are not loaded yet",
        detail="This process has not been able to read the flags since it started. Use code defaults and try again.",
        Retry_After="1",
    )


_TITLES = {
    401: "A valid token is required",
    403: "This token may not do this",
    404: "There is no such thing here",
    405: "This method is not supported here",
    413: "The body is too large",
    415: "This kind of body is not supported",
}


def _refused(status: int, code: str, detail: str, **headers: str) -> Refused:
    return Refused(problem_response(status, code=code, title=_TITLES[status], detail=detail, **headers))
