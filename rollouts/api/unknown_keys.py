"""Keys that services ask for and that no flag answers, for programs. Reading only."""

from typing import Any, cast

from django.contrib.auth.models import AbstractUser
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request
from rest_framework.response import Response

from audits.api.problems import problems
from flags.api.authentication import TokenAuthentication
from flags.api.parameters import parameters
from flags.errors import NotFound
from flags.models import Environment
from flags.permissions import visible_environments
from flags.selectors.asked_for import AskedLine, Asking, Uncounted, asked_for, say_what_was_meant
from flags.snapshots import TokenFacts
from rollouts.api.reading import (
    LARGEST_PAGE,
    PAGE_SIZE,
    REFUSALS,
    ReadingView,
    next_address,
    page_size,
)
from rollouts.api.unknown_key_shapes import UnknownKeyPageSerializer

_UNREADABLE = "There is no such project, or the caller may not read it."


class UnknownKeysView(ReadingView):
    """Keys that no flag answers."""

    authentication_classes = (TokenAuthentication, SessionAuthentication)

    @extend_schema(
        operation_id="unknown_keys",
        summary="List keys that services ask for and that no flag answers",
        description="Keys of the last 30 days by key: who asks in which environment, since when and how often, and "
        "which flag was probably meant. A token reads those of its environment, a person those of environments with a "
        "role of hers. Keys that may name somebody are counted as `hidden` and shown nowhere.",
        tags=["Management"],
        parameters=[
            OpenApiParameter("key", str, OpenApiParameter.PATH, description="The key of a project."),
            OpenApiParameter("cursor", str, description="From `next` of the page before."),
            OpenApiParameter("page_size", int, description=f"1 to {LARGEST_PAGE}; {PAGE_SIZE} unless given."),
        ],
        responses={
            200: OpenApiResponse(UnknownKeyPageSerializer, description="A page."),
            **problems(
                {
                    **REFUSALS,
                    400: "A parameter cannot be used; nothing was read.",
                    401: "No valid token and no session.",
                    404: _UNREADABLE,
                }
            ),
        },
    )
    def get(self, request: Request, key: str) -> Response:
        environments = _environments(request, key)
        with parameters(request, "cursor", "page_size") as asked:
            after, size = asked.key("cursor"), page_size(asked)
        project = environments[0].project
        found = asked_for(project, environments, now=timezone.now())
        lines = sorted((line for line in found.lines if line.key > after), key=lambda line: line.key)
        shown = lines[:size]
        say_what_was_meant(project, shown)
        return Response(
            {
                "results": [_line(line) for line in shown],
                "hidden": _uncounted(found.hidden),
                "further": _uncounted(found.further),
                "next": next_address(request, shown[-1].key if len(lines) > size else None),
            }
        )


def _environments(request: Request, key: str) -> list[Environment]:
    """The environments of the project that the caller may see. Raises NotFound where there is none."""
    if request.auth is not None:
        rows = Environment.objects.filter(pk=cast(TokenFacts, request.auth).environment_id)
    else:
        rows = visible_environments(cast(AbstractUser, request.user))
    found = list(rows.filter(project__key=key).select_related("project"))
    if not found:
        raise NotFound(_UNREADABLE)
    return found


def _line(line: AskedLine) -> dict[str, Any]:
    return {
        "key": line.key,
        "code": line.reason.value,
        "sentence": line.sentence,
        "firstAt": line.first_at,
        "lastAt": line.last_at,
        "count": line.count,
        "meant": line.meant and line.meant.key,
        "archivedAt": line.flag and line.flag.archived_at,
        "isKeptBack": line.is_kept_back,
        "asking": [_asking(each) for each in line.asking],
    }


def _asking(each: Asking) -> dict[str, Any]:
    return {
        "environment": each.environment.key,
        "service": each.service,
        "version": each.version,
        "firstAt": each.first_at,
        "lastAt": each.last_at,
        "count": each.count,
    }


def _uncounted(found: Uncounted) -> dict[str, Any]:
    return {"count": found.count, "lastAt": found.last_at}
