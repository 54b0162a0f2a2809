"""Services of a project: which flags they evaluate, when at last, and who answers for each."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_http_methods, require_safe

from flags import permissions
from flags.admin.forms import PersonChoice, PlainForm
from flags.admin.governed import GovernedAdmin, actor_of, form_errors, signed_in
from flags.models import Environment, Project, ServiceOwner, Team
from flags.selectors.environments import shown_project
from flags.selectors.service_owners import service_lines
from flags.services.service_owners import set_service_owner
from flags.telemetry import labels


class OwnerForm(PlainForm):
    """A person, a team, both or nobody."""

    person = PersonChoice(queryset=get_user_model().objects.none(), required=False, empty_label="Nobody")
    team = forms.ModelChoiceField(queryset=Team.objects.none(), required=False, empty_label="No team")

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        teams = Team.objects.filter(project=project)
        for name, rows in (("person", permissions.people_who_see(project)), ("team", teams)):
            choice = self.fields[name]
            assert isinstance(choice, forms.ModelChoiceField)  # noqa: S101 - for the type checker
            choice.queryset = rows


@admin.register(ServiceOwner)
class ServiceOwnerAdmin(GovernedAdmin):
    """The services seen in a project, and the form that says who answers for one."""

    def visible_to(self, user: AbstractUser, queryset: QuerySet[ServiceOwner]) -> QuerySet[ServiceOwner]:
        return queryset.filter(project__in=permissions.visible_projects(user)).select_related("project")

    @method_decorator(require_safe)
    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponseBase:
        user = signed_in(request)
        projects, project = shown_project(user, request.GET.get("project", ""))
        if project is None and request.GET.get("project"):
            raise Http404
        lines = []
        if project is not None:
            seen = permissions.visible_environments(user).filter(project=project).values_list("pk", flat=True)
            lines = service_lines(project.pk, list(seen), now=timezone.now())
        return self.page(
            request,
            "flags/services.html",
            title="Services",
            projects=projects,
            project=project,
            lines=lines,
            unowned=sum(line.owner is None for line in lines),
            may_edit=project is not None and _may_edit(user, project),
            crumbs=[("Services", "")],
        )

    @method_decorator(require_http_methods(["GET", "HEAD", "POST"]))
    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponseBase:
        """Who answers for the service that `?service=` names."""
        project, service = _project(request), request.GET.get("service", "")
        if not labels.is_service(service):
            raise Http404
        owner = ServiceOwner.objects.filter(project=project, service=service).first()
        initial = {"person": owner.person_id, "team": owner.team_id} if owner else {}
        form = OwnerForm(request.POST if request.method == "POST" else None, project=project, initial=initial)
        if request.method == "POST" and form.is_valid() and _saved(request, project, service, form):
            return HttpResponseRedirect(_address(project))
        return self.page(
            request,
            "flags/service_owner.html",
            title=f"Who answers for {service}",
            subtitle=f"Service of {project.name}. Whoever answers for it is told when a flag it uses comes to its end.",
            form=form,
            address=_address(project),
            status=400 if form.errors else 200,
            crumbs=[("Services", _address(project)), (service, "")],
        )


def _saved(request: HttpRequest, project: Project, service: str, form: OwnerForm) -> bool:
    person, team = form.cleaned_data["person"], form.cleaned_data["team"]
    with form_errors(form):
        set_service_owner(
            project.pk,
            service,
            actor=actor_of(request),
            person_id=person.pk if person else None,
            team_id=team.pk if team else None,
            now=timezone.now(),
        )
        who = " and ".join(str(each) for each in (person and person.get_full_name(), team) if each)
        messages.success(request, f"{who or 'Nobody'} answers for {service} now.")
        return True
    return False


def _project(request: HttpRequest) -> Project:
    user = signed_in(request)
    project = shown_project(user, request.GET.get("project", ""))[1]
    if project is None:
        raise Http404
    if not _may_edit(user, project):
        raise PermissionDenied(
            f"Saying who answers for a service needs the role editor in one environment of {project.name}. "
            f"Ask an administrator of {project.name} for it."
        )
    return project


def _may_edit(user: AbstractUser, project: Project) -> bool:
    proposes = permissions.environments_with(user, permissions.PROPOSE)
    return Environment.objects.filter(project=project, pk__in=proposes).exists()


def _address(project: Project) -> str:
    return reverse("admin:flags_serviceowner_changelist") + f"?project={project.key}"
