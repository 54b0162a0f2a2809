"""Reading change requests and drift, for programs. Nothing is written here."""

import uuid
from typing import Any, cast
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from audits.api.problems import problems
from flags.errors import NotFound
from flags.models import Environment
from flags.services.keys import problem
from flags.snapshots import TokenFacts
from rollouts.api.change_request_shapes import DriftSerializer, RequestDetailSerializer, RequestPageSerializer
from rollouts.api.reading import (
    LARGEST_PAGE,
    PAGE_SIZE,
    REFUSALS,
    ReadingView,
    next_address,
    person,
    refuse_no_key,
    refuse_unknown,
    whole_number,
)
from rollouts.models import ChangeRequest
from rollouts.selectors.api_reads import Judgeable, judgeable, requests_in
from rollouts.selectors.drift import Comparison, drift_page
from rollouts.transitions import RequestState

OPEN = "open"
STATES = (OPEN, *(state.value for state in RequestState))


class ChangeRequestsView(ReadingView):
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
            **problems({**REFUSALS, 400: "A parameter cannot be used; nothing was read."}),
        },
    )
    def get(self, request: Request) -> Response:
        asked = _parameters(request)
        part = requests_in(cast(TokenFacts, request.auth).environment_id, **asked)
        return Response(
            {"results": [_line(one) for one in part.requests], "next": next_address(request, part.next_number)}
        )


class ChangeRequestView(ReadingView):
    """One change request."""

    @extend_schema(
        operation_id="change_request",
        summary="Read a change request",
        description="Content, digest, verdict as of now, findings of rules, approvals and soak.",
        tags=["Management"],
        responses={
            200: OpenApiResponse(RequestDetailSerializer, description="Everything that decides about it."),
            **problems({**REFUSALS, 404: "There is no such change request in the token's environment."}),
        },
    )
    def get(self, request: Request, request_id: uuid.UUID) -> Response:
        environment_id = cast(TokenFacts, request.auth).environment_id
        found = judgeable(environment_id, request_id, now=timezone.now())
        if found is None:
            raise NotFound("There is no such change request in the environment of this token.")
        return Response(_detail(found))


class DriftView(ReadingView):
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
                    **REFUSALS,
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
        refuse_unknown(request, ("cursor", "page_size"))
        refuse_no_key(request, "cursor")
        size = whole_number(request, "page_size", largest=LARGEST_PAGE) or PAGE_SIZE
        after = request.query_params.get("cursor", "")
        cells, following = drift_page(environment, after=after, most=size, now=timezone.now())
        return Response({"results": [_drift(cell) for cell in cells], "next": next_address(request, following)})


def _parameters(request: Request) -> dict[str, Any]:
    """The arguments of `requests_in`. Raises InvalidInput for what it does not know."""
    given = request.query_params
    refuse_unknown(request, ("state", "flag", "cursor", "page_size"))
    state, flag_key = given.get("state", ""), given.get("flag", "")
    if "state" in given and state not in STATES:
        raise problem("state", f"Choose one of: {', '.join(STATES)}.")
    refuse_no_key(request, "flag")
    size = whole_number(request, "page_size", largest=LARGEST_PAGE) or PAGE_SIZE
    below = whole_number(request, "cursor", largest=2**31 - 1)
    return {"state": state, "flag_key": flag_key, "below": below, "size": size}


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
        "requester": person(request.requester),
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
                "person": person(one.approver),
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
