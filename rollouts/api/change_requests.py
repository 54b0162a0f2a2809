"""Reading change requests and drift, for programs. Nothing is written here."""

import uuid
from collections.abc import Sequence
from typing import Any, cast
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audits.api.problems import COMMON, problems
from flags.api.authentication import TokenAuthentication
from flags.errors import NotFound
from flags.models import Environment
from flags.models.tokens import TokenScope
from flags.services.keys import problem
from flags.snapshots import TokenFacts
from rollouts.api.change_request_shapes import DriftSerializer, RequestDetailSerializer, RequestPageSerializer
from rollouts.models import ChangeRequest
from rollouts.selectors.api_reads import Judgeable, judgeable, requests_in
from rollouts.selectors.drift import Comparison, drift_page
from rollouts.selectors.verdicts import name_of
from rollouts.transitions import RequestState

PAGE_SIZE, LARGEST_PAGE = 50, 200
OPEN = "open"
STATES = (OPEN, *(state.value for state in RequestState))
_REFUSALS = {
    **{status: words for status, words in COMMON.items() if status not in {406, 415}},
    401: "No valid token.",
    403: "The token has another scope than “manage”.",
}


class _ReadingView(APIView):
    token_scope = TokenScope.MANAGE.value
    authentication_classes = (TokenAuthentication,)
    permission_classes = (IsAuthenticated,)
    renderer_classes = (JSONRenderer,)
    http_method_names = ["get", "head"]

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[Any, str]:
        return JSONRenderer(), JSONRenderer.media_type


class ChangeRequestsView(_ReadingView):
    """Change requests of the token's environment."""

    @extend_schema(
        operation_id="change_requests",
        summary="List change requests",
        description="Those of the environment the token belongs to, newest first.",
        tags=["Management"],
        parameters=[
            OpenApiParameter("state", str, enum=STATES, description="“open” is draft, in review and approved."),
            OpenApiParameter("flag", str, description="Only requests that change the flag with this key."),
            OpenApiParameter("cursor", str, description="From `next` of the page before."),
            OpenApiParameter("page_size", int, description=f"1 to {LARGEST_PAGE}; {PAGE_SIZE} unless given."),
        ],
        responses={
            200: OpenApiResponse(RequestPageSerializer, description="A page; it may hold fewer than asked for."),
            **problems({**_REFUSALS, 400: "A parameter cannot be used; nothing was read."}),
        },
    )
    def get(self, request: Request) -> Response:
        asked = _parameters(request)
        part = requests_in(cast(TokenFacts, request.auth).environment_id, **asked)
        return Response({"results": [_line(one) for one in part.requests], "next": _next(request, part.next_number)})


class ChangeRequestView(_ReadingView):
    """One change request."""

    @extend_schema(
        operation_id="change_request",
        summary="Read a change request",
        description="Content, digest, verdict as of now, findings of rules, approvals and soak.",
        tags=["Management"],
        responses={
            200: OpenApiResponse(RequestDetailSerializer, description="Everything that decides about it."),
            **problems({**_REFUSALS, 404: "There is no such change request in the token's environment."}),
        },
    )
    def get(self, request: Request, request_id: uuid.UUID) -> Response:
        environment_id = cast(TokenFacts, request.auth).environment_id
        found = judgeable(environment_id, request_id, now=timezone.now())
        if found is None:
            raise NotFound("There is no such change request in the environment of this token.")
        return Response(_detail(found))


class DriftView(_ReadingView):
    """What the token's environment and its neighbours do not serve alike."""

    @extend_schema(
        operation_id="project_drift",
        summary="Read the drift of an environment",
        description="Flags that the token's environment and its neighbours do not serve alike, and what explains it.",
        tags=["Management"],
        parameters=[
            OpenApiParameter("key", str, OpenApiParameter.PATH, description="The key of the token's project."),
            OpenApiParameter("cursor", str, description="From `next` of the page before."),
            OpenApiParameter("page_size", int, description=f"1 to {LARGEST_PAGE} flags; {PAGE_SIZE} unless given."),
        ],
        responses={
            200: OpenApiResponse(DriftSerializer, description="By flag key; aspects and never values."),
            **problems(
                {
                    **_REFUSALS,
                    400: "A parameter cannot be used; nothing was read.",
                    404: "The token belongs to another project.",
                }
            ),
        },
    )
    def get(self, request: Request, key: str) -> Response:
        token = cast(TokenFacts, request.auth)
        environments = Environment.objects.select_related("project").filter(pk=token.environment_id, project__key=key)
        environment = environments.first()
        if environment is None:
            raise NotFound(f"This token reads the drift of the project “{token.project_key}” only.")
        _refuse_unknown(request, ("cursor", "page_size"))
        _refuse_no_key(request, "cursor")
        size = _number(request, "page_size", largest=LARGEST_PAGE) or PAGE_SIZE
        after = request.query_params.get("cursor", "")
        cells, following = drift_page(environment, after=after, most=size, now=timezone.now())
        return Response({"results": [_drift(cell) for cell in cells], "next": _next(request, following)})


