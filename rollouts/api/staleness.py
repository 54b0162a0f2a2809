"""Lives of flags, for programs: what is stale, how far one flag has come, and what it all comes to. Reading only."""

from typing import Any, cast

from django.contrib.auth.models import AbstractUser
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from audits.api.problems import problems
from flags.api.parameters import parameters, refuse_parameters
from flags.errors import NotFound
from flags.lifecycle.lives import Life
from flags.lifecycle.readiness import ForwardValue
from flags.models import Environment, Flag, Project
from flags.permissions import visible_environments, visible_projects
from flags.snapshots import TokenFacts
from rollouts.api.reading import (
    PAGING,
    PEOPLE_TOO,
    REFUSALS_TO_PEOPLE,
    UNUSABLE,
    ReadingView,
    page_of,
    page_size,
)
from rollouts.api.staleness_shapes import (
    CONFIDENCES,
    KINDS,
    READINESSES,
    REASONS,
    DebtSerializer,
    LifecycleSerializer,
    StalePageSerializer,
)
from rollouts.models import StaleVerdict
from rollouts.selectors.staleness.facts import life_of_flag
from rollouts.selectors.staleness.forward import seen_forward
from rollouts.selectors.staleness.verdicts import StaleQuery, debt_trend, stale_part
from rollouts.services.verdict_rows import matters_as_json, reasons_as_json, stages_as_json

_PROJECT = OpenApiParameter("key", str, OpenApiParameter.PATH, description="The key of a project.")
_UNREADABLE = "There is no such project, or the caller may not read it."
_FILTERS = {"reason": REASONS, "readiness": READINESSES, "kind": KINDS, "confidence": CONFIDENCES}
USUAL_DAYS, MOST_DAYS = 90, 400


class StaleFlagsView(ReadingView):
    """Stale flags of a project."""

    authentication_classes = PEOPLE_TOO

    @extend_schema(
        operation_id="stale_flags",
        summary="List stale flags",
        description="Flags past their life as the nightly look found them, by key: why, how sure that is, and whether "
        "they can be removed. For a token of the project, or a person with a role in it.",
        tags=["Management"],
        parameters=[
            _PROJECT,
            OpenApiParameter("reason", str, enum=REASONS, description="Only flags with this reason."),
            OpenApiParameter("readiness", str, enum=READINESSES, description="Only flags that are this ready to go."),
            OpenApiParameter("kind", str, enum=KINDS, description="Only flags of this kind."),
            OpenApiParameter("confidence", str, enum=CONFIDENCES, description="Only where one is this sure."),
            *PAGING,
        ],
        responses={
            200: OpenApiResponse(StalePageSerializer, description="A page."),
            **problems({**REFUSALS_TO_PEOPLE, **UNUSABLE, 404: _UNREADABLE}),
        },
    )
    def get(self, request: Request, key: str) -> Response:
        project = _project(request, key)
        with parameters(request, *_FILTERS, "cursor", "page_size") as asked:
            wanted = StaleQuery(**{name: asked.one_of(name, known) for name, known in _FILTERS.items()})
            after, size = asked.key("cursor"), page_size(asked)
        part = stale_part(project, wanted, after=after, size=size)
        return page_of(request, [_line(each) for each in part.verdicts], part.next_key)


class FlagLifecycleView(ReadingView):
    """The life of one flag."""

    authentication_classes = PEOPLE_TOO

    @extend_schema(
        operation_id="flag_lifecycle",
        summary="Read the life of a flag",
        description="Judged afresh: its stages with since when and why, what is stale about it, whether it can be "
        "removed, and what stands in code then.",
        tags=["Management"],
        parameters=[
            _PROJECT,
            OpenApiParameter("flag", str, OpenApiParameter.PATH, description="The key of a flag."),
        ],
        responses={
            200: OpenApiResponse(LifecycleSerializer, description="The life as of now."),
            **problems(
                {
                    **REFUSALS_TO_PEOPLE,
                    **UNUSABLE,
                    404: "There is no such flag, or the caller may not read its project.",
                }
            ),
        },
    )
    def get(self, request: Request, key: str, flag: str) -> Response:
        project = _project(request, key)
        refuse_parameters(request)
        found = Flag.objects.select_related("project").filter(project=project, key=flag).first()
        if found is None:
            raise NotFound("This project has no such flag.")
        life = life_of_flag(found, now=timezone.now())
        return Response(_detail(found, life, seen_forward(life, _visible(request, project))))


