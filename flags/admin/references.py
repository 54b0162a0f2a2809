"""Code references for people: what was scanned when, where code names a flag, and what nobody names any longer."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import AbstractUser
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_http_methods, require_safe

from flags import permissions
from flags.admin.forms import ReasonForm
from flags.admin.governed import GovernedAdmin, actor_of, form_errors, signed_in
from flags.models import CodeReference, CodeRepository, CodeScan, Environment, Flag, Project
from flags.selectors.environments import shown_project
from flags.selectors.references import (
    MOST_SHOWN,
    archived_in_code,
    is_scanned,
    newest_scans,
    reference_counts,
    references_of,
    repository_lines,
    unknown_keys,
    unreferenced_flags,
    web_address,
)
from flags.selectors.scanned import code_knowledge
from flags.services.references import set_repository

RECENT_SCANS = 30


class RepositoryForm(ReasonForm):
    """Which branch counts, and where a line is looked at."""

    default_branch = forms.CharField(
        max_length=200, help_text="A flag counts as named while this branch names it. Other branches are shown only."
    )
    url_template = forms.CharField(
        max_length=500,
        required=False,
        label="Address of a line",
        help_text="Such as https://code.example.org/shop/blob/{commit}/{path}#L{line}. Flagsite never asks for it.",
    )
    field_order = ("default_branch", "url_template", "reason")


@admin.register(CodeRepository)
class CodeRepositoryAdmin(GovernedAdmin):
    """The repositories of a project, one of them, and the references of a flag."""

    def visible_to(self, user: AbstractUser, queryset: QuerySet[CodeRepository]) -> QuerySet[CodeRepository]:
        return queryset.filter(project__in=permissions.visible_projects(user)).select_related("project")

    def get_urls(self) -> list[URLPattern]:
        page = self.door("flags/<uuid:flag_id>/", self.flag_view, "flags_flag_references")
        return [page, *super().get_urls()]

    @method_decorator(require_safe)
    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponseBase:
        user = signed_in(request)
        projects, project = shown_project(user, request.GET.get("project", ""))
        if project is None and request.GET.get("project"):
            raise Http404
        context = _overview(user, project) if project else {}
        return self.page(
            request,
            "flags/references/project.html",
            title="Code references",
            projects=projects,
            project=project,
            **context,
            crumbs=[("Code references", "")],
        )

    @method_decorator(require_http_methods(["GET", "HEAD", "POST"]))
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponseBase:
        repository: CodeRepository = self.row(request, object_id)
        initial = {"default_branch": repository.default_branch, "url_template": repository.url_template}
        form = RepositoryForm(request.POST if request.method == "POST" else None, initial=initial)
        if request.method == "POST" and form.is_valid():
            with form_errors(form):
                set_repository(repository.pk, actor=actor_of(request), now=timezone.now(), **form.cleaned_data)
                messages.success(request, f"{repository.name} was saved. What services get did not change.")
                return HttpResponseRedirect(_address(repository.project))
        return self.page(
            request,
            "flags/references/repository.html",
            title=repository.name,
            subtitle=f"Repository of {repository.project.name}",
            repository=repository,
            scans=CodeScan.objects.filter(repository=repository)[:RECENT_SCANS],
            form=form if _may_edit(signed_in(request), repository.project) else None,
            crumbs=[("Code references", _address(repository.project)), (repository.name, "")],
        )

    @method_decorator(require_safe)
    def flag_view(self, request: HttpRequest, flag_id: Any) -> HttpResponseBase:
        """Where code names a flag."""
        visible = permissions.visible_projects(signed_in(request))
        flag = Flag.everything.select_related("project").filter(pk=flag_id, project__in=visible).first()
        if flag is None:
            raise Http404
        rows = references_of(flag)
        return self.page(
            request,
            "flags/references/flag.html",
            title=f"Code that names {flag.name}",
            subtitle="From the newest scan of each branch.",
            flag=flag,
            counts=reference_counts(flag.project_id, [flag.key]).get(flag.key),
            is_scanned=is_scanned(flag.project_id),
            doubts=code_knowledge(flag.project_id, now=timezone.now()).doubts,
            lines=_linked(rows),
            most_shown=MOST_SHOWN if len(rows) == MOST_SHOWN else 0,
            crumbs=[
                ("Flags", reverse("admin:flags_flag_changelist") + f"?project={flag.project.key}"),
                (flag.name, reverse("admin:flags_flag_change", args=[flag.pk])),
                ("Code references", ""),
            ],
        )

    def history_url(self, request: HttpRequest, object_id: str) -> str:
        return reverse("admin:flags_coderepository_change", args=[self.row(request, object_id).pk])


def _overview(user: AbstractUser, project: Project) -> dict[str, Any]:
    return {
        "lines": repository_lines(project),
        "is_scanned": is_scanned(project.pk),
        "doubts": code_knowledge(project.pk, now=timezone.now()).doubts,
        "unreferenced": unreferenced_flags(project),
        "archived": archived_in_code(project),
        "unknown": unknown_keys(permissions.visible_environments(user).filter(project=project)),
    }


def _linked(rows: list[CodeReference]) -> list[tuple[CodeReference, str]]:
    """Lines with the address where each is looked at; what is gone has none, since its number may mean another line."""
    newest = newest_scans({row.repository_id for row in rows})
    return [(row, "" if row.vanished_at else web_address(row, _commit(row, newest))) for row in rows]


def _commit(row: CodeReference, newest: dict[Any, CodeScan]) -> str:
    scan = newest.get((row.repository_id, row.branch))
    return scan.commit if scan else ""


def _may_edit(user: AbstractUser, project: Project) -> bool:
    proposes = permissions.environments_with(user, permissions.PROPOSE)
    return Environment.objects.filter(project=project, pk__in=proposes).exists()


def _address(project: Project) -> str:
    return reverse("admin:flags_coderepository_changelist") + f"?project={project.key}"
