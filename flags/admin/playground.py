"""The playground: one evaluation context against flags and environments of a project, side by side, with every step.

A GET shows the form, a POST the answers. Nothing of the context is stored, logged or put into an address.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from flags.admin.editor_facts import ATTRIBUTE_SOURCES, attribute_names
from flags.admin.governed import admin_page, signed_in
from flags.admin.posted_context import TYPES, AttributeLine, ContextDraft, read_context_draft
from flags.admin.steps import Step, reason_chip, steps_of
from flags.models import ContextAttribute, Environment, Flag, FlagConfig, Project, Segment
from flags.models.attributes import AttributeType
from flags.permissions import visible_environments
from flags.selectors.environments import shown_project
from flags.selectors.playground import PlaygroundCell, PlaygroundRow, playground_rows, reference_of

# Flags times environments that one page explains.
MAX_CELLS = 200
CHOSEN_AT_FIRST = 20
BLANK_LINES = 2
_KINDS = {AttributeType.NUMBER: "number", AttributeType.BOOLEAN: "boolean"}


@dataclass(frozen=True, slots=True)
class ShownCell:
    """One answer as the page shows it."""

    cell: PlaygroundCell
    value: str
    variant: str
    words: str
    tone: str
    steps: Sequence[Step]


@dataclass(frozen=True, slots=True)
class ShownRow:
    """One flag's answers."""

    row: PlaygroundRow
    cells: Sequence[ShownCell]


@dataclass(slots=True)
class Choice:
    """What of the project is asked about, and for which instant. `moment` is the instant as typed, "" for now."""

    flags: list[Flag]
    environments: list[Environment]
    chosen_flags: list[Flag]
    chosen_environments: list[Environment]
    moment: str = ""
    at: datetime | None = None


class PlaygroundPage:
    """The playground of one admin site."""

    def __init__(self, site: Any) -> None:
        self._site = site

    @method_decorator(require_http_methods(["GET", "HEAD", "POST"]))
    @method_decorator(sensitive_post_parameters())
    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        user = signed_in(request)
        projects, project = shown_project(user, request.GET.get("project", ""))
        if project is None:
            if projects or request.GET.get("project"):
                raise Http404
            raise PermissionDenied("You have no role anywhere yet. Ask an administrator for one.")
        declared = _declared(project)
        choice = _choice(request, user, project)
        draft = ContextDraft(lines=declared)
        rows: list[ShownRow] | None = None
        if request.method == "POST":
            draft = read_context_draft(request.POST, declared)
            _read_moment(request.POST.get("at", ""), choice, draft)
            _check_choice(choice, draft)
            if not draft.problems:
                rows = _rows(choice, draft, project)
        return self._page(request, projects, project, choice, draft, rows)

    def _page(
        self,
        request: HttpRequest,
        projects: list[Project],
        project: Project,
        choice: Choice,
        draft: ContextDraft,
        rows: list[ShownRow] | None,
    ) -> HttpResponseBase:
        context: dict[str, Any] = {
            "projects": projects,
            "project": project,
            "choice": choice,
            "draft": draft,
            "lines": [*draft.lines, *[AttributeLine()] * BLANK_LINES],
            "blank": AttributeLine(),
            "types": TYPES.items(),
            "known_attributes": _attributes_in_use(project, choice.environments),
            "rows": rows,
            "differing": sum(shown.row.differs for shown in rows or ()),
            "reference": reference_of(choice.chosen_environments) if choice.chosen_environments else None,
            "crumbs": [("Playground", reverse("admin:flags_playground")), (project.name, "")],
        }
        status = 400 if draft.problems else 200
        return admin_page(self._site, request, "flags/playground.html", title="Playground", status=status, **context)


def _declared(project: Project) -> list[AttributeLine]:
    attributes = ContextAttribute.objects.filter(project=project)
    return [
        AttributeLine(item.name, _KINDS.get(AttributeType(item.value_type), "text"), "", item.description, True)
        for item in attributes
    ]


def _attributes_in_use(project: Project, environments: Sequence[Environment]) -> list[str]:
    """Names to suggest: what the project declares, and what its rules and segments ask about."""
    configs = FlagConfig.objects.filter(environment__in=environments).order_by("-updated_at")
    segments = Segment.objects.filter(environment__in=environments).order_by("-updated_at")
    documents = [item.values_list("document", flat=True)[:ATTRIBUTE_SOURCES] for item in (configs, segments)]
    return [name for name in attribute_names(project.pk, [*documents[0], *documents[1]]) if name != "targetingKey"]


def _choice(request: HttpRequest, user: AbstractUser, project: Project) -> Choice:
    """What the person chose among what they may look at; at first everything, as far as it fits."""
    environments = list(visible_environments(user).filter(project=project).order_by("position", "key"))
    flags = list(Flag.objects.filter(project=project, archived_at=None).order_by("name", "key"))
    if request.method == "POST":
        flag_keys, places = set(request.POST.getlist("flag")), set(request.POST.getlist("environment"))
    else:
        wanted = request.GET.getlist("flag")
        flag_keys = set(wanted) if wanted else {flag.key for flag in flags[:CHOSEN_AT_FIRST]}
        places = {environment.key for environment in environments}
    chosen_flags = [flag for flag in flags if flag.key in flag_keys]
    chosen_environments = [environment for environment in environments if environment.key in places]
    return Choice(flags, environments, chosen_flags, chosen_environments)


def _read_moment(text: str, choice: Choice, draft: ContextDraft) -> None:
    """The instant to evaluate for. The field has no zone, so it is read in the zone that pages show."""
    choice.moment = text.strip()
    if not choice.moment:
        return
    try:
        choice.at = timezone.make_aware(datetime.fromisoformat(choice.moment)).astimezone(UTC)
    except (ValueError, OverflowError):
        draft.problems.append("The point in time cannot be read. Choose a date and a time, or leave it empty for now.")


def _check_choice(choice: Choice, draft: ContextDraft) -> None:
    if not choice.chosen_flags:
        draft.problems.append("Choose at least one flag.")
    if not choice.chosen_environments:
        draft.problems.append("Choose at least one environment.")
    cells = len(choice.chosen_flags) * len(choice.chosen_environments)
    if cells > MAX_CELLS:
        draft.problems.append(
            f"That would be {cells} answers on one page; at most {MAX_CELLS} are shown. Choose fewer flags."
        )


def _rows(choice: Choice, draft: ContextDraft, project: Project) -> list[ShownRow]:
    found = playground_rows(
        choice.chosen_flags,
        choice.chosen_environments,
        draft.context,
        project_key=project.key,
        now=choice.at or timezone.now(),
    )
    return [ShownRow(row, [_shown(cell, draft.context) for cell in row.cells]) for row in found]


def _shown(cell: PlaygroundCell, context: dict[str, Any]) -> ShownCell:
    if cell.explanation is None:
        return ShownCell(cell, "Code default", "", "Not set up", "quiet", [_NOT_SET_UP])
    resolution = cell.explanation.resolution
    words, tone = reason_chip(resolution)
    steps = steps_of(cell.explanation, context)
    return ShownCell(cell, cell.answer or "Code default", resolution.variant or "", words, tone, steps)


_NOT_SET_UP = Step("note", "The flag is not set up here", "Nothing was ever applied, so the code default decides.")
