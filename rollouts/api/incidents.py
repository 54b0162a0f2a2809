"""Incidents declared and closed by services, such as an alarm: with a management token, in its environment."""

import uuid
from typing import Any, cast

from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audits.api.problems import COMMON, problems
from audits.context import Actor
from flags.api.authentication import TokenAuthentication
from flags.errors import NotFound
from flags.models import Environment
from flags.models.tokens import TokenScope
from flags.snapshots import TokenFacts
from rollouts.models import Incident, Severity
from rollouts.services.incidents import LONGEST_LINK, close_incident, open_incident

_REFUSALS = {
    **COMMON,
    400: "The body cannot be used; `problems` says what to change.",
    401: "No valid token.",
    403: "The token has another scope than “manage”, or does not reach this incident.",
    404: "There is no such incident in the token's environment, or the environment is gone.",
    409: "Somebody else acted on it at the same moment.",
    413: "The body is too large.",
}


class IncidentInput(serializers.Serializer[dict[str, object]]):
    """An incident to declare in the environment of the token."""

    title = serializers.CharField(max_length=200, help_text="What is broken. An open incident of this title is reused.")
    severity = serializers.ChoiceField(choices=Severity.choices, help_text="How bad it is.")
    link = serializers.CharField(
        max_length=LONGEST_LINK, required=False, allow_blank=True, default="", help_text="Where people talk about it."
    )


class ClosingInput(serializers.Serializer[dict[str, object]]):
    """Why an incident is over."""

    reason = serializers.CharField(max_length=4000)


class IncidentSerializer(serializers.Serializer[Incident]):
    """An incident."""

    id = serializers.UUIDField()
    title = serializers.CharField()
    severity = serializers.ChoiceField(choices=Severity.choices)
    environment = serializers.CharField(source="environment.key", help_text="The key of the environment.")
    link = serializers.CharField(allow_blank=True)
    openedAt = serializers.DateTimeField(source="opened_at")  # noqa: N815
    openedBy = serializers.CharField(source="opener", help_text="A person or a token by name.")  # noqa: N815
    closedAt = serializers.DateTimeField(source="closed_at", allow_null=True)  # noqa: N815


class _IncidentsView(APIView):
    token_scope = TokenScope.MANAGE.value
    authentication_classes = (TokenAuthentication,)
    permission_classes = (IsAuthenticated,)
    http_method_names = ["post"]


class IncidentsView(_IncidentsView):
    """Declaring."""

    @extend_schema(
        operation_id="open_incident",
        summary="Declare an incident",
        tags=["Management"],
        request=IncidentInput,
        responses={
            200: OpenApiResponse(
                IncidentSerializer, description="It was open already; a worse severity is taken over."
            ),
            201: OpenApiResponse(IncidentSerializer, description="The new incident."),
            **problems(_REFUSALS),
        },
    )
    def post(self, request: Request) -> Response:
        command = _read(IncidentInput, request)
        token = cast(TokenFacts, request.auth)
        environment = Environment.objects.filter(pk=token.environment_id).first()
        if environment is None:
            raise NotFound("The environment of this token does not exist any more.")
        known = set(Incident.objects.filter(environment=environment, closed_at=None).values_list("pk", flat=True))
        incident = open_incident(
            environment.project_id,
            environment_id=environment.pk,
            title=command["title"],
            severity=command["severity"],
            link=command["link"],
            actor=_actor(token),
            now=timezone.now(),
        )
        return Response(IncidentSerializer(incident).data, status=200 if incident.pk in known else 201)


class CloseIncidentView(_IncidentsView):
    """Closing."""

    @extend_schema(
        operation_id="close_incident",
        summary="Close an incident that a service declared",
        tags=["Management"],
        request=ClosingInput,
        responses={
            200: OpenApiResponse(IncidentSerializer, description="The incident, also where it was closed already."),
            **problems(_REFUSALS),
        },
    )
    def post(self, request: Request, incident_id: uuid.UUID) -> Response:
        command = _read(ClosingInput, request)
        token = cast(TokenFacts, request.auth)
        if not Incident.objects.filter(pk=incident_id, environment=token.environment_id).exists():
            raise NotFound("There is no such incident in the environment of this token.")
        incident = close_incident(incident_id, actor=_actor(token), reason=command["reason"], now=timezone.now())
        return Response(IncidentSerializer(incident).data)


def _read(serializer: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    found = serializer(data=request.data)
    found.is_valid(raise_exception=True)
    return cast(dict[str, Any], found.validated_data)


def _actor(token: TokenFacts) -> Actor:
    return Actor.service(token.id, token.name)
