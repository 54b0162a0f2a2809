"""Who still evaluates a flag, for programs that decide whether it may go."""

from datetime import UTC, timedelta
from typing import Any, cast

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audits.api.problems import COMMON, problems
from flags.api.authentication import TokenAuthentication
from flags.api.parameters import parameters
from flags.errors import NotFound
from flags.evaluation.instants import instant_text
from flags.models import Flag
from flags.models.tokens import TokenScope
from flags.selectors.residual import ResidualUse, has_figures, residual_use
from flags.selectors.service_owners import owners_of
from flags.snapshots import TokenFacts

USUAL_DAYS, MOST_DAYS = 30, 90


class DayCountSerializer(serializers.Serializer[dict[str, object]]):
    """Evaluations on one day in UTC."""

    day = serializers.DateField()
    count = serializers.IntegerField()


class UseSerializer(serializers.Serializer[dict[str, object]]):
    """A service in one version."""

    service = serializers.CharField()
    version = serializers.CharField(help_text="Empty where the service does not say.")
    first_at = serializers.DateTimeField(help_text="The minute of the first evaluation that is known.")
    last_at = serializers.DateTimeField(help_text="The minute of the last one.")
    count = serializers.IntegerField(help_text="Evaluations in the days asked about.")
    is_unknown = serializers.BooleanField(help_text="What it asked for at last was not there: it got its code default.")
    has_owner = serializers.BooleanField(help_text="Whether somebody answers for the service.")
    days = DayCountSerializer(many=True)


class FlagUseSerializer(serializers.Serializer[dict[str, object]]):
    """Who used a flag in the environment of the token."""

    flag = serializers.CharField()
    environment = serializers.CharField()
    since = serializers.DateTimeField()
    has_figures = serializers.BooleanField(
        help_text="Whether anything was reported of any flag. Where not, no use means nothing."
    )
    uses = UseSerializer(many=True)


class FlagUseView(APIView):
    """The use of one flag."""

    token_scope = TokenScope.MANAGE.value
    authentication_classes = (TokenAuthentication,)
    permission_classes = (IsAuthenticated,)
    renderer_classes = (JSONRenderer,)
    http_method_names = ["get", "head"]

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[Any, str]:
        return JSONRenderer(), JSONRenderer.media_type

    @extend_schema(
        operation_id="flag_use",
        summary="Read who still evaluates a flag",
        description="In the environment of the token, those that did lately first. Archived flags too: who still asks "
        "for one gets its code default.",
        tags=["Management"],
        parameters=[
            OpenApiParameter("key", str, OpenApiParameter.PATH, description="The key of the token's project."),
            OpenApiParameter("flag", str, OpenApiParameter.PATH, description="The key of a flag."),
            OpenApiParameter("days", int, description=f"How far back: 1 to {MOST_DAYS}; {USUAL_DAYS} unless given."),
        ],
        responses={
            200: FlagUseSerializer,
            **problems(
                {
                    **{status: words for status, words in COMMON.items() if status not in {406, 415}},
                    400: "A parameter cannot be used; nothing was read.",
                    401: "No valid token.",
                    403: "The token has another scope than “manage”.",
                    404: "The token belongs to another project, or the project has no such flag.",
                }
            ),
        },
    )
    def get(self, request: Request, key: str, flag: str) -> Response:
        token, now = cast(TokenFacts, request.auth), timezone.now()
        found = _flag(token, key, flag)
        with parameters(request, "days") as asked:
            days = asked.whole_number("days", largest=MOST_DAYS) or USUAL_DAYS
        begins = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        since = begins - timedelta(days=days - 1)
        uses = residual_use([token.environment_id], [found.key], since=since, now=now)
        owners = owners_of(found.project_id, {use.service for use in uses})
        return Response(
            {
                "flag": found.key,
                "environment": token.environment_key,
                "since": instant_text(since),
                "has_figures": has_figures(token.environment_id, since),
                "uses": [_use(use, use.service in owners) for use in uses],
            }
        )


def _flag(token: TokenFacts, key: str, flag_key: str) -> Flag:
    found = None
    if key == token.project_key and flag_key.isprintable():
        found = Flag.objects.filter(project__key=key, key=flag_key).first()
    if found is None:
        raise NotFound(f"This token reads the project “{token.project_key}” only, and only flags that it has.")
    return found


def _use(use: ResidualUse, has_owner: bool) -> dict[str, Any]:
    return {
        "service": use.service,
        "version": use.version,
        "first_at": instant_text(use.first_at),
        "last_at": instant_text(use.last_at),
        "count": use.count,
        "is_unknown": use.is_unknown,
        "has_owner": has_owner,
        "days": [{"day": day.isoformat(), "count": count} for day, count in sorted(use.days.items())],
    }
