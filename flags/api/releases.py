"""The releases of a flag for programs: its semantic versions with what each brought. Nothing is written here."""

from typing import Any, cast

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audits.api.problems import COMMON, problems
from flags.api.authentication import TokenAuthentication
from flags.api.parameters import parameters
from flags.api.release_schema import ReleasePageSerializer
from flags.errors import NotFound
from flags.lifecycle.release_notes import as_markdown
from flags.models import Environment, Flag
from flags.models.tokens import TokenScope
from flags.selectors.flag_history import flag_history
from flags.selectors.release_notes import ToldRelease, told_releases, visible_releases
from flags.snapshots import TokenFacts

PAGE_SIZE, LARGEST_PAGE, LARGEST_CURSOR = 20, 50, 1_000_000
_REFUSALS = {status: words for status, words in COMMON.items() if status not in {406, 415}}


class ReleasesView(APIView):
    """The semantic versions of a flag."""

    token_scope = TokenScope.MANAGE.value
    authentication_classes = (TokenAuthentication,)
    permission_classes = (IsAuthenticated,)
    renderer_classes = (JSONRenderer,)
    http_method_names = ["get", "head"]

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[Any, str]:
        return JSONRenderer(), JSONRenderer.media_type

    @extend_schema(
        operation_id="flag_releases",
        summary="Read the releases of a flag",
        description="Its semantic versions, newest first: those of the token's environment and words about the flag. "
        "Other environments count along, so numbers may be missing in between.",
        tags=["Management"],
        parameters=[
            OpenApiParameter("key", str, OpenApiParameter.PATH, description="The key of the token's project."),
            OpenApiParameter("flag", str, OpenApiParameter.PATH, description="The key of the flag."),
            OpenApiParameter("cursor", str, description="From `next` of the page before."),
            OpenApiParameter("page_size", int, description=f"1 to {LARGEST_PAGE}; {PAGE_SIZE} unless given."),
        ],
        responses={
            200: ReleasePageSerializer,
            **problems(
                {
                    **_REFUSALS,
                    400: "A parameter cannot be used; nothing was read.",
                    401: "No valid token.",
                    403: "The token has another scope than “manage”.",
                    404: "The token belongs to another project, or the project has no such flag.",
                }
            ),
        },
    )
    def get(self, request: Request, key: str, flag: str) -> Response:
        """Answer with one page."""
        with parameters(request, "cursor", "page_size") as asked:
            size = asked.whole_number("page_size", largest=LARGEST_PAGE) or PAGE_SIZE
            below = asked.whole_number("cursor", largest=LARGEST_CURSOR)
        row, environment = _place(cast(TokenFacts, request.auth), key, flag)
        history = flag_history(row, now=timezone.now())
        # A cursor counts from the beginning, so that a page stays the same while new versions come.
        earlier = history.releases if below is None else history.releases[: below - 1]
        shown = visible_releases(earlier, [environment])
        page = shown[:size]
        told = told_releases(page, [environment])
        return Response(
            {
                "flag": row.key,
                "newest": str(history.newest.number) if history.newest else None,
                "results": [_line(each) for each in told],
                "markdown": as_markdown(f"Releases of {row.name} ({row.key})", [each.note for each in told]),
                "next": str(history.releases.index(page[-1]) + 1) if len(shown) > size else None,
            }
        )


def _place(token: TokenFacts, project_key: str, flag_key: str) -> tuple[Flag, Environment]:
    """The flag, and the environment of the token. Raises NotFound."""
    environments = Environment.objects.filter(pk=token.environment_id, project__key=token.project_key)
    environment = environments.first() if project_key == token.project_key else None
    if environment is None:
        raise NotFound(f"This token belongs to the project “{token.project_key}” only.")
    rows = Flag.objects.filter(project=environment.project_id, key=flag_key)
    flag = rows.first() if flag_key.isprintable() else None
    if flag is None:
        raise NotFound("The project has no flag of this key.")
    return flag, environment


def _line(told: ToldRelease) -> dict[str, Any]:
    note = told.note
    return {
        "version": str(note.number),
        "part": note.part.value,
        "at": note.at,
        "environment": told.environment.key if told.environment else "",
        "person": note.person,
        "reason": note.reason,
        "changeRequest": told.request_id if note.request else None,
        "changeRequestNumber": note.request.removeprefix("#"),
        "groups": [
            {"audience": audience.value, "heading": audience.heading, "sentences": sentences}
            for audience, sentences in note.groups.items()
        ],
    }
