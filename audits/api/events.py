"""`GET /api/v1/audit-events`: pages as JSON, exports as CSV and JSON lines."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, cast
from urllib.parse import urlencode

from django.contrib.auth.models import AbstractUser
from django.db import transaction
from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.permissions import BasePermission
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audits.actions import Action
from audits.api.exports import csv_lines, jsonl_lines
from audits.api.parameters import DEFAULT_PAGE_SIZE, FORMATS, LARGEST_PAGE_SIZE, Query, encode_cursor, parse_query
from audits.api.problems import COMMON, problems
from audits.api.serializers import AuditPageSerializer
from audits.context import Actor, ActorKind
from audits.errors import TrailNotVisible
from audits.integrity import instant_text
from audits.models import AuditEvent
from audits.scope import Scope, scope_of
from audits.selectors import event_page, every_event
from audits.sentences import sentence_of
from audits.trail import Target, record


class TrailNegotiation(DefaultContentNegotiation):
    """`?format=` decides, else the Accept header. A format that is not known is left to the parameters to refuse."""

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        wanted = request.query_params.get("format")
        if wanted is None:
            chosen: tuple[BaseRenderer, str] = super().select_renderer(request, renderers, format_suffix)
            return chosen
        renderer: BaseRenderer = next((each for each in renderers if each.format == wanted), renderers[0])
        return renderer, str(renderer.media_type)


class _ExportRenderer(BaseRenderer):
    """Stands for a format in negotiation. Exports are streamed and errors are always JSON, so it never renders."""

    charset = "utf-8"

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        raise NotImplementedError("exports are streamed by the view")


class CsvRenderer(_ExportRenderer):
    """`text/csv`."""

    media_type, format = "text/csv", "csv"


class JsonLinesRenderer(_ExportRenderer):
    """`application/jsonl`."""

    media_type, format = "application/jsonl", "jsonl"


class MayReadTrail(BasePermission):
    """Some part of the trail is visible to the caller."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not request.successful_authenticator:
            return False
        if scope_of(request).is_empty:
            raise TrailNotVisible(
                "No part of the audit trail is visible to you. Ask an administrator for a role in an environment, "
                "or use a token with the scope `audit`."
            )
        return True


def _parameter(name: str, description: str, *, enum: Sequence[str] | None = None, type: Any = str) -> Any:
    return OpenApiParameter(name, type, OpenApiParameter.QUERY, description=description, enum=enum)


class AuditEventsView(APIView):
    """The audit trail, newest first, as far as the caller may read it."""

    permission_classes = [MayReadTrail]
    renderer_classes = [JSONRenderer, CsvRenderer, JsonLinesRenderer]
    content_negotiation_class = TrailNegotiation
    http_method_names = ["get", "head"]

    @extend_schema(
        operation_id="audit_events_list",
        summary="Read the audit trail",
        tags=["Audit"],
        description="Audit events, newest first. JSON comes in pages; CSV and JSON lines hold everything that matches "
        "and are themselves recorded in the trail.",
        parameters=[
            _parameter("project", "Project key."),
            _parameter("environment", "Environment key."),
            _parameter("flag", "Flag key."),
            _parameter("actor", "Id of the actor."),
            _parameter("actor_kind", "Kind of the actor.", enum=[kind.value for kind in ActorKind]),
            _parameter("action", "What was done.", enum=[action.value for action in Action]),
            _parameter("from", "Earliest instant, included. RFC 3339, or a date (midnight UTC)."),
            _parameter("to", "Latest instant, not included."),
            _parameter("correlation_id", "One act across several events.", type=OpenApiTypes.UUID),
            _parameter("target_type", "Kind of what it was done to."),
            _parameter("target_id", "Id of what it was done to."),
            _parameter("cursor", "From `next` of the page before."),
            _parameter("page_size", f"1 to {LARGEST_PAGE_SIZE}; {DEFAULT_PAGE_SIZE} unless given.", type=int),
            _parameter("format", "Overrides the Accept header.", enum=FORMATS),
        ],
        responses={
            (200, "application/json"): AuditPageSerializer,
            (200, "text/csv"): OpenApiTypes.STR,
            (200, "application/jsonl"): OpenApiTypes.STR,
            **problems(
                {
                    **COMMON,
                    400: "A parameter cannot be used; nothing was read.",
                    403: "No part of the trail is visible to the caller, or the token has another scope.",
                }
            ),
        },
    )
    def get(self, request: Request) -> HttpResponseBase:
        query = parse_query(request.query_params)
        scope = scope_of(request)
        chosen = str(getattr(request.accepted_renderer, "format", "json"))
        if chosen == "json":
            return Response(_page_body(request, query, scope))
        if request.method == "HEAD":
            # Nothing is exported, so nothing is recorded.
            return _export_of((), chosen, timezone.now())
        return _export(request, query, scope, chosen)

    def handle_exception(self, exc: Exception) -> Response:
        self.request.accepted_renderer = JSONRenderer()
        return super().handle_exception(exc)


