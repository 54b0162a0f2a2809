"""Reading change requests and drift, for programs. Nothing is written here."""

import uuid
from typing import Any, cast

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from audits.api.problems import problems
from flags.api.parameters import parameters, refuse_parameters
from flags.errors import NotFound
from flags.models import Environment
from flags.snapshots import TokenFacts
from rollouts.api.change_request_shapes import DriftSerializer, RequestDetailSerializer, RequestPageSerializer
from rollouts.api.reading import (
    LARGEST_PAGE,
    PAGE_SIZE,
    REFUSALS,
    UNUSABLE,
    ReadingView,
    asked_for,
    environment_of,
    history_of,
    listing,
    page_of,
    page_size,
    person,
    single,
)
from rollouts.models import ChangeRequest
from rollouts.selectors.api_reads import Judgeable, judgeable, requests_in
from rollouts.selectors.drift import Comparison, drift_page
from rollouts.transitions import RequestState

OPEN = "open"
STATES = (OPEN, *(state.value for state in RequestState))


class ChangeRequestsView(ReadingView):
    """Change requests of the token's environment."""

    @listing(
        "change_requests",
        "List change requests",
        RequestPageSerializer,
        states=STATES,
        state="“open” is draft, in review and approved.",
        flag="Only requests that change the flag with this key.",
        answer="A page; it may hold fewer than asked for.",
    )
    def get(self, request: Request) -> Response:
        part = requests_in(environment_of(request), **asked_for(request, STATES))
        return page_of(request, [_line(one) for one in part.requests], part.next_number)


class ChangeRequestView(ReadingView):
    """One change request."""

    @single(
        "change_request",
        "Read a change request",
        "Content, digest, verdict as of now, findings of rules, approvals and soak.",
        RequestDetailSerializer,
        answer="Everything that decides about it.",
        missing="There is no such change request in the token's environment.",
    )
    def get(self, request: Request, request_id: uuid.UUID) -> Response:
        refuse_parameters(request)
        found = judgeable(environment_of(request), request_id, now=timezone.now())
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
            **problems({**REFUSALS, **UNUSABLE, 404: "The token belongs to another project."}),
        },
    )
    def get(self, request: Request, key: str) -> Response:
        token = cast(TokenFacts, request.auth)
        environments = Environment.objects.select_related("project").filter(pk=token.environment_id, project__key=key)
        environment = environments.first()
        if environment is None:
            raise NotFound(f"This token reads the drift of the project “{token.project_key}” only.")
        with parameters(request, "cursor", "page_size") as asked:
            after, most = asked.key("cursor"), page_size(asked)
        cells, following = drift_page(environment, after=after, most=most, now=timezone.now())
        return page_of(request, [_drift(cell) for cell in cells], following)


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
        "history": history_of("change_request", request.pk),
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
