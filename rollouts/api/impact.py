"""Who flips with a change request, for programs: ask for a run, and read how far it is and what it found."""

import uuid
from typing import cast

from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audits.api.problems import COMMON, problems
from audits.context import Actor
from flags.api.authentication import TokenAuthentication
from flags.api.parameters import refuse_parameters
from flags.archives import note_of
from flags.errors import NotFound
from flags.models.tokens import TokenScope
from flags.snapshots import TokenFacts
from rollouts.api.questions import read_question
from rollouts.impact import MAX_BYTES, MAX_SIZE, headline
from rollouts.models import ChangeRequest, ImpactRun, ImpactState
from rollouts.selectors.impact import default_population
from rollouts.services.impact import start_impact
from rollouts.tasks import ring_for_impacts

_REFUSALS = {
    **COMMON,
    401: "No valid token.",
    403: "The token has another scope than “manage”.",
    404: "There is no such change request, or no such run, in the token's environment.",
}
_ASKING = {
    **{status: words for status, words in _REFUSALS.items() if status != 415},
    400: "The population cannot be used; `problems` says what to change.",
    409: "Another run for the request is under way, or the request has ended.",
    411: "The body has no length.",
    413: f"The body is larger than {MAX_BYTES >> 20} MB.",
    415: "The body is neither JSON, nor JSON lines, nor CSV.",
}
_TEXT = {"type": "string", "description": "A context a line; in CSV the first line names the attributes."}
_DISTRIBUTION = {
    "type": "object",
    "minProperties": 1,
    "maxProperties": 1,
    "description": "One of `values` (texts with shares, or pairs of a value and a share), `range` (two numbers), "
    "`instants` (two instants), `distinct` (so many made-up texts).",
}
_QUESTION = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "population": {
            "type": "object",
            "required": ["size"],
            "additionalProperties": False,
            "description": "Made-up people. Unless given, a population is made from the rules around the change.",
            "properties": {
                "size": {"type": "integer", "minimum": 1, "maximum": MAX_SIZE},
                "seed": {"type": "integer", "minimum": 0, "description": "The same seed gives the same people."},
                "attributes": {"type": "object", "additionalProperties": _DISTRIBUTION},
                "missing": {
                    "type": "object",
                    "additionalProperties": {"type": "number", "minimum": 0, "maximum": 100},
                    "description": "How many percent lack an attribute.",
                },
            },
        },
        "contexts": {
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_SIZE,
            "items": {"type": "object"},
            "description": "Evaluation contexts of yours. They are deleted when the run ends.",
        },
        "sampled": {
            "type": "boolean",
            "enum": [True],
            "description": "Ask those whose contexts the environment sampled. Refused while it has too few.",
        },
    },
}
_REQUEST = {"application/json": _QUESTION, "application/x-ndjson": _TEXT, "text/csv": _TEXT}


class ImpactRunSerializer(serializers.Serializer[ImpactRun]):
    """A run: how far it is, and what it found."""

    id = serializers.UUIDField()
    changeRequest = serializers.UUIDField(source="request_id")  # noqa: N815
    digest = serializers.CharField(help_text="The content that was counted.")
    isStale = serializers.SerializerMethodField(help_text="Whether the request was edited since.")  # noqa: N815
    state = serializers.ChoiceField(choices=ImpactState.choices)
    progress = serializers.IntegerField(help_text="How many people were asked so far.")
    total = serializers.IntegerField()
    population = serializers.DictField(help_text="Who was asked, without any value that was handed in.")
    headline = serializers.SerializerMethodField(help_text="The result in a sentence; empty until there is one.")
    result = serializers.JSONField(help_text="All counts; null until the run is done.")
    problem = serializers.CharField(allow_blank=True, help_text="Why a run failed.")
    createdAt = serializers.DateTimeField(source="created_at")  # noqa: N815
    finishedAt = serializers.DateTimeField(source="finished_at", allow_null=True)  # noqa: N815

    def get_isStale(self, run: ImpactRun) -> bool:  # noqa: N802
        """Whether the content has moved on."""
        return run.digest != run.request.digest

    def get_headline(self, run: ImpactRun) -> str:
        """The sentence."""
        note = note_of(run.result)
        return note.words if note else headline(run.result) if run.result else ""


class _ImpactView(APIView):
    token_scope = TokenScope.MANAGE.value
    authentication_classes = (TokenAuthentication,)
    permission_classes = (IsAuthenticated,)
    renderer_classes = (JSONRenderer,)


class AskImpactView(_ImpactView):
    """Asking."""

    http_method_names = ["post"]

    @extend_schema(
        operation_id="ask_impact",
        summary="Count who flips with a change request",
        tags=["Management"],
        request=_REQUEST,
        responses={
            202: OpenApiResponse(ImpactRunSerializer, description="The run; `Location` is where to read it."),
            **problems(_ASKING),
        },
        parameters=[
            OpenApiParameter(
                "Location", str, OpenApiParameter.HEADER, response=[202], description="The address of the run."
            )
        ],
    )
    def post(self, request: Request, request_id: uuid.UUID) -> Response:
        token = cast(TokenFacts, request.auth)
        found = ChangeRequest.objects.filter(pk=request_id, environment=token.environment_id)
        change = found.select_related("environment").first()
        if change is None:
            raise NotFound("There is no such change request in the environment of this token.")
        asked = read_question(request) or {"population": default_population(change).as_json()}
        run = start_impact(change.pk, actor=Actor.service(token.id, token.name), now=timezone.now(), **asked)
        ring_for_impacts()
        place = reverse("impact-run", args=[change.pk, run.pk])
        return Response(ImpactRunSerializer(run).data, status=202, headers={"Location": place})


class ImpactRunView(_ImpactView):
    """Reading."""

    http_method_names = ["get", "head"]

    @extend_schema(
        operation_id="read_impact",
        summary="Read an impact run",
        tags=["Management"],
        responses={
            200: OpenApiResponse(ImpactRunSerializer, description="The run as it is now."),
            **problems({**_REFUSALS, 400: "A parameter cannot be used; nothing was read."}),
        },
    )
    def get(self, request: Request, request_id: uuid.UUID, run_id: uuid.UUID) -> Response:
        refuse_parameters(request)
        token = cast(TokenFacts, request.auth)
        run = _runs(token).filter(pk=run_id, request=request_id).first()
        if run is None:
            raise NotFound("There is no such impact run in the environment of this token.")
        return Response(ImpactRunSerializer(run).data)


def _runs(token: TokenFacts) -> QuerySet[ImpactRun]:
    return ImpactRun.objects.filter(environment=token.environment_id).select_related("request")
