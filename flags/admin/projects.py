"""Projects and the environments in them: created by site administrators, listed on the page of environments."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_http_methods, require_safe

from flags import permissions
from flags.admin.forms import KEY_WIDGET, PlainForm
from flags.admin.governed import GovernedAdmin, actor_of, form_errors, signed_in
from flags.models import Project
from flags.models.environments import BucketingGeneration, EnvironmentKind
from flags.services.projects import create_environment, create_project

get_or_post = require_http_methods(["GET", "HEAD", "POST"])


class ProjectForm(PlainForm):
    """A project to create."""

    name = forms.CharField(max_length=120, help_text="The product whose flags it holds: “Storefront”.")
    key = forms.CharField(
        max_length=60, help_text="Used in addresses and the API. It never changes.", widget=KEY_WIDGET
    )
    description = forms.CharField(max_length=4000, required=False, widget=forms.Textarea(attrs={"rows": 2}))


class EnvironmentForm(PlainForm):
    """An environment to create."""

    name = forms.CharField(max_length=120, help_text="Such as “Production” or “Staging EU”.")
    key = forms.CharField(
        max_length=60, help_text="Used in addresses and the API. It never changes.", widget=KEY_WIDGET
    )
    kind = forms.ChoiceField(
        choices=EnvironmentKind.choices,
        initial=EnvironmentKind.PRODUCTION,
        help_text="How close it is to customers. It decides how the environment looks on every page.",
    )
    is_protected = forms.BooleanField(required=False, initial=True, label="Protected")
    generation = forms.ChoiceField(
        label="Bucketing",
        choices=BucketingGeneration.choices,
        initial=BucketingGeneration.FLAGD_V2,
        help_text="How users are spread over shares. It never changes: that would move users to other variants.",
    )


@admin.register(Project)
class ProjectAdmin(GovernedAdmin):
    """Creating projects and environments."""

    def visible_to(self, user: AbstractUser, queryset: QuerySet[Project]) -> QuerySet[Project]:
        # A new project has no environments yet, so site administrators see it before anybody else can.
        return queryset if user.is_superuser else queryset.filter(pk__in=permissions.visible_projects(user))

    def get_urls(self) -> list[URLPattern]:
        address = "<uuid:object_id>/environments/add/"
        return [self.door(address, self.add_environment_view, "flags_project_environment_add"), *super().get_urls()]

    @method_decorator(require_safe)
    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponseBase:
        return HttpResponseRedirect(reverse("admin:flags_environment_changelist"))

    @method_decorator(require_safe)
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponseBase:
        project = self.row(request, object_id)
        return HttpResponseRedirect(reverse("admin:flags_flag_changelist") + f"?project={project.key}")

    @method_decorator(get_or_post)
    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponseBase:
        _require_superuser(request)
        form = ProjectForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            with form_errors(form):
                project = create_project(actor=actor_of(request), now=timezone.now(), **form.cleaned_data)
                messages.success(
                    request, f"{project.name} was created. It needs environments before it can hold flags."
                )
                return HttpResponseRedirect(reverse("admin:flags_project_environment_add", args=[project.pk]))
        return self.page(
            request,
            "flags/project_add.html",
            title="New project",
            subtitle="A project holds the flags of one product, with environments and an audit trail of its own.",
            form=form,
            crumbs=[*_crumbs(), ("New project", "")],
        )

    @method_decorator(get_or_post)
    def add_environment_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """An environment of the project."""
        _require_superuser(request)
        project = self.row(request, str(object_id))
        form = EnvironmentForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            with form_errors(form):
                environment = create_environment(
                    project.pk,
                    actor=actor_of(request),
                    now=timezone.now(),
                    position=project.environments.count(),
                    **form.cleaned_data,
                )
                text = f"{environment.name} was created in {project.name}. Give people roles there on the page Access."
                messages.success(request, text)
                return HttpResponseRedirect(reverse("admin:flags_environment_changelist"))
        return self.page(
            request,
            "flags/environment_add.html",
            title=f"New environment of {project.name}",
            form=form,
            crumbs=[*_crumbs(), (project.name, ""), ("New environment", "")],
        )

    def history_url(self, request: HttpRequest, object_id: str) -> str:
        self.row(request, object_id)
        return reverse("admin:flags_environment_changelist")


def _require_superuser(request: HttpRequest) -> None:
    if not signed_in(request).is_superuser:
        raise PermissionDenied("Projects and environments are created by site administrators. Ask one of them.")


def _crumbs() -> list[tuple[str, str]]:
    return [("Environments", reverse("admin:flags_environment_changelist"))]
