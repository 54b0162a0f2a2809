"""Acts of people over the API. A table of acts becomes their addresses; each does what the button of a page does."""

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from django.urls import URLPattern, path
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audits.api.problems import COMMON, problems
from flags.models.tokens import TokenScope
from rollouts.api.reading import PEOPLE_TOO, actor_of

REFUSALS = {
    **COMMON,
    400: "The body cannot be used; `problems` says what to change.",
    413: "The body is too large.",
}


@dataclass(frozen=True, slots=True)
class Act:
    """One act: the service that does it, and the fields that a body holds for it. The service asks for the right."""

    address: str
    operation_id: str
    summary: str
    description: str
    service: Callable[..., object]
    body: type[serializers.Serializer[Any]]
    example: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Subject:
    """What acts are done to: its address and name, how a caller finds it (or NotFound), and how it is answered."""

    address: str
    name: str
    find: Callable[[Request, uuid.UUID], Any]
    shape: Callable[[Any], dict[str, Any]]
    serializer: type[serializers.Serializer[Any]]
    refusals: Mapping[int, str]


class ActView(APIView):
    """One act on one thing. A token reaches what it reads and is refused by the service: it has no role."""

    token_scope = TokenScope.MANAGE.value
    authentication_classes = PEOPLE_TOO
    permission_classes = (IsAuthenticated,)
    http_method_names = ["post"]


def act_addresses(subject: Subject, acts: Iterable[Act]) -> list[URLPattern]:
    """The address of every act, below that of the thing."""
    return [
        path(f"{subject.address}/{act.address}", _view(subject, act).as_view(), name=f"{subject.name}-{act.address}")
        for act in acts
    ]


def _view(subject: Subject, act: Act) -> type[ActView]:
    class View(ActView):
        @_described(subject, act)
        def post(self, request: Request, **place: uuid.UUID) -> Response:
            command = act.body(data=request.data)
            command.is_valid(raise_exception=True)
            told = cast(dict[str, Any], command.validated_data)
            [thing_id] = place.values()
            found = subject.find(request, thing_id)
            act.service(found.pk, actor=actor_of(request), now=timezone.now(), **told)
            return Response(subject.shape(subject.find(request, thing_id)))

    return View


def _described(subject: Subject, act: Act) -> Callable[[Any], Any]:
    examples = [OpenApiExample(act.summary, dict(act.example), request_only=True)] if act.example else None
    answer = OpenApiResponse(subject.serializer, description=f"The {subject.name} after it.")
    return cast(
        Callable[[Any], Any],
        extend_schema(
            operation_id=act.operation_id,
            summary=act.summary,
            description=f"{act.description} By a signed-in person, in that person's name.",
            tags=["Management"],
            request=act.body,
            examples=examples,
            responses={200: answer, **problems(subject.refusals)},
        ),
    )
