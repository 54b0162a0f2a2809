"""Custom roles of a project: what each brings and who holds it. Widening one may take a second administrator."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch, QuerySet
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_http_methods, require_safe

from flags import permissions
from flags.admin.forms import KEY_WIDGET, ReasonForm
from flags.admin.governed import GovernedAdmin, actor_of, form_errors, signed_in
from flags.models import CustomRole, Project, RoleGrant
from flags.models.environments import living
from flags.selectors.environments import administers_project, shown_project
from flags.selectors.grants import PERMISSION_WORDS
from flags.services.custom_roles import create_custom_role, role_facts
from rollouts.admin.settings import say_proposed
from rollouts.services.settings import propose_setting
from rollouts.settings_kinds import Scope

get_or_post = require_http_methods(["GET", "HEAD", "POST"])
CHOICES = [(name.removeprefix("flags."), words) for name, words in PERMISSION_WORDS.items()]


class RoleForm(ReasonForm):
    """What a role is called and what it brings."""

    name = forms.CharField(max_length=60, help_text="Such as “On call”.")
    description = forms.CharField(max_length=200, required=False, help_text="Who it is for.")
    permissions = forms.MultipleChoiceField(choices=CHOICES, label="Brings", widget=forms.CheckboxSelectMultiple)
    field_order = ("name", "key", "description", "permissions", "reason")


class NewRoleForm(RoleForm):
    """A role that does not exist yet."""

    key = forms.CharField(max_length=60, help_text="Stands in the audit trail. It never changes.", widget=KEY_WIDGET)


@admin.register(CustomRole)
class CustomRoleAdmin(GovernedAdmin):
    """The roles a project made for itself. They are given on the page Access."""

    def visible_to(self, user: AbstractUser, queryset: QuerySet[CustomRole]) -> QuerySet[CustomRole]:
        return queryset.filter(project__in=permissions.visible_projects(user)).select_related("project")

    @method_decorator(require_safe)
    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponseBase:
        user = signed_in(request)
        projects, project = shown_project(user, request.GET.get("project", ""))
        held = RoleGrant.objects.filter(living(), closed_at=None, person__is_active=True)
        rows = self.get_queryset(request).filter(project=project) if project else CustomRole.objects.none()
        roles = rows.prefetch_related(Prefetch("grants", held.select_related("person", "environment"), "present"))
        return self.page(
            request,
            "rollouts/roles.html",
            title="Roles",
            projects=projects,
            project=project,
            roles=[(role, [words for name, words in CHOICES if name in role.permissions]) for role in roles],
            may_edit=project is not None and administers_project(user, project),
            crumbs=[("Roles", "")],
        )

    @method_decorator(get_or_post)
    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponseBase:
        project = shown_project(signed_in(request), request.GET.get("project", ""))[1]
        if project is None:
            raise Http404
        _require_administrator(request, project)
        form = NewRoleForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            with form_errors(form):
                role = create_custom_role(project.pk, actor=actor_of(request), now=timezone.now(), **form.cleaned_data)
                messages.success(request, f"The role {role.name} can be given now, on the page Access.")
                return HttpResponseRedirect(_address(project))
        return self._form_page(request, project, form, f"New role of {project.name}")

    @method_decorator(get_or_post)
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponseBase:
        role: CustomRole = self.row(request, object_id)
        _require_administrator(request, role.project)
        form = RoleForm(request.POST or None, initial=role_facts(role))
        if request.method == "POST" and form.is_valid():
            with form_errors(form):
                return HttpResponseRedirect(_change(request, role, dict(form.cleaned_data)))
        return self._form_page(request, role.project, form, f"Role {role.name}")

    def _form_page(self, request: HttpRequest, project: Project, form: RoleForm, title: str) -> HttpResponseBase:
        return self.page(
            request,
            "rollouts/role_edit.html",
            title=title,
            form=form,
            address=_address(project),
            crumbs=[("Roles", _address(project)), (title, "")],
        )

    def history_url(self, request: HttpRequest, object_id: str) -> str:
        return _address(self.row(request, object_id).project)


def _change(request: HttpRequest, role: CustomRole, data: dict[str, Any]) -> str:
    """Change the role, or propose to where it would give more to somebody in a protected environment; where to go."""
    reason = data.pop("reason")
    proposal = propose_setting(
        "custom_role",
        Scope(role.project, subject=role.key),
        data,
        actor=actor_of(request),
        reason=reason,
        now=timezone.now(),
    )
    if proposal is not None:
        return say_proposed(request, proposal)
    messages.success(request, f"The role {role.name} was changed, for everybody who holds it.")
    return _address(role.project)


def _require_administrator(request: HttpRequest, project: Project) -> None:
    if not administers_project(signed_in(request), project):
        raise PermissionDenied("Roles are made by administrators of every protected environment. Ask one of them.")


def _address(project: Project) -> str:
    return reverse("admin:flags_customrole_changelist") + f"?project={project.key}"
