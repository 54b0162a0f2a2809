"""Teams: who is in them, who added them, and the forms that change that."""

import uuid
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch, QuerySet
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_http_methods, require_safe

from flags import permissions
from flags.admin.forms import KEY_WIDGET, PersonChoice, PlainForm, ReasonForm
from flags.admin.governed import GovernedAdmin, actor_of, form_errors, signed_in
from flags.admin.panels import panels, say_changed
from flags.models import Team, TeamMember
from flags.selectors.environments import administers_project, shown_project
from flags.services import teams

get_or_post = require_http_methods(["GET", "HEAD", "POST"])


class TeamForm(PlainForm):
    """What a team is called."""

    name = forms.CharField(max_length=60, help_text="Such as “Security” or “Payments”.")
    description = forms.CharField(max_length=200, required=False, help_text="What it stands for.")


class NewTeamForm(TeamForm):
    """A team that does not exist yet."""

    key = forms.CharField(max_length=60, help_text="Used in policies and the API. It never changes.", widget=KEY_WIDGET)
    field_order = ("name", "key", "description")


class MemberForm(ReasonForm):
    """Somebody to add."""

    person = PersonChoice(queryset=get_user_model().objects.none(), empty_label="Choose somebody")
    field_order = ("person", "reason")

    def __init__(self, *args: Any, team: Team, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        inside = TeamMember.objects.filter(team=team, removed_at=None).values("person")
        people = get_user_model().objects.filter(is_active=True).exclude(pk__in=inside)
        choice = self.fields["person"]
        assert isinstance(choice, forms.ModelChoiceField)  # noqa: S101 - for the type checker
        choice.queryset = people.order_by("first_name", "last_name", "username")


@admin.register(Team)
class TeamAdmin(GovernedAdmin):
    """The teams of a project, and one team with its members."""

    def visible_to(self, user: AbstractUser, queryset: QuerySet[Team]) -> QuerySet[Team]:
        return queryset.filter(project__in=permissions.visible_projects(user)).select_related("project")

    @method_decorator(require_safe)
    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponseBase:
        user = signed_in(request)
        projects, project = shown_project(user, request.GET.get("project", ""))
        present = TeamMember.objects.filter(removed_at=None, person__is_active=True).select_related("person")
        rows = self.get_queryset(request).filter(project=project) if project else Team.objects.none()
        return self.page(
            request,
            "flags/teams.html",
            title="Teams",
            projects=projects,
            project=project,
            teams=rows.prefetch_related(Prefetch("memberships", present.order_by("person__first_name"), "present")),
            may_edit=project is not None and administers_project(user, project),
            crumbs=[("Teams", "")],
        )

    @method_decorator(get_or_post)
    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponseBase:
        project = _project(request)
        form = NewTeamForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            with form_errors(form):
                team = teams.create_team(project.pk, actor=actor_of(request), now=timezone.now(), **form.cleaned_data)
                messages.success(request, f"{team.name} was created. Add the people who are in it.")
                return HttpResponseRedirect(reverse("admin:flags_team_change", args=[team.pk]))
        return self.page(
            request,
            "flags/team_add.html",
            title=f"New team of {project.name}",
            form=form,
            address=_address(project),
            crumbs=[("Teams", _address(project)), ("New team", "")],
        )

    @method_decorator(get_or_post)
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponseBase:
        team: Team = self.row(request, object_id)
        posted, act = (request.POST, request.POST.get("act")) if request.method == "POST" else (None, None)
        details = TeamForm(
            posted if act == "rename" else None,
            initial={"name": team.name, "description": team.description},
            prefix="team",
        )
        add = MemberForm(posted if act == "add" else None, team=team)
        remove = ReasonForm(posted if act == "remove" else None, prefix="remove")
        form = {"rename": details, "add": add, "remove": remove}.get(str(act))
        if posted is not None and (address := _act(request, team, form)):
            return HttpResponseRedirect(address)
        rows = TeamMember.objects.filter(team=team).select_related("person", "added_by", "removed_by")
        return self.page(
            request,
            "flags/team.html",
            title=team.name,
            subtitle=f"Team of {team.project.name}. {team.description}",
            team=team,
            members=[row for row in rows if row.removed_at is None],
            former=[row for row in rows if row.removed_at is not None],
            flags=team.flags.order_by("name"),
            may_edit=administers_project(signed_in(request), team.project),
            details=details,
            add=add,
            remove=remove,
            crumbs=[("Teams", _address(team.project)), (team.name, "")],
        )

    def history_url(self, request: HttpRequest, object_id: str) -> str:
        return reverse("admin:flags_team_change", args=[self.row(request, object_id).pk])


def _project(request: HttpRequest) -> Any:
    project = shown_project(signed_in(request), request.GET.get("project", ""))[1]
    if project is None:
        raise Http404
    if not administers_project(signed_in(request), project):
        raise PermissionDenied("Teams are made by administrators of every protected environment. Ask one of them.")
    return project


def _address(project: Any) -> str:
    return reverse("admin:flags_team_changelist") + f"?project={project.key}"


def _act(request: HttpRequest, team: Team, form: Any) -> str:
    """Do what the pressed button says; where to go, "" to stay on the page."""
    if form is None or not form.is_valid():
        return ""
    actor, now, data, proposal = actor_of(request), timezone.now(), form.cleaned_data, ""
    with form_errors(form):
        if isinstance(form, TeamForm):
            teams.update_team(team.pk, actor=actor, now=now, **data)
        elif isinstance(form, MemberForm):
            proposal = panels.add_member(team, data["person"], actor=actor, reason=data["reason"], now=now)
        else:
            person_id = _uuid(request.POST.get("person", ""))
            teams.remove_member(team.pk, person_id, actor=actor, reason=data["reason"], now=now)
        say_changed(request, proposal, f"{team.name} was changed.")
        return proposal or reverse("admin:flags_team_change", args=[team.pk])
    return ""


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise Http404 from None
