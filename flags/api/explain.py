"""`POST /api/v1/evaluate/explain`: how a flag comes to its answer for one evaluation context. For management tokens.

The same readers and refusals as the evaluation API, and a lower limit. Nothing of the question is stored, logged or
repeated in a refusal; the answer shows conditions and the text a split hashed, hence a scope of its own.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from audits.api.problems import COMMON, problems
from flags import snapshots
from flags.api.authentication import TokenAuthentication
from flags.api.contexts import UnusableBody, read_context
from flags.api.door import META_NAMES, read_body
from flags.api.edge import Edge, edge
from flags.api.ofrep import MAX_SINGLE_BYTES, check_media_type
from flags.api.refusals import length_required, refused, too_many, unavailable
from flags.api.serializers import EXPLAIN_REQUEST, ExplanationSerializer
from flags.api.wire import Refused, WireRequest, WireResponse, json_response, problem_response, to_json
from flags.evaluation.explain import explain_compiled
from flags.evaluation.instants import parse_instant
from flags.evaluation.resolution import ErrorCode
from flags.models.tokens import TokenScope
from flags.snapshots import SnapshotStore, SnapshotsUnavailable, TokenFacts

_KNOWN = frozenset({"flag", "context", "at"})


@dataclass(frozen=True, slots=True)
class Question:
    """Which flag, for which evaluation context, at which instant (None: now)."""

    flag_key: str
    context: dict[str, Any]
    at: datetime | None


class ExplainView(APIView):
    """Why a flag gives the answer it gives: every step, condition and bucket, as data."""

    token_scope = TokenScope.MANAGE.value
    authentication_classes = (TokenAuthentication,)
    permission_classes = (IsAuthenticated,)
    renderer_classes = (JSONRenderer,)

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[Any, str]:
        return JSONRenderer(), JSONRenderer.media_type

    @extend_schema(
        operation_id="explain_evaluation",
        summary="Explain the evaluation of one flag",
        tags=["Management"],
        request=EXPLAIN_REQUEST,
        responses={
            200: OpenApiResponse(ExplanationSerializer, description="Every step up to the one that decided."),
            **problems(
                {
                    **{status: words for status, words in COMMON.items() if status != 406},
                    400: "The body cannot be used, or its context cannot.",
                    401: "No valid token.",
                    403: "The token has another scope than “manage”.",
                    404: "The environment serves no such flag.",
                    411: "The body has no length.",
                    413: "The body is too large.",
                    429: "The token has made its requests of this minute; `Retry-After` says when it may again.",
                }
            ),
        },
    )
    def post(self, request: Request) -> HttpResponse:
        meta = request._request.META
        body = read_body(meta, limit=MAX_SINGLE_BYTES)
        headers = {name: meta[key] for name, key in META_NAMES if key in meta}
        wire = WireRequest("POST", request.path, headers, "", body or b"")
        if body is None:
            status, answered, content = length_required()
        else:
            token, store, now = cast(TokenFacts, request.auth), snapshots.store, timezone.now()
            status, answered, content = answer_question(wire, token=token, store=store, now=now, edge=edge())
        return HttpResponse(content, status=status, headers=dict(answered))


def answer_question(
    request: WireRequest, *, token: TokenFacts, store: SnapshotStore, now: datetime, edge: Edge
) -> WireResponse:
    """Answer a question of somebody whose token was accepted. Counts against the token's limit of explanations."""
    try:
        limiter = edge.explanation_limiter
        excess = None if limiter is None else limiter.excess(token.id, now=now)
        if excess is not None:
            raise too_many(excess, what="explanations")
        return _explained(_read(request), token=token, store=store, now=now)
    except Refused as refusal:
        return refusal.response
    except SnapshotsUnavailable:
        return unavailable()


def _read(request: WireRequest) -> Question:
    check_media_type(request)
    if len(request.body) > MAX_SINGLE_BYTES:
        raise refused(
            413, "body_too_large", f"The body is larger than {MAX_SINGLE_BYTES:,} bytes. Send fewer attributes."
        )
    try:
        return read_question(request.body)
    except UnusableBody as error:
        raise Refused(problem_response(400, code=error.code.value.lower(), detail=error.message)) from None


def read_question(body: bytes) -> Question:
    """The question in a body. Raises UnusableBody; its message repeats nothing that was sent."""
    context = read_context(body)
    document = json.loads(body)
    if not document.keys() <= _KNOWN:
        raise UnusableBody(
            ErrorCode.PARSE_ERROR, "The body has other members than “flag”, “context” and “at”. Leave them out."
        )
    flag_key = document.get("flag")
    if not isinstance(flag_key, str) or not flag_key:
        raise UnusableBody(ErrorCode.PARSE_ERROR, "The body names no flag. Send its key as “flag”.")
    at = parse_instant(document.get("at"))
    if at is None and document.get("at") is not None:
        raise UnusableBody(
            ErrorCode.PARSE_ERROR,
            "“at” is no instant with a zone. Send one like 2026-11-21T09:30:00Z, or leave it out.",
        )
    return Question(flag_key, context, at)


def _explained(question: Question, *, token: TokenFacts, store: SnapshotStore, now: datetime) -> WireResponse:
    compiled = store.snapshot(token.environment_id)
    if compiled is None:
        raise SnapshotsUnavailable
    at = question.at or now
    explanation = explain_compiled(compiled, question.flag_key, question.context, at)
    if explanation.resolution.error_code is ErrorCode.FLAG_NOT_FOUND:
        detail = explanation.resolution.error_message
        return problem_response(404, code="flag_not_found", detail=detail)
    age = store.staleness(now=now)
    place = {"project": token.project_key, "environment": compiled.environment_key, "revision": compiled.revision}
    answer = {**place, "at": at.isoformat(), "staleSeconds": None if age is None else int(age)}
    return json_response(200, to_json({**answer, "explanation": explanation.as_json()}))
