"""`POST /api/v1/otlp/v1/logs` and `/metrics`: telemetry as OpenTelemetry exporters and collectors send it (OTLP/HTTP).

Rows take the same way as those of `POST /api/v1/telemetry`. What is refused is told as a partial success, so that an
exporter does not send it again; a request that is sent again counts once.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, cast

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from google.protobuf import json_format
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from flags import snapshots
from flags.api.authentication import TokenAuthentication
from flags.api.door import Environ
from flags.api.edge import Edge, edge
from flags.api.refusals import refused, unavailable
from flags.api.telemetry import Clock, admit, hand_over
from flags.api.telemetry_bodies import MAX_BYTES, body_of, known_variants
from flags.api.wire import JSON_TYPE, Refused, WireResponse, problem_response
from flags.models.tokens import TokenScope
from flags.snapshots import SnapshotStore, SnapshotsUnavailable, TokenFacts
from flags.telemetry.otlp import Export, read_logs, read_metrics
from flags.telemetry.reading import UnusableBatch, checked
from flags.telemetry.rows import Batch

PROTOBUF_TYPE = "application/x-protobuf"
MOST_SENTENCES = 5

Reader = Callable[..., Export]


class _OtlpView(APIView):
    """One signal."""

    token_scope = TokenScope.TELEMETRY.value
    authentication_classes = (TokenAuthentication,)
    permission_classes = (IsAuthenticated,)
    renderer_classes = (JSONRenderer,)
    signal = ""

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[Any, str]:
        return JSONRenderer(), JSONRenderer.media_type

    # The protocol describes itself: https://opentelemetry.io/docs/specs/otlp/
    @extend_schema(exclude=True)
    def post(self, request: Request) -> HttpResponse:
        token, environ = cast(TokenFacts, request.auth), request._request.META
        answer = take(self.signal, environ, token=token, store=snapshots.store, clock=timezone.now, edge=edge())
        return HttpResponse(answer.body, status=answer.status, headers=dict(answer.headers))


class OtlpLogsView(_OtlpView):
    """Events of evaluations."""

    signal = "logs"


class OtlpMetricsView(_OtlpView):
    """Sums and histograms by flag and variant."""

    signal = "metrics"


def take(
    signal: str, environ: Environ, *, token: TokenFacts, store: SnapshotStore, clock: Clock, edge: Edge
) -> WireResponse:
    """Answer an export of somebody whose token was accepted. Counts against the token's limit of batches."""
    try:
        admit(token, now=clock(), edge=edge)
        is_json = _is_json(environ)
        compiled = store.snapshot(token.environment_id)
        if compiled is None:
            return unavailable()
        names = compiled.snapshot
        read: Reader = read_logs if signal == "logs" else read_metrics
        export = read(
            # Unpacked no larger than one that never was packed.
            body_of(environ, most_unpacked=MAX_BYTES),
            is_json=is_json,
            sender=str(token.id),
            sets={f"{names.project_key}/{names.environment_key}", names.environment_key},
        )
        batches = [checked(batch, known=known_variants(compiled), now=clock()) for batch in export.batches]
        for batch in batches:
            if batch.evaluations or batch.metrics or batch.rejected:
                hand_over(batch, token, now=clock())
        return _answer(signal, export, batches, is_json=is_json)
    except UnusableBatch as error:
        status = 413 if error.code == "too_many_rows" else 400
        return problem_response(status, code=error.code, detail=error.message)
    except Refused as refusal:
        return refusal.response
    except SnapshotsUnavailable:
        return unavailable()


def _is_json(environ: Environ) -> bool:
    media_type: str = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if media_type not in {JSON_TYPE, PROTOBUF_TYPE}:
        raise refused(415, "unsupported_media_type", f"Send OTLP as {PROTOBUF_TYPE} or {JSON_TYPE}.")
    return media_type == JSON_TYPE


def _answer(signal: str, export: Export, batches: Sequence[Batch], *, is_json: bool) -> WireResponse:
    """A success, or a partial one with how many records were refused and why."""
    counted = sum(row.count for batch in batches for row in batch.evaluations)
    counted += sum(len(batch.metrics) for batch in batches)
    rejected, message = export.records - counted, _reasons(batches)
    response: Message
    if signal == "logs":
        response = ExportLogsServiceResponse()
        if rejected:
            response.partial_success.rejected_log_records = rejected
            response.partial_success.error_message = message
    else:
        response = ExportMetricsServiceResponse()
        if rejected:
            response.partial_success.rejected_data_points = rejected
            response.partial_success.error_message = message
    body = json_format.MessageToJson(response, indent=None).encode() if is_json else response.SerializeToString()
    headers = {"Content-Type": JSON_TYPE if is_json else PROTOBUF_TYPE, "Cache-Control": "no-store"}
    return WireResponse(200, headers, body)


def _reasons(batches: Sequence[Batch]) -> str:
    reasons = Counter(row.message for batch in batches for row in batch.rejected)
    told = [f"{count} x {reason}" for reason, count in reasons.most_common(MOST_SENTENCES)]
    return "Not counted: " + "; ".join(told)
