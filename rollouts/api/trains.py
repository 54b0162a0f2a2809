"""Release trains, for programs: reading them, and the acts of people on them."""

import uuid
from typing import Any, cast

from django.contrib.auth.models import AbstractUser
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from audits.api.problems import problems
from flags.api.parameters import Parameters, parameters, refuse_parameters
from flags.errors import NotFound
from rollouts.api import acting
from rollouts.api.acting import Act, Subject, act_addresses
from rollouts.api.reading import (
    LARGEST_PAGE,
    PAGE_SIZE,
    PEOPLE_TOO,
    REFUSALS_TO_PEOPLE,
    UNUSABLE,
    ReadingView,
    environment_of,
    history_of,
    page_of,
    page_size,
    person,
    single,
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


class TrainsView(ReadingView):
    """Trains that the caller may read."""

    authentication_classes = PEOPLE_TOO

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
            **problems({**REFUSALS_TO_PEOPLE, **UNUSABLE}),
        },
    )
    def get(self, request: Request) -> Response:
        rows = _readable(request)
        with parameters(request, "state", "cursor", "page_size") as asked:
            state, after, size = asked.one_of("state", STATES), _cursor(asked, rows), page_size(asked)
        part = train_part(rows, state=state, after=after, size=size)
        return page_of(request, [_shape(view) for view in part.views], str(part.next_id) if part.next_id else None)


class TrainDetailView(ReadingView):
    """One train."""

    authentication_classes = PEOPLE_TOO

    @single(
        "train",
        "Read a release train",
        "Its state, its plans in their order and what each waits for.",
        TrainSerializer,
        answer="The train as of now.",
        missing="There is no such train, or a plan of it goes where you may not read.",
        refusals=REFUSALS_TO_PEOPLE,
    )
    def get(self, request: Request, train_id: uuid.UUID) -> Response:
        refuse_parameters(request)
        return Response(_shape(view_of(_train(request, train_id))))


def _readable(request: Request) -> QuerySet[ReleaseTrain]:
    """Trains that the caller may read all of."""
    if request.auth is not None:
        return trains_within(environment_of(request))
    return visible_trains(cast(AbstractUser, request.user))


def _train(request: Request, train_id: uuid.UUID) -> ReleaseTrain:
    found = _readable(request).filter(pk=train_id).first()
    if found is None:
        raise NotFound("There is no such train, or a plan of it goes where you may not read.")
    return found


def _cursor(asked: Parameters, rows: QuerySet[ReleaseTrain]) -> ReleaseTrain | None:
    """The last train of the page before."""
    text = asked.text("cursor")
    try:
        return None if text is None else rows.get(pk=uuid.UUID(text))
    except (ValueError, ReleaseTrain.DoesNotExist):
        asked.refuse("cursor", "This is no page that was answered. Begin again without it.")
        return None


def _shape(view: TrainView) -> dict[str, Any]:
    train = view.train
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
        "history": history_of("train", train.pk),
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


_SUBJECT = Subject(
    address="trains/<uuid:train_id>",
    name="train",
    find=_train,
    shape=lambda train: _shape(view_of(train)),
    serializer=TrainSerializer,
    refusals={
        **acting.REFUSALS,
        403: "Only people act on trains: a token may not, nor who lacks the role where its plans go. A session needs "
        "the header X-CSRFToken.",
        404: "There is no such train, or a plan of it goes where you have no role.",
        409: "The train or a plan of it is not as it was read, or this is not possible in its present state.",
    },
)
ADDRESSES = act_addresses(
    _SUBJECT,
    (
        Act(
            "start",
            "start_train",
            "Start a release train",
            "Takes what starting each of its plans takes, and exactly the plans that were read.",
            trains.start_train,
            TrainStartInput,
        ),
        Act(
            "pause",
            "pause_train",
            "Pause a release train",
            "No plan of it goes forward; everybody keeps what they get.",
            trains.pause_train,
            TrainActInput,
        ),
        Act("resume", "resume_train", "Resume a release train", "Its plans go on.", trains.resume_train, TrainActInput),
        Act(
            "roll-back",
            "roll_back_train",
            "Roll a release train back",
            "Every plan that has begun goes to how it was before, the last one first.",
            trains.roll_back_train,
            TrainRollbackInput,
        ),
    ),
)
