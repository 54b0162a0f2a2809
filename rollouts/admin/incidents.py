"""Incidents: what is broken now, what was, and declaring and closing one."""

import uuid
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import AbstractUser
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_POST, require_safe

from flags import permissions
from flags.admin.governed import GovernedAdmin, actor_of, form_errors, message_errors, signed_in
from rollouts.admin.calendar_forms import IncidentForm
from rollouts.models import Incident
from rollouts.selectors.incidents import open_incidents_for, visible_incidents
from rollouts.services.incidents import CLOSERS, DECLARERS, close_incident, open_incident

LIST = "admin:rollouts_incident_changelist"
SHOWN_CLOSED = 30


@admin.register(Incident)
class IncidentAdmin(GovernedAdmin):
    """One page: the open ones on top, the form beside them."""

    def visible_to(self, user: AbstractUser, queryset: QuerySet[Incident]) -> QuerySet[Incident]:
        return queryset.filter(pk__in=visible_incidents(user).values("pk"))

    def get_urls(self) -> list[URLPattern]:
        name = "rollouts_incident"
        return [
            self.door("", self.list_view, f"{name}_changelist"),
            self.door("declare/", self.declare_view, f"{name}_declare"),
            self.door("<uuid:object_id>/close/", self.close_view, f"{name}_close"),
        ]

    @method_decorator(require_safe)
    def list_view(self, request: HttpRequest) -> HttpResponseBase:
        """Everything that is open, and the latest that is not."""
        return self._show(request, self._form(request))

    @method_decorator(require_POST)
    def declare_view(self, request: HttpRequest) -> HttpResponseBase:
        """Declare an incident; what is refused comes back on the page."""
        form = self._form(request, request.POST)
        if form.is_valid():
            place = next(place for place in self._places(request) if _is_meant(place, form.cleaned_data["environment"]))
            is_whole = form.cleaned_data["environment"].startswith("project:")
            with form_errors(form):
                incident = open_incident(
                    place.project_id,
                    environment_id=None if is_whole else place.pk,
                    title=form.cleaned_data["title"],
                    severity=form.cleaned_data["severity"],
                    link=form.cleaned_data["link"],
                    actor=actor_of(request),
                    now=timezone.now(),
                )
                messages.success(request, f"“{incident.title}” is declared. Reviewers see it from now on.")
                return HttpResponseRedirect(reverse(LIST))
        return self._show(request, form, status=400)

    @method_decorator(require_POST)
    def close_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponseBase:
        """Close an incident."""
        incident = self.row(request, str(object_id))
        with message_errors(request):
            reason = request.POST.get("reason", "")
            close_incident(incident.pk, actor=actor_of(request), reason=reason, now=timezone.now())
            messages.success(request, f"“{incident.title}” is closed.")
        return HttpResponseRedirect(reverse(LIST))

    def _form(self, request: HttpRequest, posted: Any = None) -> IncidentForm:
        return IncidentForm(posted, places=self._places(request))

    def _places(self, request: HttpRequest) -> list[Any]:
        """Where the person may declare something."""
        user = signed_in(request)
        rows = permissions.visible_environments(user).select_related("project")
        mine = _places_with(user, DECLARERS)
        places = rows.order_by("project__name", "position", "key")
        return [place for place in places if user.is_superuser or place.pk in mine]

    def _show(self, request: HttpRequest, form: IncidentForm, *, status: int = 200) -> HttpResponseBase:
        user, now = signed_in(request), timezone.now()
        closing = _places_with(user, CLOSERS)
        found = [(incident, _may_close(user, incident, closing)) for incident in open_incidents_for(user, now=now)]
        return self.page(
            request,
            "rollouts/incidents.html",
            title="Incidents",
            status=status,
            crumbs=[("Incidents", "")],
            found=found,
            closed=visible_incidents(user).exclude(closed_at=None).order_by("-closed_at")[:SHOWN_CLOSED],
            form=form,
            may_declare=bool(form.fields["environment"].choices),  # type: ignore[attr-defined]
        )


def _places_with(user: AbstractUser, wanted: tuple[str, ...]) -> set[uuid.UUID]:
    return {place for permission in wanted for place in permissions.environments_with(user, permission)}


def _may_close(user: AbstractUser, incident: Incident, mine: set[uuid.UUID]) -> bool:
    """Whether a button makes sense; the service decides. One of a whole project needs a role everywhere."""
    return user.is_superuser or (bool(mine) if incident.environment_id is None else incident.environment_id in mine)


def _is_meant(place: Any, value: str) -> bool:
    return value in (str(place.pk), f"project:{place.project_id}")
