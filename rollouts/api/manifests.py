"""Manifests, for programs: reading a project as one, planning one, and people applying one."""

import hashlib
from collections.abc import Collection
from typing import Any, cast

from django.contrib.auth.models import AbstractUser
from django.http import HttpResponse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.http import etag
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audits.api.problems import COMMON, problems
from flags.api.parameters import refuse_parameters
from flags.errors import NotFound
from flags.models import Environment, Project
from flags.permissions import visible_environments
from flags.services.keys import problem
from flags.snapshots import TokenFacts
from rollouts.api.manifest_shapes import (
    ManifestAppliedSerializer,
    ManifestApplyInput,
    ManifestInput,
    ManifestPlanSerializer,
    ManifestSerializer,
)
from rollouts.api.reading import PEOPLE_TOO, REFUSALS, ReadingView, actor_of
from rollouts.manifest.reading import Reading, read_manifest
from rollouts.manifest.schema import schema_text
from rollouts.manifest.writing import write_manifest
from rollouts.selectors.manifest_plans import plan_manifest
from rollouts.selectors.manifests import present_state
from rollouts.services.manifests import apply_manifest

# Enough for some 1,400 flags in three environments; reading more would keep a worker busy.
MOST_VALUES = 300_000
SCHEMA_TYPE = "application/schema+json"
_KEY = OpenApiParameter("key", str, OpenApiParameter.PATH, description="The key of the project.")
_NONE = "There is no such project, or the caller has no place in it."
_COMMON = {status: words for status, words in COMMON.items() if status != 406}
_BODY = {
    400: "The body cannot be used; nothing was done.",
    403: "The token has another scope than “manage”, or a session lacks the header X-CSRFToken.",
    404: _NONE,
    413: "The body is too large.",
    422: "The manifest cannot be used: `problems` names path, message, line and column of each.",
}


class _ManifestView(ReadingView):
    authentication_classes = PEOPLE_TOO


class ManifestView(_ManifestView):
    """A project as a manifest."""

    http_method_names = ["get", "head"]

    @extend_schema(
        operation_id="read_manifest",
        summary="Read a project as a manifest",
        description="A token reads its own environment and what belongs to the project; a signed-in person reads the "
        "environments in which that person has a role.",
        tags=["Management"],
        parameters=[_KEY],
        responses={
            200: OpenApiResponse(ManifestSerializer, description="The manifest."),
            **problems({**REFUSALS, 400: "A parameter cannot be used; nothing was read.", 404: _NONE}),
        },
    )
    def get(self, request: Request, key: str) -> Response:
        refuse_parameters(request)
        project, places = _within(request, key)
        return Response({"manifest": write_manifest(present_state(project, only=places).manifest)})


class PlanManifestView(_ManifestView):
    """What applying a manifest would do."""

    http_method_names = ["post"]

    @extend_schema(
        operation_id="plan_manifest",
        summary="Compare a manifest with a project",
        description="What applying it would do, and which approvals that takes. Changes nothing.",
        tags=["Management"],
        parameters=[_KEY],
        request=ManifestInput,
        responses={
            200: OpenApiResponse(ManifestPlanSerializer, description="Every difference and what becomes of it."),
            **problems({**_COMMON, **_BODY}),
        },
    )
    def post(self, request: Request, key: str) -> Response:
        reading, only, _ = _command(request, key, ManifestInput)
        return Response(plan_manifest(reading, actor=actor_of(request), only=only).as_json())


class ApplyManifestView(_ManifestView):
    """Applying a manifest."""

    http_method_names = ["post"]

    @extend_schema(
        operation_id="apply_manifest",
        summary="Apply a manifest",
        description="By a signed-in person, in that person's name. What is protected becomes change requests; sent "
        "again, the answer names the same ones.",
        tags=["Management"],
        parameters=[_KEY],
        request=ManifestApplyInput,
        responses={
            200: OpenApiResponse(ManifestAppliedSerializer, description="Nothing waits; parts may have been refused."),
            202: OpenApiResponse(ManifestAppliedSerializer, description="Something waits for people."),
            **problems(
                {**_COMMON, **_BODY, 403: "Only people apply manifests. A session needs the header X-CSRFToken."}
            ),
        },
    )
    def post(self, request: Request, key: str) -> Response:
        reading, only, told = _command(request, key, ManifestApplyInput)
        done = apply_manifest(
            reading, actor=actor_of(request), reason=str(told["reason"]), now=timezone.now(), only=only
        )
        return Response(done.as_json(), status=202 if done.waits else 200)


def _schema_tag(*_: Any) -> str:
    return f'"{hashlib.sha256(schema_text().encode()).hexdigest()}"'


class ManifestSchemaView(APIView):
    """The shape of a manifest, for editors and checks. Nothing of a project is in it, so everybody may read it."""

    authentication_classes = ()
    permission_classes = ()
    renderer_classes = (JSONRenderer,)
    http_method_names = ["get", "head"]

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[Any, str]:
        return JSONRenderer(), JSONRenderer.media_type

    @extend_schema(
        operation_id="manifest_schema",
        summary="Read the JSON Schema of manifests",
        description="The same as in the documentation of this version; may be kept for an hour.",
        tags=["Management"],
        auth=[],
        parameters=[
            OpenApiParameter(
                "If-None-Match", str, OpenApiParameter.HEADER, description="The ETag of an earlier answer."
            ),
        ],
        responses={
            (200, SCHEMA_TYPE): OpenApiResponse(OpenApiTypes.OBJECT, description="Carries a strong `ETag`."),
            304: OpenApiResponse(description="It has not changed."),
        },
    )
    @method_decorator(etag(_schema_tag))
    def get(self, request: Request) -> HttpResponse:
        headers = {"Cache-Control": "public, max-age=3600"}
        return HttpResponse(schema_text(), content_type=SCHEMA_TYPE, headers=headers)


def _command(request: Request, key: str, body: type[ManifestInput]) -> tuple[Reading, Collection[str], dict[str, Any]]:
    """The manifest in a body, the environments it is about, and the rest. Raises InvalidManifest, NotFound."""
    refuse_parameters(request)
    project, places = _within(request, key)
    command = body(data=request.data)
    command.is_valid(raise_exception=True)
    told = cast(dict[str, Any], command.validated_data)
    reading = read_manifest(str(told["manifest"]), most=MOST_VALUES)
    if reading.manifest["project"]["key"] != project.key:
        raise problem("manifest", f"This manifest is that of another project than {project.key}.")
    unknown = set(told.get("environments", ())) - places
    if unknown:
        raise problem("environments", "One of these environments does not exist, or you have no role there.")
    return reading, places & set(told.get("environments", places)), told


def _within(request: Request, key: str) -> tuple[Project, set[str]]:
    """The project and the keys of those of its environments that the caller reads. Raises NotFound."""
    rows = Environment.objects.filter(project__key=key) if key.isprintable() else Environment.objects.none()
    if request.auth is not None:
        rows = rows.filter(pk=cast(TokenFacts, request.auth).environment_id)
    else:
        rows = rows.filter(pk__in=visible_environments(cast(AbstractUser, request.user)).values("pk"))
    found = list(rows.select_related("project"))
    if not found:
        raise NotFound(_NONE)
    return found[0].project, {row.key for row in found}
