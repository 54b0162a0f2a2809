"""Access: people by environment with their roles. One person in one environment is changed at a time, with a reason."""

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_http_methods

from flags.admin.forms import ReasonForm
from flags.admin.governed import actor_of, admin_page, form_errors, signed_in
from flags.admin.panels import PolicyFacts, panels
from flags.admin.role_grants import GiveRoleForm, give, grants_of, last_day_of, take
from flags.models import Environment, Project, RoleGrant
from flags.permissions import Role
from flags.selectors.access import AccessRow, access
from flags.selectors.environments import administered_environments, shown_project
from flags.selectors.grants import codenames_of
from flags.services.roles import set_roles

ENDS_SOON = timedelta(days=7)
ROLE_WORDS = {
    Role.VIEWER: "Looks at flags, requests and the audit trail.",
    Role.EDITOR: "Edits unprotected environments, proposes changes to protected ones.",
    Role.APPROVER: "Approves what others ask for. Never their own requests.",
    Role.RELEASE_MANAGER: "Schedules and applies approved changes.",
    Role.BREAK_GLASS: "Changes a protected environment in an emergency without approval; it is reviewed afterwards.",
    Role.ADMINISTRATOR: "Manages protection, approval policy, tokens and roles.",
}


class RolesForm(ReasonForm):
    """The roles of one person in one environment, and why."""

    roles = forms.MultipleChoiceField(
        choices=[(role.value, role.label) for role in Role], required=False, widget=forms.CheckboxSelectMultiple
    )
    field_order = ("roles", "reason")


@dataclass(frozen=True, slots=True)
class Caution:
    """Something about an environment's roles that will stop people, with what to do."""

    environment: Environment
    text: str
    is_blocking: bool


@dataclass(frozen=True, slots=True)
class Editing:
    """The cell under change and its forms: roles without an end, one role more, one taken back."""

    person: Any
    environment: Environment
    form: RolesForm
    give: GiveRoleForm
    take: ReasonForm
    grants: Sequence[RoleGrant]


class AccessPage:
    """The access page for one admin site."""

    def __init__(self, site: Any) -> None:
        self._site = site

    @method_decorator(require_http_methods(["GET", "HEAD", "POST"]))
    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        user = signed_in(request)
        projects, project = shown_project(user, request.GET.get("project", ""))
        if project is None:
            if projects or request.GET.get("project"):
                raise Http404
            raise PermissionDenied("You have no role anywhere yet. Ask an administrator for one.")
        editing = _editing(request, user, project)
        if editing and request.method == "POST" and _act(request, editing):
            return HttpResponseRedirect(_address(project) + f"#person-{editing.person.pk}")
        environments, rows = access(user, project)
        context: dict[str, Any] = {
            "projects": projects,
            "project": project,
            "environments": environments,
            "rows": rows,
            "editing": editing,
            "role_words": [(role, ROLE_WORDS[role]) for role in Role],
            "cautions": cautions(
                environments, rows, panels.policies([item.pk for item in environments]), now=timezone.now()
            ),
            "may_edit": any(cell.may_edit for row in rows for cell in row.cells),
            "crumbs": [("Access", _address()), (project.name, "")],
        }
        return admin_page(self._site, request, "flags/access.html", title="Access", **context)


def _editing(request: HttpRequest, user: AbstractUser, project: Project) -> Editing | None:
    """The cell that `person` and `environment` name. Raises Http404 for a cell that the person may not change."""
    if "person" not in request.GET and request.method != "POST":
        return None
    mine = administered_environments(user).filter(project=project)
    environment = mine.filter(key=request.GET.get("environment", "")).first()
    person = _person(request.GET.get("person", ""))
    if environment is None or person is None:
        raise Http404
    grants = grants_of(person, environment)
    posted = request.POST if request.method == "POST" else None
    act = request.POST.get("act", "roles")
    return Editing(
        person,
        environment,
        RolesForm(
            posted if act == "roles" else None, initial={"roles": sorted(grant.role for grant in grants if grant.role)}
        ),
        GiveRoleForm(posted if act == "give" else None, environment=environment, prefix="give"),
        ReasonForm(posted if act == "take" else None, prefix="take"),
        grants,
    )