def _parameters(request: Request) -> dict[str, Any]:
    """The arguments of `requests_in`. Raises InvalidInput for what it does not know."""
    given = request.query_params
    _refuse_unknown(request, ("state", "flag", "cursor", "page_size"))
    state, flag_key = given.get("state", ""), given.get("flag", "")
    if "state" in given and state not in STATES:
        raise problem("state", f"Choose one of: {', '.join(STATES)}.")
    _refuse_no_key(request, "flag")
    size = _number(request, "page_size", largest=LARGEST_PAGE) or PAGE_SIZE
    below = _number(request, "cursor", largest=2**31 - 1)
    return {"state": state, "flag_key": flag_key, "below": below, "size": size}


def _refuse_unknown(request: Request, known: Sequence[str]) -> None:
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        listed = f"{', '.join(known[:-1])} and {known[-1]}"
        raise problem(unknown[0][:60], f"This parameter is not known. Known are {listed}.")


def _refuse_no_key(request: Request, name: str) -> None:
    key = request.query_params.get(name)
    if key is not None and not all(char.isascii() and (char.isalnum() or char in "-_.") for char in key or "/"):
        raise problem(name, "This is no key of a flag.")


def _next(request: Request, cursor: int | str | None) -> str | None:
    """The address of the next page."""
    if cursor is None:
        return None
    kept = {name: value for name, value in request.query_params.items() if name != "cursor"}
    return request.build_absolute_uri(f"?{urlencode({**kept, 'cursor': cursor})}")


def _number(request: Request, name: str, *, largest: int) -> int | None:
    if name not in request.query_params:
        return None
    text = request.query_params[name]
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(largest)) and 1 <= int(text) <= largest):
        raise problem(name, f"Give a whole number from 1 to {largest}.")
    return int(text)


def _line(request: ChangeRequest) -> dict[str, Any]:
    edits = request.change_set["edits"]
    return {
        "id": str(request.pk),
        "number": request.number,
        "title": request.title,
        "state": request.state,
        "environment": request.environment.key,
        "flags": [edit["flag_key"] for edit in edits if edit["type"] == "config"],
        "segments": [edit["segment_key"] for edit in edits if edit["type"] == "segment"],
        "requester": _person(request.requester),
        "digest": request.digest,
        "createdAt": request.created_at,
        "applyAt": request.apply_at,
        "appliedAt": request.applied_at,
    }


def _detail(found: Judgeable) -> dict[str, Any]:
    request, verdict, soak = found.request, found.verdict, found.soak
    history = urlencode({"target_type": "change_request", "target_id": str(request.pk)})
    return {
        **_line(request),
        "reason": request.reason,
        "ticketUrl": request.ticket_url,
        "round": request.round,
        "source": request.source,
        "changeSet": request.change_set,
        "blockedCode": request.blocked_code,
        "verdict": {
            "isSatisfied": verdict.is_satisfied,
            "required": verdict.required,
            "missing": verdict.missing,
            "sentences": list(verdict.sentences),
            "findings": [
                {"effect": one.effect.value, "rule": one.label, "sentence": one.sentence, "rationale": one.rationale}
                for one in verdict.findings
            ],
        },
        "approvals": [
            {
                "person": _person(one.approver),
                "digest": one.digest,
                "comment": one.comment,
                "counts": one.pk in found.counting,
                "at": one.created_at,
            }
            for one in found.approvals
        ],
        "soak": soak
        and {
            "environment": soak.environment.key,
            "hours": soak.hours,
            "since": soak.since,
            "incidents": list(soak.incidents),
        },
        "history": f"{reverse('audit-events')}?{history}",
    }


def _drift(cell: Comparison) -> dict[str, Any]:
    return {
        "flag": cell.flag.key,
        "upstream": cell.upstream.key,
        "downstream": cell.downstream.key,
        "state": cell.state.value,
        "aspects": [
            {
                "aspect": line.aspect.value,
                "state": line.state.value,
                "since": line.since,
                "reason": line.intended.reason if line.intended else "",
            }
            for line in cell.lines
        ],
    }


def _person(person: Any) -> dict[str, str]:
    return {"id": str(person.pk), "name": name_of(person)}
