"""The calendar: a month at a glance, its windows, and exceptions from freezes."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import admin, messages
from django.contrib.auth.models import AbstractUser
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from flags import permissions
from flags.admin.forms import ReasonForm
from flags.admin.governed import GovernedAdmin, actor_of, form_errors, message_errors, signed_in
from flags.models import Environment, Project
from rollouts.admin.calendar_forms import WindowForm, zone_choices
from rollouts.admin.calendar_imports import CalendarImportViews
from rollouts.admin.calendar_month import KINDS, SYMBOLS, chosen_month, month_of
from rollouts.models import CalendarWindow, FreezeException, SettingsProposal
from rollouts.schedules import UnusableSchedule, next_occurrence, window_as_json, zone_of
from rollouts.selectors import visible_requests
from rollouts.selectors.calendar import standings
from rollouts.services.calendar import in_words, set_window
from rollouts.services.calendar_imports import export_calendar
from rollouts.services.freezes import ask_for_exception, decide_exception

CALENDAR = "admin:rollouts_calendarwindow_changelist"


@admin.register(CalendarWindow)
class CalendarWindowAdmin(CalendarImportViews, GovernedAdmin):
    """One calendar per project; everybody who may look at an environment of it sees all of it."""

    def visible_to(self, user: AbstractUser, queryset: QuerySet[CalendarWindow]) -> QuerySet[CalendarWindow]:
        return queryset.filter(project__in=permissions.visible_projects(user), removed_at=None)

    def get_urls(self) -> list[URLPattern]:
        name = "rollouts_calendarwindow"
        return [
            self.door("", self.month_view, f"{name}_changelist"),
            self.door("add/", self.window_add_view, f"{name}_add"),
            self.door("export/", self.export_view, f"{name}_export"),
            self.door("import/", self.import_view, f"{name}_import"),
            self.door("import/take-over/", self.take_over_view, f"{name}_takeover"),
            self.door("exceptions/<uuid:request_id>/ask/", self.ask_view, "rollouts_freezeexception_ask"),
            self.door("exceptions/<uuid:object_id>/decide/", self.decide_view, "rollouts_freezeexception_decide"),
            self.door("<uuid:object_id>/", self.window_view, f"{name}_change"),
            self.door("<uuid:object_id>/remove/", self.remove_view, f"{name}_remove"),
        ]

    @method_decorator(require_safe)
    def month_view(self, request: HttpRequest) -> HttpResponseBase:
        """A month of one project, what holds right now, and every window in words."""
        user, now = signed_in(request), timezone.now()
        projects = list(permissions.visible_projects(user).order_by("name"))
        project = chosen_project(projects, request.GET.get("project", ""))
        places = places_of(user, project)
        zone = _chosen_zone(request.GET.get("zone", ""))
        month = month_of(places, chosen_month(request.GET.get("month", ""), now=now, zone=zone), now=now, zone=zone)
        return self.page(
            request,
            "rollouts/calendar.html",
            title="Calendar",
            crumbs=[("Calendar", "")],
            projects=projects,
            project=project,
            month=month,
            kinds=[(kind, KINDS[kind], SYMBOLS[kind]) for kind in KINDS],
            standings=standings(project.pk, places, now=now) if project else [],
            lines=_lines(project, places, now=now),
            zones=zone_choices(zone.key),
            may_add=may_change(user, places),
            now=now,
        )

    @method_decorator(require_http_methods(["GET", "HEAD", "POST"]))
    def window_add_view(self, request: HttpRequest) -> HttpResponseBase:
        """A new window of a project."""
        user = signed_in(request)
        projects = list(permissions.visible_projects(user).order_by("name"))
        project = chosen_project(projects, request.GET.get("project", ""))
        if project is None:
            raise Http404
        places = places_of(user, project)
        zone = timezone.get_current_timezone_name()
        initial = {"kind": "freeze", "zone": zone, "starts_at": request.GET.get("day", "")}
        form = WindowForm(request.POST or None, places=places, is_new=True, initial=initial)
        if request.method == "POST" and form.is_valid():
            with form_errors(form):
                reason = form.cleaned_data["reason"]
                proposal = _set(request, project, None, form.document(), reason)
                return self._done(request, project, proposal, f"“{form.cleaned_data['title']}” is in the calendar.")
        return self._form(request, project, form, places, window=None)

    @method_decorator(require_http_methods(["GET", "HEAD", "POST"]))
    def window_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponseBase:
        """A window in words; for those who may change it, the form."""
        user, window = signed_in(request), self.row(request, str(object_id))
        project, places = window.project, places_of(user, window.project)
        initial = WindowForm.initial_of(window)
        form = WindowForm(request.POST or None, places=places, is_new=False, initial=initial)
        if request.method == "POST" and form.is_valid():
            with form_errors(form):
                wanted = {**form.document(), "uid": window.uid}
                proposal = _set(request, project, window.pk, wanted, form.cleaned_data["why"])
                return self._done(request, project, proposal, f"“{form.cleaned_data['title']}” is changed.")
        return self._form(request, project, form, places, window=window)

    @method_decorator(require_http_methods(["GET", "HEAD", "POST"]))
    def remove_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponseBase:
        """Take a window out of the calendar, with a reason."""
        window = self.row(request, str(object_id))
        if not may_change(signed_in(request), places_of(signed_in(request), window.project)):
            raise Http404
        form = ReasonForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            with form_errors(form):
                proposal = _set(request, window.project, window.pk, None, form.cleaned_data["reason"])
                return self._done(request, window.project, proposal, f"“{window.title}” is out of the calendar.")
        address = reverse("admin:rollouts_calendarwindow_change", args=[window.pk])
        return self.page(
            request,
            "rollouts/calendar_remove.html",
            title=f"Remove “{window.title}”",
            status=400 if form.is_bound else 200,
            crumbs=[*crumbs_of(window.project), (window.title, address), ("Remove", "")],
            window=window,
            form=form,
            address=address,
        )

    @method_decorator(require_safe)
    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        """The windows of a project as an iCalendar file."""
        projects = list(permissions.visible_projects(signed_in(request)))
        project = chosen_project(projects, request.GET.get("project", ""))
        if project is None:
            raise Http404
        response = HttpResponse(export_calendar(project), content_type="text/calendar; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="{project.key}.ics"'
        return response

    @method_decorator(require_POST)
    def ask_view(self, request: HttpRequest, request_id: uuid.UUID) -> HttpResponseBase:
        """Ask for an exception from the page of a request."""
        self._require_visible(request, request_id)
        with message_errors(request):
            ask_for_exception(
                request_id,
                window_id=_uuid(request.POST.get("window", "")),
                digest=request.POST.get("digest", ""),
                actor=actor_of(request),
                reason=request.POST.get("reason", ""),
                now=timezone.now(),
            )
            messages.success(request, "The exception is asked for. A release manager or administrator decides on it.")
        return HttpResponseRedirect(reverse("admin:rollouts_changerequest_change", args=[request_id]))

    @method_decorator(require_POST)
    def decide_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponseBase:
        """Grant or decline an exception from the page of its request."""
        request_id = FreezeException.objects.filter(pk=object_id).values_list("request_id", flat=True).first()
        self._require_visible(request, request_id)
        is_granted = request.POST.get("decision") == "grant"
        with message_errors(request):
            decide_exception(
                object_id,
                is_granted=is_granted,
                actor=actor_of(request),
                reason=request.POST.get("reason", ""),
                now=timezone.now(),
            )
            done = "granted: the change goes live within moments" if is_granted else "declined: the change waits"
            messages.success(request, f"The exception is {done}.")
        return HttpResponseRedirect(reverse("admin:rollouts_changerequest_change", args=[request_id]))

    def _require_visible(self, request: HttpRequest, request_id: uuid.UUID | None) -> None:
        if request_id is None or not visible_requests(signed_in(request)).filter(pk=request_id).exists():
            raise Http404

    def _form(
        self,
        request: HttpRequest,
        project: Project,
        form: WindowForm,
        places: Sequence[Environment],
        *,
        window: CalendarWindow | None,
    ) -> HttpResponseBase:
        names = {str(place.pk): place.name for place in places}
        title = window.title if window else "New window"
        return self.page(
            request,
            "rollouts/calendar_window.html",
            title=title,
            status=400 if form.is_bound else 200,
            crumbs=[*crumbs_of(project), (title, "")],
            project=project,
            form=form,
            window=window,
            words=in_words(window_as_json(window.as_window()), names) if window else "",
            coming=next_occurrence(window.as_window(), timezone.now()) if window else None,
            zones=zone_choices(),
            may_change=may_change(signed_in(request), places),
            is_guarded=any(place.is_guarded for place in places),
        )

    def _done(
        self, request: HttpRequest, project: Project, proposal: SettingsProposal | None, words: str
    ) -> HttpResponseBase:
        if proposal is None:
            messages.success(request, words)
            return HttpResponseRedirect(f"{reverse(CALENDAR)}?project={project.key}")
        messages.info(request, "This could let changes through, so another administrator has to confirm it.")
        return HttpResponseRedirect(reverse("admin:rollouts_settingsproposal_change", args=[proposal.pk]))


def chosen_project(projects: Sequence[Project], key: str) -> Project | None:
    """The project that a parameter names, else the first one; None where there is none to see."""
    return next((project for project in projects if project.key == key), projects[0] if projects else None)


def places_of(user: AbstractUser, project: Project | None) -> list[Environment]:
    """The environments of a project that the person may look at."""
    rows = permissions.visible_environments(user).select_related("project")
    return list(rows.filter(project=project).order_by("position", "key")) if project else []


def may_change(user: AbstractUser, places: Sequence[Environment]) -> bool:
    """Whether the person may add windows somewhere; the service says where."""
    mine = permissions.environments_with(user, permissions.APPLY)
    mine |= permissions.environments_with(user, permissions.ADMINISTER)
    return bool(places) and (user.is_superuser or any(place.pk in mine for place in places))


def crumbs_of(project: Project) -> list[tuple[str, str]]:
    """The way to a page of a project's calendar."""
    return [("Calendar", f"{reverse(CALENDAR)}?project={project.key}")]


def _set(
    request: HttpRequest, project: Project, window_id: uuid.UUID | None, document: Mapping[str, Any] | None, reason: str
) -> SettingsProposal | None:
    return set_window(
        project.pk,
        window_id=window_id,
        document=document,
        actor=actor_of(request),
        reason=reason,
        now=timezone.now(),
    )


def _lines(project: Project | None, places: Sequence[Environment], *, now: datetime) -> list[dict[str, Any]]:
    """Every window that runs or comes, in words, what is next first."""
    if project is None:
        return []
    names = {str(place.pk): place.name for place in places}
    lines = []
    for row in CalendarWindow.objects.filter(project=project, removed_at=None):
        window = row.as_window()
        coming = next_occurrence(window, now)
        if coming is not None:
            words = in_words(window_as_json(window), names)
            lines.append({"row": row, "words": words, "coming": coming, "is_running": coming.starts_at <= now})
    return sorted(lines, key=lambda line: line["coming"].starts_at)


def _chosen_zone(name: str) -> ZoneInfo:
    try:
        return zone_of(name or timezone.get_current_timezone_name())
    except UnusableSchedule:
        return zone_of(timezone.get_current_timezone_name())


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise Http404 from None
