"""Code references: what scanners report, which keys they look for, and what programs read of what was found."""

from contextlib import closing
from typing import Any, cast

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audits.api.problems import COMMON, problems
from audits.context import Actor
from flags.api.authentication import TokenAuthentication
from flags.api.edge import edge
from flags.api.parameters import parameters, refuse_parameters
from flags.api.reference_bodies import ReportBody, after_first
from flags.api.reference_schema import (
    REPORT_REQUEST,
    CodeReferencesSerializer,
    FlagKeysSerializer,
    ImportedSerializer,
)
from flags.api.refusals import too_many
from flags.api.wire import Refused, problem_response
from flags.errors import NotFound
from flags.models import CodeReference, Flag, Project
from flags.models.tokens import TokenScope
from flags.scanning.wire import UnusableScan, read_files, read_head
from flags.selectors.references import (
    MOST_SHOWN,
    is_scanned,
    newest_scans,
    reference_counts,
    references_of,
    web_address,
)
from flags.services.references import Imported, import_references
from flags.snapshots import TokenFacts

_REFUSALS = {status: words for status, words in COMMON.items() if status != 406}
_KEY = OpenApiParameter("key", str, OpenApiParameter.PATH, description="The key of the token's project.")


class _ReferencesView(APIView):
    authentication_classes = (TokenAuthentication,)
    permission_classes = (IsAuthenticated,)
    renderer_classes = (JSONRenderer,)

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[Any, str]:
        return JSONRenderer(), JSONRenderer.media_type


class ReportReferencesView(_ReferencesView):
    """Scans of branches."""

    token_scope = TokenScope.REFERENCES.value

    @extend_schema(
        operation_id="report_code_references",
        summary="Report which lines of a branch name which flags",
        description="What was found becomes the references of the branch, all of it or nothing. Lines of JSON: the "
        "scan, a line for each file, the end with the number of references. Small reports may come as one document.",
        tags=["Code references"],
        request=REPORT_REQUEST,
        responses={
            200: OpenApiResponse(ImportedSerializer, description="A scan of this id came before; nothing changed."),
            201: OpenApiResponse(ImportedSerializer, description="The scan was taken in."),
            **problems(
                {
                    **_REFUSALS,
                    400: "The report is cut off or says something impossible. Nothing was kept.",
                    401: "No valid token.",
                    403: "The token has another scope than “references”.",
                    404: "The token belongs to another project.",
                    409: "A newer scan of the branch was taken in already, or the id is another scan's.",
                    411: "The body has no length.",
                    413: "The report is too large.",
                    415: "The body is neither lines of JSON nor JSON.",
                    429: "The token has sent its scans of this minute; `Retry-After` says when it may again.",
                }
            ),
        },
    )
    def post(self, request: Request) -> HttpResponse:
        try:
            _admit(cast(TokenFacts, request.auth))
            with closing(ReportBody(request._request.META)) as body:
                done = _import(cast(TokenFacts, request.auth), body)
        except UnusableScan as error:
            answer = problem_response(400, code="unusable_scan", detail=str(error))
        except Refused as refusal:
            answer = refusal.response
        else:
            return Response(_imported(done), status=200 if done.is_duplicate else 201)
        return HttpResponse(answer.body, status=answer.status, headers=dict(answer.headers))


class FlagKeysView(_ReferencesView):
    """The keys a scanner looks for."""

    token_scope = TokenScope.REFERENCES.value
    http_method_names = ["get", "head"]

    @extend_schema(
        operation_id="flag_keys",
        summary="Read the keys of a project's flags",
        description="Archived flags too: code that still names them is found as well.",
        tags=["Code references"],
        parameters=[_KEY],
        responses={
            200: FlagKeysSerializer,
            **problems(
                {
                    **{status: words for status, words in _REFUSALS.items() if status != 415},
                    400: "A parameter cannot be used; nothing was read.",
                    403: "The token has another scope than “references”.",
                    404: "The token belongs to another project.",
                }
            ),
        },
    )
    def get(self, request: Request, key: str) -> Response:
        project = _project(cast(TokenFacts, request.auth), key)
        refuse_parameters(request)
        keys = Flag.objects.filter(project=project).order_by("key").values_list("key", flat=True)
        return Response({"project": project.key, "keys": list(keys)})


