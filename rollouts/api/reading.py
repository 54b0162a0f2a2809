"""What addresses of programs have in common: who asks, how lists and single things are described and answered."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast
from urllib.parse import urlencode

from django.contrib.auth.models import AbstractUser
from django.urls import reverse
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audits.api.problems import COMMON, problems
from audits.context import Actor
from flags.api.authentication import TokenAuthentication
from flags.api.parameters import Parameters, parameters
from flags.models.tokens import TokenScope
from flags.snapshots import TokenFacts
from rollouts.deprecations.deciding import Decision as TimelineDecision
from rollouts.plans.deciding import Decision as PlanDecision
from rollouts.selectors.verdicts import name_of

PAGE_SIZE, LARGEST_PAGE = 50, 200
REFUSALS = {
    **{status: words for status, words in COMMON.items() if status not in {406, 415}},
    401: "No valid token.",
    403: "The token has another scope than “manage”.",
}
UNUSABLE = {400: "A parameter cannot be used; nothing was read."}
# Where signed-in people are answered as well.
PEOPLE_TOO = (TokenAuthentication, SessionAuthentication)
REFUSALS_TO_PEOPLE = {**REFUSALS, 401: "No valid token and no session."}
PAGING = (
    OpenApiParameter("cursor", str, description="From `next` of the page before."),
    OpenApiParameter("page_size", int, description=f"1 to {LARGEST_PAGE}; {PAGE_SIZE} unless given."),
)


class ReadingView(APIView):
    """An address that management tokens read, always as JSON."""

    token_scope = TokenScope.MANAGE.value
    authentication_classes: tuple[type[BaseAuthentication], ...] = (TokenAuthentication,)
    permission_classes = (IsAuthenticated,)
    renderer_classes = (JSONRenderer,)
    http_method_names = ["get", "head"]

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[Any, str]:
        return JSONRenderer(), JSONRenderer.media_type


def listing(
    operation_id: str,
    summary: str,
    page: type[serializers.Serializer[Any]],
    *,
    states: Sequence[str],
    state: str,
    flag: str,
    answer: str = "A page.",
) -> Callable[[Any], Any]:
    """The description of a list of what the token's environment holds; `state` and `flag` say what these filter."""
    return cast(
        Callable[[Any], Any],
        extend_schema(
            operation_id=operation_id,
            summary=summary,
            description="Those of the environment the token belongs to, newest first.",
            tags=["Management"],
            parameters=[
                OpenApiParameter("state", str, enum=states, description=state),
                OpenApiParameter("flag", str, description=flag),
                *PAGING,
            ],
            responses={200: OpenApiResponse(page, description=answer), **problems({**REFUSALS, **UNUSABLE})},
        ),
    )


def single(
    operation_id: str,
    summary: str,
    description: str,
    serializer: type[serializers.Serializer[Any]],
    *,
    answer: str,
    missing: str,
    refusals: Mapping[int, str] = REFUSALS,
) -> Callable[[Any], Any]:
    """The description of reading one thing; `missing` says what a 404 means."""
    return cast(
        Callable[[Any], Any],
        extend_schema(
            operation_id=operation_id,
            summary=summary,
            description=description,
            tags=["Management"],
            responses={
                200: OpenApiResponse(serializer, description=answer),
                **problems({**refusals, **UNUSABLE, 404: missing}),
            },
        ),
    )


def asked_for(request: Request, states: Sequence[str]) -> dict[str, Any]:
    """The arguments of a selector that lists by state, flag and page. Raises InvalidInput for what it does not know."""
    with parameters(request, "state", "flag", "cursor", "page_size") as asked:
        return {
            "state": asked.one_of("state", states),
            "flag_key": asked.key("flag"),
            "below": asked.whole_number("cursor", largest=2**31 - 1),
            "size": page_size(asked),
        }


def page_of(request: Request, results: Sequence[object], following: int | str | None) -> Response:
    """The answer with one page; `following` is the cursor of the next one, None at the end."""
    return Response({"results": results, "next": next_address(request, following)})


def environment_of(request: Request) -> uuid.UUID:
    """The environment of the caller's token."""
    return cast(TokenFacts, request.auth).environment_id


def actor_of(request: Request) -> Actor:
    """Who acts: the person who is signed in, or the service of the token."""
    if request.auth is not None:
        token = cast(TokenFacts, request.auth)
        return Actor.service(token.id, token.name)
    return Actor.person(cast(AbstractUser, request.user), via="api")


def next_address(request: Request, cursor: int | str | None) -> str | None:
    """The address of the next page."""
    if cursor is None:
        return None
    kept = {name: value for name, value in request.query_params.items() if name != "cursor"}
    return request.build_absolute_uri(f"?{urlencode({**kept, 'cursor': cursor})}")


def page_size(asked: Parameters) -> int:
    """How many things a page holds."""
    return asked.whole_number("page_size", largest=LARGEST_PAGE) or PAGE_SIZE


def decided(decision: PlanDecision | TimelineDecision | None) -> dict[str, Any]:
    """What a plan or a timeline does next, and what it waits for; None where it is not under way."""
    return {
        "next": decision and {"move": decision.move.value, "sentence": decision.sentence},
        "gates": [
            {"name": gate.name, "isMet": gate.is_met, "sentence": gate.sentence, "dueAt": gate.due_at}
            for gate in (decision.gates if decision else ())
        ],
    }


def history_of(target_type: str, target_id: uuid.UUID) -> str:
    """The address of one thing's part of the audit trail."""
    return f"{reverse('audit-events')}?{urlencode({'target_type': target_type, 'target_id': str(target_id)})}"


def person(user: Any) -> dict[str, str]:
    """Somebody by id and name."""
    return {"id": str(user.pk), "name": name_of(user)}
