"""Release trains, for programs: reading them, and the acts of people on them."""

import uuid
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlencode

from django.contrib.auth.models import AbstractUser
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audits.api.problems import COMMON, problems
from audits.context import Actor
from flags.api.authentication import TokenAuthentication
from flags.errors import NotFound
from flags.models.tokens import TokenScope
from flags.services.keys import problem
from flags.snapshots import TokenFacts
from rollouts.api.reading import (
    LARGEST_PAGE,
    PAGE_SIZE,
    REFUSALS,
    ReadingView,
    next_address,
    person,
    refuse_unknown,
    whole_number,
)
from rollouts.api.train_shapes import (
    TrainActInput,
    TrainPageSerializer,
    TrainRollbackInput,
    TrainSerializer,
    TrainStartInput,
)
from rollouts.models import ReleaseTrain
from rollouts.plans.trains import TrainState
from rollouts.selectors.train_reads import train_part, trains_within
from rollouts.selectors.trains import TrainView, view_of, visible_trains
from rollouts.services import trains

STATES = tuple(state.value for state in TrainState)
_WHO = (TokenAuthentication, SessionAuthentication)
_READS = {**REFUSALS, 401: "No valid token and no session."}
_ACTS = {
    **COMMON,
    400: "The body cannot be used; `problems` says what to change.",
    403: "Only people act on trains: a token may not, nor who lacks the role where its plans go. A session needs the "
    "header X-CSRFToken.",
    404: "There is no such train, or a plan of it goes where you have no role.",
    409: "The train or a plan of it is not as it was read, or this is not possible in its present state.",
    413: "The body is too large.",
}


class TrainsView(ReadingView):
    """Trains that the caller may read."""

    authentication_classes = _WHO

    @extend_schema(
        operation_id="trains",
        summary="List release trains",
        description="Newest first. A token reads those whose plans all go to its environment, a signed-in person those "
        "whose plans all go where that person has a role.",
        tags=["Management"],
        parameters=[
            OpenApiParameter("state", str, enum=STATES, description="Only trains in this state."),
            OpenApiParameter("cursor", uuid.UUID, description="From `next` of the page before."),
            OpenApiParameter("page_size", int, description=f"1 to {LARGEST_PAGE}; {PAGE_SIZE} unless given."),
        ],
        responses={
            200: OpenApiResponse(TrainPageSerializer, description="A page."),
            **problems({**_READS, 400: "A parameter cannot be used; nothing was read."}),
        },
    )
    def get(self, request: Request) -> Response:
        refuse_unknown(request, ("state", "cursor", "page_size"))
        rows, given = _readable(request), request.query_params
        if "state" in given and given["state"] not in STATES:
            raise problem("state", f"Choose one of: {', '.join(STATES)}.")
        size = whole_number(request, "page_size", largest=LARGEST_PAGE) or PAGE_SIZE
        part = train_part(rows, state=given.get("state", ""), after=_cursor(request, rows), size=size)
        return Response(
            {
                "results": [_shape(view) for view in part.views],
                "next": next_address(request, str(part.next_id) if part.next_id else None),
            }
        )


class TrainDetailView(ReadingView):
    """One train."""

    authentication_classes = _WHO

    @extend_schema(
        operation_id="train",
        summary="Read a release train",
        description="Its state, its plans in their order and what each waits for.",
        tags=["Management"],
        responses={
            200: OpenApiResponse(TrainSerializer, description="The train as of now."),
            **problems({**_READS, 404: "There is no such train, or a plan of it goes where you may not read."}),
        },
    )
    def get(self, request: Request, train_id: uuid.UUID) -> Response:
        return Response(_shape(view_of(_train(request, train_id))))


class _ActView(APIView):
    """An act on a train: what the page of the train does, by the same service."""

    token_scope = TokenScope.MANAGE.value
    authentication_classes = _WHO
    permission_classes = (IsAuthenticated,)
    http_method_names = ["post"]

    def carry_out(
        self,
        request: Request,
        train_id: uuid.UUID,
        act: Callable[..., ReleaseTrain],
        body: type[serializers.Serializer[Any]] = TrainActInput,
    ) -> Response:
        """Read the body, do it, and answer with the train as it is after it."""
        command = body(data=request.data)
        command.is_valid(raise_exception=True)
        told = dict(cast(dict[str, Any], command.validated_data))
        train = _train(request, train_id)
        act(train.pk, actor=_actor(request), now=timezone.now(), seen=told.pop("version"), **told)
        train.refresh_from_db()
        return Response(_shape(view_of(train)))


