"""From a calendar file to windows: upload, see what it would change, take it over."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_http_methods, require_POST

from flags import permissions
from flags.admin.governed import GovernedAdmin, actor_of, form_errors, signed_in
from flags.models import Project
from rollouts.admin.calendar_forms import CalendarImportForm, zone_choices
from rollouts.admin.imports import pack, unpack
from rollouts.services.calendar_imports import CalendarPlan, plan_calendar, take_over

STEPS = {
    "new": ("New", "good", "add_circle"),
    "changed": ("Changed", "wait", "change_circle"),
    "same": ("As it is", "quiet", "check"),
    "unusable": ("Left out", "bad", "block"),
}


class CalendarImportViews(GovernedAdmin):
    """The pages of `CalendarWindowAdmin` that take calendar files."""

    @method_decorator(require_http_methods(["GET", "HEAD", "POST"]))
    def import_view(self, request: HttpRequest) -> HttpResponseBase:
        """The form, and after an upload what the file would change."""
        project = _project(request, request.GET.get("project", ""))
        given = (request.POST, request.FILES) if request.method == "POST" else ()
        form = CalendarImportForm(*given, initial={"zone": timezone.get_current_timezone_name()})
        if given and form.is_valid():
            data, zone, kind = (form.cleaned_data[name] for name in ("calendar", "zone", "kind"))
            with form_errors(form):
                plan = plan_calendar(project, data, zone=zone, kind=kind, now=timezone.now())
                return self._report(request, plan, {"packed": pack(data), "zone": zone, "kind": kind})
        return self.page(
            request,
            "rollouts/calendar_import.html",
            title="Take over a calendar",
            status=400 if given else 200,
            crumbs=_crumbs(project),
            project=project,
            form=form,
            zones=zone_choices(),
        )

    @method_decorator(require_POST)
    def take_over_view(self, request: HttpRequest) -> HttpResponseBase:
        """Write what the report showed."""
        project = _project(request, request.POST.get("project", ""))
        packed = {name: request.POST.get(name, "") for name in ("packed", "zone", "kind")}
        data, reason = unpack(packed["packed"]), request.POST.get("reason", "").strip()
        address = f"{reverse('admin:rollouts_calendarwindow_import')}?project={project.key}"
        form = CalendarImportForm({"kind": packed["kind"], "zone": packed["zone"]})
        form.full_clean()
        if data is None or set(form.errors) != {"calendar"}:
            messages.error(request, "This report is not complete any more. Upload the calendar again.")
            return HttpResponseRedirect(address)
        now, kind = timezone.now(), form.cleaned_data["kind"]
        plan = plan_calendar(project, data, zone=packed["zone"], kind=kind, now=now)
        if not reason:
            return self._report(request, plan, packed, error="Say why: it stands in the audit trail.")
        done = take_over(plan, actor=actor_of(request), reason=reason, now=now)
        if done.in_force:
            messages.success(request, f"In the calendar now: {', '.join(done.in_force)}.")
        if done.proposed:
            messages.info(request, f"Another administrator has to confirm: {', '.join(done.proposed)}.")
        for title, why in done.refused:
            messages.error(request, f"“{title}” was not taken over. {why}")
        return HttpResponseRedirect(f"{reverse('admin:rollouts_calendarwindow_changelist')}?project={project.key}")

    def _report(
        self, request: HttpRequest, plan: CalendarPlan, packed: dict[str, Any], *, error: str = ""
    ) -> HttpResponseBase:
        return self.page(
            request,
            "rollouts/calendar_import_report.html",
            title="What is in this calendar",
            status=400 if error else 200,
            crumbs=_crumbs(plan.project),
            plan=plan,
            rows=[(window, STEPS[window.step]) for window in plan.windows],
            left_out=STEPS["unusable"],
            packed=packed,
            error=error,
        )


def _project(request: HttpRequest, key: str) -> Project:
    found = permissions.visible_projects(signed_in(request)).filter(key=key).first()
    if found is None:
        raise Http404
    return found


def _crumbs(project: Project) -> list[tuple[str, str]]:
    address = f"{reverse('admin:rollouts_calendarwindow_changelist')}?project={project.key}"
    return [("Calendar", address), ("Take over a calendar", "")]
