"""Django's door to the evaluation API: thin adapters that move bytes. What happens to them is in `flags.api.ofrep`."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from flags import snapshots
from flags.api import ofrep
from flags.api.serializers import (
    BulkAnswerSerializer,
    BulkFailureSerializer,
    EvaluationRequestSerializer,
    FailureSerializer,
    ProblemSerializer,
    SuccessSerializer,
)
from flags.api.wire import WireRequest, WireResponse

_META_NAMES = {
    name: name.upper().replace("-", "_") if name == "content-type" else "HTTP_" + name.upper().replace("-", "_")
    for name in ofrep.HEADERS_READ
}
# drf-spectacular's annotation says texts, its code takes what OpenAPI calls security requirements.
_SECURITY: Any = [{"apiKey": []}, {"bearer": []}]
_REFUSALS = {
    401: OpenApiResponse(ProblemSerializer, description="No valid token."),
    403: OpenApiResponse(ProblemSerializer, description="The token has another scope."),
    405: OpenApiResponse(ProblemSerializer, description="Not a POST."),
    411: OpenApiResponse(ProblemSerializer, description="The body has no length."),
    413: OpenApiResponse(ProblemSerializer, description="The body is too large."),
    415: OpenApiResponse(ProblemSerializer, description="The body is not plain JSON in UTF-8."),
    500: OpenApiResponse(BulkFailureSerializer, description="The evaluation failed; use the code default."),
    503: OpenApiResponse(ProblemSerializer, description="Flags are not loaded yet."),
}


class OfrepView(APIView):
    """Hands every method to the handler. No session, no parser, no negotiation: the answer is always the same bytes."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    renderer_classes = (JSONRenderer,)
    default_response_headers: dict[str, str] = {}

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[Any, str]:
        return JSONRenderer(), JSONRenderer.media_type

    def http_method_not_allowed(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:  # type: ignore[override]
        return answer(request)

    def options(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:  # type: ignore[override]
        return answer(request)


class EvaluateFlagView(OfrepView):
    """One flag for one context."""

    @extend_schema(
        operation_id="evaluate_flag",
        summary="Evaluate one flag",
        tags=["OFREP"],
        auth=_SECURITY,
        parameters=[OpenApiParameter("key", str, OpenApiParameter.PATH, description="The flag key.")],
        request=EvaluationRequestSerializer,
        responses={
            200: OpenApiResponse(SuccessSerializer, description="Without `value` the code default decides."),
            400: OpenApiResponse(FailureSerializer, description="The context or the flag cannot be used."),
            404: OpenApiResponse(FailureSerializer, description="The environment serves no such flag."),
            **_REFUSALS,
        },
    )
    def post(self, request: Request, key: str) -> HttpResponse:
        return answer(request._request)


class EvaluateFlagsView(OfrepView):
    """All flags of the environment for one context, with an entity tag."""

    @extend_schema(
        operation_id="evaluate_flags",
        summary="Evaluate all flags",
        tags=["OFREP"],
        auth=_SECURITY,
        parameters=[
            OpenApiParameter(
                "If-None-Match", str, OpenApiParameter.HEADER, description="The ETag of an earlier answer."
            ),
        ],
        request=EvaluationRequestSerializer,
        responses={
            200: OpenApiResponse(BulkAnswerSerializer, description="Carries an `ETag`."),
            304: OpenApiResponse(description="The answer has not changed."),
            400: OpenApiResponse(BulkFailureSerializer, description="The context cannot be used."),
            **_REFUSALS,
        },
    )
    def post(self, request: Request) -> HttpResponse:
        return answer(request._request)


def answer(request: HttpRequest) -> HttpResponse:
    """Answer a Django request with the framework-free handler."""
    request = getattr(request, "_request", request)
    body = _read_body(request, limit=ofrep.MAX_BULK_BYTES)
    if body is None:
        return _to_django(ofrep.length_required())
    wire = WireRequest(
        method=request.method or "",
        path=request.path_info,
        headers={name: request.META[meta] for name, meta in _META_NAMES.items() if meta in request.META},
        query=request.META.get("QUERY_STRING", ""),
        body=body,
    )
    return _to_django(ofrep.handle(wire, store=snapshots.store, now=timezone.now()))


def _read_body(request: HttpRequest, *, limit: int) -> bytes | None:
    """At most one byte more than `limit`, so that more never enters memory; None where the end cannot be found.

    Django reads nothing of a body sent in chunks. Where the server marks the end of its input, that is read instead.
    """
    stream: Any = request
    if "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower():
        if not request.META.get("wsgi.input_terminated"):
            return None
        stream = request.META["wsgi.input"]
    parts: list[bytes] = []
    missing = limit + 1
    try:
        while missing > 0 and (part := stream.read(missing)):
            parts.append(part)
            missing -= len(part)
    except (UnreadablePostError, OSError):
        # The client went away; whatever is answered, nobody reads it.
        return b""
    return b"".join(parts)


def _to_django(response: WireResponse) -> HttpResponse:
    answered = HttpResponse(response.body, status=response.status, headers=dict(response.headers))
    if "Content-Type" not in response.headers:
        del answered["Content-Type"]
    return answered
