"""`POST /api/v1/telemetry`: how often services evaluated flags, and how metrics fare among those served each variant.

Costs no query where Redis takes batches. Rows are counts: there is no field for a targeting key or an attribute, and a
row that has one is refused.
"""

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from audits.api.problems import COMMON, problems
from flags import snapshots
from flags.api.authentication import TokenAuthentication
from flags.api.door import META_NAMES, Environ
from flags.api.edge import Edge, edge
from flags.api.ofrep import check_media_type
from flags.api.refusals import refused, too_many, unavailable
from flags.api.telemetry_bodies import body_of, known_variants
from flags.api.telemetry_schema import REPORT_REQUEST
from flags.api.wire import Refused, WireRequest, WireResponse, json_response, problem_response, to_json
from flags.models.tokens import TokenScope
from flags.selectors.telemetry import is_production
from flags.services.telemetry import Accepted
from flags.services.telemetry_buffer import deliver
from flags.snapshots import SnapshotStore, SnapshotsUnavailable, TokenFacts
from flags.telemetry.labels import TEST_TRAFFIC
from flags.telemetry.reading import UnusableBatch, parse_batch, read_batch
from flags.telemetry.rows import Batch
from flags.telemetry.telling import Known

logger = structlog.get_logger(__name__)

Clock = Callable[[], datetime]


class TelemetryReportSerializer(serializers.Serializer[dict[str, object]]):
    """What became of a batch."""

    accepted = serializers.IntegerField(help_text="Rows that are counted.")
    rejected = serializers.IntegerField(help_text="Rows that were refused; the page of the environment shows why.")
    late = serializers.IntegerField(help_text="Rows that came after their minute was closed, as far as known by now.")
    is_duplicate = serializers.BooleanField(help_text="Whether a batch of this id came before: nothing is counted.")
    reasons = serializers.DictField(
        child=serializers.IntegerField(), help_text="How many rows were refused, by code of the reason."
    )


class TelemetryView(APIView):
    """Batches of counts from services."""

    token_scope = TokenScope.TELEMETRY.value
    authentication_classes = (TokenAuthentication,)
    permission_classes = (IsAuthenticated,)
    renderer_classes = (JSONRenderer,)

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[Any, str]:
        return JSONRenderer(), JSONRenderer.media_type

    @extend_schema(
        operation_id="report_telemetry",
        summary="Report evaluations and metrics",
        tags=["Telemetry"],
        request=REPORT_REQUEST,
        responses={
            200: OpenApiResponse(
                TelemetryReportSerializer, description="A batch of this id came before; nothing is counted."
            ),
            202: OpenApiResponse(TelemetryReportSerializer, description="The rows that were not refused are counted."),
            **problems(
                {
                    **{status: words for status, words in COMMON.items() if status != 406},
                    400: "The body is no batch.",
                    401: "No valid token.",
                    403: "The token has another scope than “telemetry”, or test traffic is reported for production.",
                    411: "The body has no length.",
                    413: "The body is too large or has too many rows.",
                    429: "The token has sent its batches of this minute; `Retry-After` says when it may again.",
                    503: "Nothing can take the batch at the moment. Keep it and send it again with the same id.",
                }
            ),
        },
    )
    def post(self, request: Request) -> HttpResponse:
        token, environ = cast(TokenFacts, request.auth), request._request.META
        answer = take(environ, token=token, store=snapshots.store, clock=timezone.now, edge=edge())
        return HttpResponse(answer.body, status=answer.status, headers=dict(answer.headers))


def take(environ: Environ, *, token: TokenFacts, store: SnapshotStore, clock: Clock, edge: Edge) -> WireResponse:
    """Answer a report of somebody whose token was accepted. Counts against the token's limit of batches.

    What time it is is asked again once the body is there: a slow sender must not be counted in a minute that closed.
    """
    try:
        admit(token, now=clock(), edge=edge)
        headers = {name: environ[meta] for name, meta in META_NAMES if meta in environ and name != "content-encoding"}
        check_media_type(WireRequest("POST", "", headers, "", b""))
        document = parse_batch(body_of(environ))
        batch = read_batch(document, known=known_at(token, store), now=clock())
        return _answer(batch, hand_over(batch, token, now=clock()))
    except UnusableBatch as error:
        status = 413 if error.code == "too_many_rows" else 400
        return problem_response(status, code=error.code, detail=error.message)
    except Refused as refusal:
        return refusal.response
    except SnapshotsUnavailable:
        return unavailable()


def admit(token: TokenFacts, *, now: datetime, edge: Edge) -> None:
    """Count a batch of a token. Raises Refused for one beyond its limit."""
    limiter = edge.telemetry_limiter
    excess = None if limiter is None else limiter.excess(token.id, now=now)
    if excess is not None:
        raise too_many(excess, what="telemetry batches")


def known_at(token: TokenFacts, store: SnapshotStore) -> Known:
    """The flags of the token's environment and their variants. Raises SnapshotsUnavailable."""
    compiled = store.snapshot(token.environment_id)
    if compiled is None:
        raise SnapshotsUnavailable
    return known_variants(compiled)


def hand_over(batch: Batch, token: TokenFacts, *, now: datetime) -> Accepted:
    """Hand a checked batch to the buffer or the tables. Raises Refused where neither takes it, and for test traffic in
    production.
    """
    try:
        if batch.service == TEST_TRAFFIC and not settings.DEMO and is_production(token.environment_id):
            raise refused(
                403,
                "test_traffic_in_production",
                f"“{TEST_TRAFFIC}” may not be reported for production: guards would take it for real. Try another "
                "environment, or give your service its own name.",
            )
        return deliver(batch, token.environment_id, token.id, now=now)
    except (OperationalError, InterfaceError) as error:
        logger.warning("telemetry_not_taken", error=type(error).__name__)
        raise Refused(
            problem_response(
                503,
                code="telemetry_unavailable",
                detail="Neither the buffer nor the database answers. Keep the batch and send it again with its id.",
                Retry_After="5",
            )
        ) from None


def _answer(batch: Batch, done: Accepted) -> WireResponse:
    reasons = {} if done.is_duplicate else Counter(row.code for row in batch.rejected)
    document = {
        "accepted": done.accepted,
        "rejected": done.rejected,
        "late": done.late,
        "is_duplicate": done.is_duplicate,
        "reasons": reasons,
    }
    return json_response(200 if done.is_duplicate else 202, to_json(document))
