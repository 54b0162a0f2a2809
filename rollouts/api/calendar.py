"""`GET /api/v1/projects/{key}/calendar.ics`: the windows of a project for other calendars. For management tokens."""

from typing import Any, cast

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from audits.api.problems import COMMON, problems
from flags.api.authentication import TokenAuthentication
from flags.api.parameters import refuse_parameters
from flags.errors import NotFound
from flags.models import Project
from flags.models.tokens import TokenScope
from flags.snapshots import TokenFacts
from rollouts.services.calendar_imports import export_calendar

CALENDAR_TYPE = "text/calendar"


class CalendarView(APIView):
    """Freezes and allow windows as iCalendar (RFC 5545)."""

    token_scope = TokenScope.MANAGE.value
    authentication_classes = (TokenAuthentication,)
    permission_classes = (IsAuthenticated,)
    renderer_classes = (JSONRenderer,)
    http_method_names = ["get", "head"]

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[Any, str]:
        return JSONRenderer(), JSONRenderer.media_type

    @extend_schema(
        operation_id="project_calendar",
        summary="Read the calendar of a project",
        tags=["Management"],
        parameters=[OpenApiParameter("key", str, OpenApiParameter.PATH, description="The key of the token's project.")],
        responses={
            (200, CALENDAR_TYPE): OpenApiResponse(
                OpenApiTypes.STR, description="One event per window, with a stable UID."
            ),
            **problems(
                {
                    **{status: words for status, words in COMMON.items() if status not in {406, 415}},
                    400: "A parameter cannot be used; nothing was read.",
                    401: "No valid token.",
                    403: "The token has another scope than “manage”.",
                    404: "The token belongs to another project.",
                }
            ),
        },
    )
    def get(self, request: Request, key: str) -> HttpResponse:
        token = cast(TokenFacts, request.auth)
        project = Project.objects.filter(key=key, environments=token.environment_id).first()
        if project is None:
            raise NotFound(f"This token reads the calendar of the project “{token.project_key}” only.")
        refuse_parameters(request)
        response = HttpResponse(export_calendar(project), content_type=f"{CALENDAR_TYPE}; charset=utf-8")
        response["Cache-Control"] = "private, no-cache"
        return response