def _described(
    name: str, summary: str, description: str, body: type[serializers.Serializer[Any]] = TrainActInput
) -> Callable[[Any], Any]:
    answer = OpenApiResponse(TrainSerializer, description="The train after it.")
    return cast(
        Callable[[Any], Any],
        extend_schema(
            operation_id=name,
            summary=summary,
            description=f"{description} By a signed-in person, in that person's name.",
            tags=["Management"],
            request=body,
            responses={200: answer, **problems(_ACTS)},
        ),
    )


class StartTrainView(_ActView):
    """Starting."""

    @_described(
        "start_train",
        "Start a release train",
        "Takes what starting each of its plans takes, and exactly the plans that were read.",
        TrainStartInput,
    )
    def post(self, request: Request, train_id: uuid.UUID) -> Response:
        return self.carry_out(request, train_id, trains.start_train, TrainStartInput)


class PauseTrainView(_ActView):
    """Pausing."""

    @_described("pause_train", "Pause a release train", "No plan of it goes forward; everybody keeps what they get.")
    def post(self, request: Request, train_id: uuid.UUID) -> Response:
        return self.carry_out(request, train_id, trains.pause_train)


class ResumeTrainView(_ActView):
    """Resuming."""

    @_described("resume_train", "Resume a release train", "Its plans go on.")
    def post(self, request: Request, train_id: uuid.UUID) -> Response:
        return self.carry_out(request, train_id, trains.resume_train)


class RollBackTrainView(_ActView):
    """Taking everything back."""

    @_described(
        "roll_back_train",
        "Roll a release train back",
        "Every plan that has begun goes to how it was before, the last one first.",
        TrainRollbackInput,
    )
    def post(self, request: Request, train_id: uuid.UUID) -> Response:
        return self.carry_out(request, train_id, trains.roll_back_train, TrainRollbackInput)


def _readable(request: Request) -> QuerySet[ReleaseTrain]:
    """Trains that the caller may read all of."""
    if request.auth is not None:
        return trains_within(cast(TokenFacts, request.auth).environment_id)
    return visible_trains(cast(AbstractUser, request.user))


def _train(request: Request, train_id: uuid.UUID) -> ReleaseTrain:
    found = _readable(request).filter(pk=train_id).first()
    if found is None:
        raise NotFound("There is no such train, or a plan of it goes where you may not read.")
    return found


def _cursor(request: Request, rows: QuerySet[ReleaseTrain]) -> ReleaseTrain | None:
    """The last train of the page before. Raises InvalidInput."""
    if "cursor" not in request.query_params:
        return None
    try:
        return rows.get(pk=uuid.UUID(request.query_params["cursor"]))
    except (ValueError, ReleaseTrain.DoesNotExist):
        raise problem("cursor", "This is no page that was answered. Begin again without it.") from None


def _actor(request: Request) -> Actor:
    if request.auth is not None:
        token = cast(TokenFacts, request.auth)
        return Actor.service(token.id, token.name)
    return Actor.person(cast(AbstractUser, request.user), via="api")


def _shape(view: TrainView) -> dict[str, Any]:
    train = view.train
    history = urlencode({"target_type": "train", "target_id": str(train.pk)})
    return {
        "id": str(train.pk),
        "title": train.title,
        "reason": train.reason,
        "state": train.state,
        "project": train.project.key,
        "version": train.lock_version,
        "digest": view.digest,
        "plans": _plans(view),
        "rollbackReason": train.rollback_reason,
        "createdBy": person(train.created_by),
        "createdAt": train.created_at,
        "startedAt": train.started_at,
        "endedAt": train.ended_at,
        "history": f"{reverse('audit-events')}?{history}",
    }


def _plans(view: TrainView) -> list[dict[str, Any]]:
    waits = [view.wait_of(member.position) for member in view.members]
    return [
        {
            "position": member.position,
            "plan": str(member.plan_id),
            "number": member.plan.number,
            "title": member.plan.title,
            "environment": member.plan.environment.key,
            "state": member.plan.state,
            "stage": member.plan.stage,
            "stages": len(member.plan.definition["stages"]),
            "opensAt": member.opens_at,
            "waitsFor": wait.sentence if wait else "",
            "refused": str(view.train.refused.get(str(member.plan_id), "")),
        }
        for member, wait in zip(view.members, waits, strict=True)
    ]