def _act(request: HttpRequest, editing: Editing) -> bool:
    """Do what the pressed button says; whether it was done."""
    acts: dict[str, tuple[Any, Callable[[], None]]] = {
        "roles": (editing.form, lambda: _save(request, editing)),
        "give": (editing.give, lambda: give(request, editing.person, editing.environment, editing.give)),
        "take": (editing.take, lambda: take(request, editing.person, editing.environment, editing.take)),
    }
    form, act = acts.get(request.POST.get("act", "roles"), (None, None))
    if form is None or act is None:
        raise Http404
    if form.is_valid():
        with form_errors(form):
            act()
            return True
    return False


def _person(text: str) -> Any:
    try:
        return get_user_model().objects.filter(is_active=True, pk=uuid.UUID(text)).first()
    except ValueError:
        return None


def _save(request: HttpRequest, editing: Editing) -> None:
    data, name = editing.form.cleaned_data, editing.person.get_full_name() or editing.person.get_username()
    roles = set_roles(
        editing.person.pk,
        editing.environment.pk,
        roles=[Role(value) for value in data["roles"]],
        actor=actor_of(request),
        now=timezone.now(),
        reason=data["reason"],
    )
    shown = [role.label.lower() for role in Role if role in roles and (role is not Role.VIEWER or len(roles) == 1)]
    words = f"is now {' and '.join(shown)}" if shown else "has no role any more"
    messages.success(request, f"{name} {words} in {editing.environment.name}.")


def _address(project: Project | None = None) -> str:
    return reverse("admin:flags_access") + (f"?project={project.key}" if project else "")


def cautions(
    environments: Collection[Environment],
    rows: Collection[AccessRow],
    policies: Mapping[uuid.UUID, PolicyFacts],
    *,
    now: datetime,
) -> list[Caution]:
    """What about the roles will stop changes: too few approvers for the policy, or exactly enough of them.

    The same for the near future, in which some of them end.
    """
    found = []
    for environment in environments:
        if not environment.is_protected:
            continue
        policy = policies.get(environment.pk)
        required = policy.required_approvals if policy else 1
        named = policy.named_approvers if policy else None
        ends = _approvers(environment, rows, named)
        names, staying = list(ends), [name for name, end in ends.items() if end is None or end > now + ENDS_SOON]
        text = _too_few(environment.name, names, required)
        if text:
            found.append(Caution(environment, text, is_blocking=len(names) < required))
        elif len(staying) <= required:
            found.append(Caution(environment, _soon_too_few(environment.name, ends, staying, required), False))
    return found


def _approvers(
    environment: Environment, rows: Collection[AccessRow], named: frozenset[str] | None
) -> dict[str, datetime | None]:
    """Who may approve in an environment, and when the last role that lets them ends; None: never."""
    found: dict[str, datetime | None] = {}
    for row in rows:
        for cell in row.cells:
            ends = [grant.ends_at for grant in cell.grants if "approve_change" in codenames_of(grant)]
            if cell.environment.pk == environment.pk and ends and (named is None or str(row.person.pk) in named):
                name = row.person.get_full_name() or row.person.get_username()
                found[name] = None if None in ends else max(end for end in ends if end)
    return found


def _soon_too_few(environment: str, ends: Mapping[str, datetime | None], staying: list[str], required: int) -> str:
    leaving = {name: end for name, end in ends.items() if end and name not in staying}
    days = " and ".join(f"{name} until {last_day_of(end):%-d %B}" for name, end in leaving.items())
    asks = "1 approval" if required == 1 else f"{required} approvals"
    then = "no change can happen" if len(staying) < required else "there is no approver to spare"
    return f"{environment} asks for {asks}. Approvers for a few days only: {days}. After that {then}. Prolong a role."


def _too_few(environment: str, names: list[str], required: int) -> str:
    asks = "1 approval" if required == 1 else f"{required} approvals"
    if not names:
        return (
            f"{environment} asks for {asks}, but nobody may approve: no change can happen there. Make someone approver."
        )
    if len(names) < required:
        who = f"only {' and '.join(names)} may approve"
        return f"{environment} asks for {asks}, but {who}: no change can happen there. Make someone else approver too."
    if len(names) == required:
        who = names[0] if required == 1 else f"each of {' and '.join(names)}"
        return f"{environment} asks for {asks} and has no approver to spare: what {who} asks for cannot be approved."
    return ""