class FlagDebtView(ReadingView):
    """What stale flags come to."""

    authentication_classes = PEOPLE_TOO

    @extend_schema(
        operation_id="flag_debt",
        summary="Read what stale flags come to by day",
        description="A stale flag counts 10, and 1 more for each week, 30 at most; less where one cannot be sure.",
        tags=["Management"],
        parameters=[
            _PROJECT,
            OpenApiParameter("days", int, description=f"1 to {MOST_DAYS}; {USUAL_DAYS} unless given."),
        ],
        responses={
            200: OpenApiResponse(DebtSerializer, description="Days that were looked at, oldest first."),
            **problems({**REFUSALS_TO_PEOPLE, **UNUSABLE, 404: _UNREADABLE}),
        },
    )
    def get(self, request: Request, key: str) -> Response:
        project = _project(request, key)
        with parameters(request, "days") as asked:
            days = asked.whole_number("days", largest=MOST_DAYS) or USUAL_DAYS
        scores = debt_trend(project, until=timezone.now().date(), days=days)
        names = ("day", "score", "flags", "stale", "parts")
        return Response({"results": [{name: getattr(each, name) for name in names} for each in scores]})


def _project(request: Request, key: str) -> Project:
    """The project, where the caller may read it. Raises NotFound."""
    if request.auth is not None:
        token = cast(TokenFacts, request.auth)
        found = Project.objects.filter(key=key, environments=token.environment_id).first()
    else:
        found = visible_projects(cast(AbstractUser, request.user)).filter(key=key).first()
    if found is None:
        raise NotFound(_UNREADABLE)
    return found


def _line(verdict: StaleVerdict) -> dict[str, Any]:
    return {
        "flag": verdict.flag.key,
        "name": verdict.flag.name,
        "kind": verdict.flag.kind,
        "stage": verdict.stage,
        "staleSince": verdict.stale_since,
        "confidence": verdict.confidence,
        "reasons": verdict.reasons,
        "readiness": verdict.readiness,
        "blockers": verdict.blockers,
        "cautions": verdict.cautions,
        "judgedAt": verdict.judged_at,
    }


def _visible(request: Request, project: Project) -> set[str]:
    """Keys of the environments whose configs the caller may read."""
    rows = visible_environments(cast(AbstractUser, request.user)) if request.auth is None else Environment.objects
    found = rows.filter(project=project)
    if request.auth is not None:
        found = found.filter(pk=cast(TokenFacts, request.auth).environment_id)
    return set(found.values_list("key", flat=True))


def _detail(flag: Flag, life: Life, forward: ForwardValue) -> dict[str, Any]:
    return {
        "flag": flag.key,
        "kind": flag.kind,
        "bornAt": life.facts.born_at,
        "stage": {"stage": life.stage.stage.value, "since": life.stage.since, "sentence": life.stage.sentence},
        "stages": [{"environment": name, **stage} for name, stage in stages_as_json(life).items()],
        "isStale": life.staleness.is_stale,
        "staleSince": life.staleness.since,
        "reasons": reasons_as_json(life.staleness),
        "guards": [{"code": each.code, "sentence": each.sentence, "environment": ""} for each in life.staleness.guards],
        "readiness": life.removal.readiness.value,
        "blockers": matters_as_json(life.removal.blockers),
        "cautions": matters_as_json(life.removal.cautions),
        "forwardValue": {
            "isKnown": forward.is_known,
            "variant": forward.variant,
            "value": forward.value,
            "sentence": forward.sentence,
        },
    }