class CodeReferencesView(_ReferencesView):
    """What code of a project names."""

    token_scope = TokenScope.MANAGE.value
    http_method_names = ["get", "head"]

    @extend_schema(
        operation_id="code_references",
        summary="Read where code names flags",
        description="Without “flag” how often each is named in default branches; with it the lines too, in every "
        f"branch, {MOST_SHOWN} at most: those that are there, then those that vanished.",
        tags=["Code references"],
        parameters=[_KEY, OpenApiParameter("flag", str, description="The key of a flag.")],
        responses={
            200: CodeReferencesSerializer,
            **problems(
                {
                    **{status: words for status, words in _REFUSALS.items() if status != 415},
                    400: "A parameter cannot be used; nothing was read.",
                    403: "The token has another scope than “manage”.",
                    404: "The token belongs to another project, or the project has no such flag.",
                }
            ),
        },
    )
    def get(self, request: Request, key: str) -> Response:
        project = _project(cast(TokenFacts, request.auth), key)
        with parameters(request, "flag") as asked:
            wanted = asked.text("flag")
        return Response(_told(project, _flag(wanted, project)))


def _admit(token: TokenFacts) -> None:
    limiter = edge().reference_limiter
    excess = None if limiter is None else limiter.excess(token.id, now=timezone.now())
    if excess is not None:
        raise too_many(excess, what="scans")


def _project(token: TokenFacts, key: str) -> Project:
    """The project of a token, where that is the one asked for. Raises NotFound."""
    project = Project.objects.filter(key=token.project_key).first() if key == token.project_key else None
    if project is None:
        raise NotFound(f"This token belongs to the project “{token.project_key}” only.")
    return project


def _flag(wanted: str | None, project: Project) -> Flag | None:
    """The flag asked about, None where none is. Raises NotFound."""
    if wanted is None:
        return None
    flag = Flag.objects.filter(project=project, key=wanted).first() if wanted.isprintable() else None
    if flag is None:
        raise NotFound("The project has no flag of this key. Check “flag”.")
    return flag


def _import(token: TokenFacts, body: ReportBody) -> Imported:
    head = read_head(next(body.lines(), b""))
    return import_references(
        _project(token, head.project),
        head,
        lambda: read_files(after_first(body.lines())),
        actor=Actor.service(token.id, token.name),
        now=timezone.now(),
    )


def _imported(done: Imported) -> dict[str, Any]:
    scan = done.scan
    return {
        "id": str(scan.pk),
        "is_duplicate": done.is_duplicate,
        "references": scan.references,
        "added": scan.added,
        "vanished": scan.vanished,
        "left_out": scan.left_out,
    }


def _told(project: Project, flag: Flag | None) -> dict[str, Any]:
    counts = reference_counts(project.pk, None if flag is None else [flag.key])
    summary = [
        {
            "flag": flag_key,
            "live": found.live,
            "first_seen_at": found.first_seen_at,
            "extinct_at": found.extinct_at,
        }
        for flag_key, found in sorted(counts.items())
    ]
    return {
        "is_scanned": is_scanned(project.pk),
        "flags": summary,
        "references": [] if flag is None else _lines(references_of(flag)),
    }


def _lines(rows: list[CodeReference]) -> list[dict[str, Any]]:
    newest = newest_scans({row.repository_id for row in rows})
    lines = []
    for row in rows:
        scan = newest.get((row.repository_id, row.branch))
        lines.append(
            {
                "repository": row.repository.name,
                "branch": row.branch,
                "path": row.path,
                "line": row.line,
                "column": row.column,
                "alias": row.alias,
                "text": row.text,
                "url": "" if row.vanished_at else web_address(row, scan.commit if scan else ""),
                "first_seen_at": row.first_seen_at,
                "first_commit": row.first_commit,
                "last_seen_at": row.last_seen_at or (scan.scanned_at if scan else row.first_seen_at),
                "vanished_at": row.vanished_at,
                "vanished_commit": row.vanished_commit,
            }
        )
    return lines
