"""Giving one role with an end, taking one back, and the page that says who can do what, and why."""

import uuid
from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth import get_user_model
from django.http import Http404, HttpRequest, HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_safe

from flags.admin.forms import ReasonForm
from flags.admin.governed import actor_of, admin_page, signed_in
from flags.models import CustomRole, Environment, RoleGrant
from flags.permissions import Role, visible_environments
from flags.selectors.environments import shown_project
from flags.selectors.grants import present_grants, reasons_for, reasons_in
from flags.services.roles import give_role, take_role


class GiveRoleForm(ReasonForm):
    """One role more, or another end of one that is held."""

    role = forms.ChoiceField(label="Role")
    ends_at = forms.DateField(
        required=False,
        label="Last day",
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text="The role ends by itself when this day is over. Without a day it has no end.",
    )
    field_order = ("role", "ends_at", "reason")

    def __init__(self, *args: Any, environment: Environment, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        roles = CustomRole.objects.filter(project=environment.project_id)
        role = self.fields["role"]
        assert isinstance(role, forms.ChoiceField)  # noqa: S101 - for the type checker
        role.choices = [
            *[(item.value, item.label) for item in Role],
            *[(str(item.pk), f"{item.name} (own role of the project)") for item in roles],
        ]

    def chosen(self) -> Role | uuid.UUID:
        """The role as services take it."""
        value = self.cleaned_data["role"]
        return Role(value) if value in list(Role) else uuid.UUID(value)

    def end(self) -> datetime | None:
        """The instant at which the last day is over."""
        day: date | None = self.cleaned_data["ends_at"]
        return None if day is None else timezone.make_aware(datetime.combine(day + timedelta(days=1), time.min))


def last_day_of(ends_at: datetime) -> date:
    """The last day on which a grant that ends then is held."""
    return timezone.localtime(ends_at - timedelta(microseconds=1)).date()


def grants_of(person: Any, environment: Environment) -> list[RoleGrant]:
    """What a person holds in an environment now."""
    return list(present_grants([environment]).filter(person=person))


def give(request: HttpRequest, person: Any, environment: Environment, form: GiveRoleForm) -> None:
    """Give what the form says, and tell."""
    grant = give_role(
        person.pk,
        environment.pk,
        role=form.chosen(),
        ends_at=form.end(),
        actor=actor_of(request),
        now=timezone.now(),
        reason=form.cleaned_data["reason"],
    )
    until = f" until {last_day_of(grant.ends_at):%-d %B %Y}" if grant.ends_at else ""
    name = person.get_full_name() or person.get_username()
    messages.success(request, f"{name} is now {grant.role_name.lower()} in {environment.name}{until}.")


def take(request: HttpRequest, person: Any, environment: Environment, form: ReasonForm) -> None:
    """Take back the grant that the page names, if it is this person's, and tell."""
    named = request.POST.get("grant", "")
    grant = next((item for item in grants_of(person, environment) if str(item.pk) == named), None)
    if grant is None:
        raise Http404
    take_role(grant.pk, actor=actor_of(request), now=timezone.now(), reason=form.cleaned_data["reason"])
    name = person.get_full_name() or person.get_username()
    messages.success(request, f"{name} is not {grant.role_name.lower()} in {environment.name} any more.")


class WhyPage:
    """Who can do what here, and why: for an environment, or for a person in all environments of a project."""

    def __init__(self, site: Any) -> None:
        self._site = site

    @method_decorator(require_safe)
    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        user = signed_in(request)
        project = shown_project(user, request.GET.get("project", ""))[1]
        if project is None:
            raise Http404
        environments = list(visible_environments(user).filter(project=project).order_by("position", "key"))
        person = _person(request.GET.get("person", ""))
        environment = next((item for item in environments if item.key == request.GET.get("environment")), None)
        if (person is None) == (environment is None):
            raise Http404
        access = reverse("admin:flags_access") + f"?project={project.key}"
        name = environment.name if environment else person.get_full_name() or person.get_username()
        return admin_page(
            self._site,
            request,
            "flags/access_why.html",
            title=f"Who can do what in {name}" if environment else f"What {name} can do",
            project=project,
            environments=environments,
            environment=environment,
            person=person,
            reasons=reasons_in(environment) if environment else None,
            places=reasons_for(person, environments) if environment is None else None,
            crumbs=[("Access", access), (name, "")],
        )


def _person(text: str) -> Any:
    try:
        return get_user_model().objects.filter(pk=uuid.UUID(text)).first()
    except ValueError:
        return None