def event_body(event: AuditEvent) -> dict[str, Any]:
    """An event, names filled in, as the API shows it."""
    return {
        "id": str(event.id),
        "occurred_at": instant_text(event.occurred_at),
        "action": event.action,
        "sentence": sentence_of(event),
        "actor": {"kind": event.actor_kind, "id": event.actor_id, "label": event.actor_label, "via": event.via},
        "target": {"type": event.target_type, "id": event.target_id, "label": event.target_name},
        "project": event.project_key,
        "environment": event.environment_key,
        "flag": event.flag_key,
        "reason": event.reason,
        "data": event.details,
        "correlation_id": str(event.correlation_id),
        "chain": event.chain,
        "sequence": event.sequence,
        "previous_hash": event.previous_hash,
        "hash": event.hash,
    }


def _page_body(request: Request, query: Query, scope: Scope) -> dict[str, Any]:
    page = event_page(query.filters, scope=scope, size=query.page_size, after=query.after)
    following = None
    if page.next is not None:
        parameters = {**request.query_params.dict(), "cursor": encode_cursor(page.next)}
        following = f"{request.build_absolute_uri(request.path)}?{urlencode(parameters)}"
    return {"results": [event_body(event) for event in page.events], "next": following}


def _export(request: Request, query: Query, scope: Scope, chosen: str) -> StreamingHttpResponse:
    now = timezone.now()
    project_key = _visible_project(query, scope)
    filters = {name: _plain(value) for name, value in query.filters.given().items()}
    if project_key != filters.get("project_key", ""):
        filters["project_key"] = "(not visible to the reader)"
    with transaction.atomic():
        record(
            Action.AUDIT_EXPORTED,
            actor=scope.reader or Actor.person(cast(AbstractUser, request.user), via="api"),
            target=Target("audit_trail", chosen, ""),
            now=now,
            project_key=project_key,
            data={"format": chosen, "filters": filters, "from_cursor": query.after is not None},
        )
    # Names filled in per chunk, so an export of any length needs the memory of one chunk.
    return _export_of(every_event(query.filters, scope=scope, after=query.after), chosen, now)


def _export_of(events: Iterable[AuditEvent], chosen: str, now: datetime) -> StreamingHttpResponse:
    lines, media_type = (
        (csv_lines(events), "text/csv") if chosen == "csv" else (jsonl_lines(events), "application/jsonl")
    )
    response = StreamingHttpResponse(lines, content_type=f"{media_type}; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="audit-events-{now:%Y-%m-%dT%H%M%SZ}.{chosen}"'
    return response


def _visible_project(query: Query, scope: Scope) -> str:
    """The project asked for if the reader may see it, so that nobody writes into a stranger's part of the trail."""
    key = query.filters.project_key or ""
    return key if scope.project_keys is None or key in scope.project_keys else ""


def _plain(value: Any) -> str:
    return instant_text(value) if hasattr(value, "tzinfo") else str(value)
