"""Django's door to the evaluation API: thin adapters that move bytes. What happens to them is in `flags.api.ofrep`."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from audits.api.problems import problems
from flags.api import door
from flags.api.serializers import (
    BulkAnswerSerializer,
    BulkFailureSerializer,
    EvaluationRequestSerializer,
    FailureSerializer,
    SuccessSerializer,
)

# drf-spectacular's annotation says texts, its code takes what OpenAPI calls security requirements.
_SECURITY: Any = [{"apiKey": []}, {"bearer": []}]
_REFUSALS: dict[Any, OpenApiResponse] = {
    **problems(
        {
            401: "No valid token.",
            403: "The token has another scope than “evaluate” or “client”.",
            405: "Not a POST.",
            411: "The body has no length.",
            413: "The body is too large.",
            415: "The body is not plain JSON in UTF-8.",
            429: "The token has made its requests of this minute; `Retry-After` says in how many seconds it may again.",
            503: "Flags are not loaded yet.",
        }
    ),
    500: OpenApiResponse(BulkFailureSerializer, description="The evaluation failed; use the code default."),
}


_ENDINGS = [
    OpenApiParameter(name, str, OpenApiParameter.HEADER, description=description, response=[200, 400])
    for name, description in (
        ("Deprecation", "Since when the flag is deprecated, as `@` and Unix seconds (RFC 9745); else not sent."),
        ("Sunset", "When a deprecated flag stops, as an HTTP date (RFC 8594)."),
        ("Link", "Of a deprecated flag: its successor (`successor-version`) and where more is said (`deprecation`)."),
    )
]


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
        parameters=[OpenApiParameter("key", str, OpenApiParameter.PATH, description="The flag key."), *_ENDINGS],
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
    response = door.answer(request.META, method=request.method or "", path=request.path_info)
    answered = HttpResponse(response.body, status=response.status, headers=dict(response.headers))
    if "Content-Type" not in response.headers:
        del answered["Content-Type"]
    return answered
