"""The catalogue of guard metrics: what is bad, how much worse is tolerated, how many people it takes to see it."""

import uuid
from collections.abc import Mapping, Sequence

from django.contrib import admin, messages
from django.contrib.auth.models import AbstractUser
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils import timezone

from flags import permissions
from flags.admin.governed import GovernedAdmin, actor_of, form_errors, message_errors, signed_in
from flags.errors import PermissionMissing
from flags.models import Project
from rollouts.admin.guard_metric_forms import KINDS, SOURCES, GuardMetricForm, NeedForm
from rollouts.guarding.planning import Need
from rollouts.models import GuardMetric
from rollouts.selectors.guard_metrics import needs_for, project_metrics, traffic_of
from rollouts.services.guard_metrics import add_metric, change_metric, may_edit, retire_metric

READING = ["GET", "HEAD"]
WRITING = [*READING, "POST"]


@admin.register(GuardMetric)
class GuardMetricAdmin(GovernedAdmin):
    """Metrics that guards of plans may use. A plan copies what it needs, so nothing here moves a plan."""

    def visible_to(self, user: AbstractUser, queryset: QuerySet[GuardMetric]) -> QuerySet[GuardMetric]:
        return queryset.filter(project__in=permissions.visible_projects(user))

    def get_urls(self) -> list[URLPattern]:
        name = "rollouts_guardmetric"
        return [
            self.door("", self.list_view, f"{name}_changelist"),
            self.door("add/<uuid:project_id>/", self.new_view, f"{name}_add"),
            self.door("<uuid:object_id>/", self.metric_view, f"{name}_change"),
            self.door("<uuid:object_id>/retire/", self.retire_view, f"{name}_retire"),
        ]

    def list_view(self, request: HttpRequest) -> HttpResponseBase:
        """Every metric by project."""
        if request.method not in READING:
            return HttpResponseNotAllowed(READING)
        return self.page(
            request,
            "rollouts/guard_metrics/list.html",
            title="Guard metrics",
            crumbs=[("Guard metrics", "")],
            projects=project_metrics(signed_in(request)),
        )

    def new_view(self, request: HttpRequest, project_id: uuid.UUID) -> HttpResponseBase:
        """The form of a new metric."""
        project = permissions.visible_projects(signed_in(request)).filter(pk=project_id).first()
        if project is None:
            raise Http404
        return self._edit(request, project, None)

    def metric_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponseBase:
        """The form of a metric that exists."""
        metric: GuardMetric = self.row(request, str(object_id))
        return self._edit(request, metric.project, metric)

    def retire_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponseBase:
        """Take a metric out of the choice for new plans."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        metric: GuardMetric = self.row(request, str(object_id))
        with message_errors(request):
            retire_metric(metric.pk, actor=actor_of(request), now=timezone.now())
            messages.success(request, f"“{metric}” is no longer offered. Plans that have it keep it.")
        return HttpResponseRedirect(reverse("admin:rollouts_guardmetric_changelist"))

    def _edit(self, request: HttpRequest, project: Project, metric: GuardMetric | None) -> HttpResponseBase:
        if request.method not in WRITING:
            return HttpResponseNotAllowed(WRITING)
        if not may_edit(signed_in(request), project):
            raise PermissionMissing(f"Guard metrics of {project.name} are for editors of one of its environments.")
        is_asked = request.method == "POST" and "work_out" in request.POST
        form = GuardMetricForm(
            None if is_asked else request.POST or None, metric=metric, typed=request.POST if is_asked else None
        )
        if form.is_bound and form.is_valid():
            with form_errors(form):
                return self._save(request, project, metric, form)
        need_form = NeedForm(request.POST if is_asked else None)
        title = f"Guard metric “{metric}”" if metric else f"New guard metric in {project.name}"
        return self.page(
            request,
            "rollouts/guard_metrics/edit.html",
            title=title,
            status=400 if form.errors else 200,
            crumbs=[("Guard metrics", reverse("admin:rollouts_guardmetric_changelist")), (title, "")],
            project=project,
            metric=metric,
            form=form,
            kinds=KINDS,
            sources=SOURCES,
            need_form=need_form,
            needs=_needs(form, need_form),
            traffic=traffic_of(metric, signed_in(request), now=timezone.now()) if metric else [],
        )

    def _save(
        self, request: HttpRequest, project: Project, metric: GuardMetric | None, form: GuardMetricForm
    ) -> HttpResponseBase:
        actor, now, fields = actor_of(request), timezone.now(), form.metric_fields()
        if metric is None:
            saved = add_metric(project.pk, form.cleaned_data["key"], fields, actor=actor, now=now)
            messages.success(request, f"“{saved}” can be chosen for plans now. Services report it as {saved.key}.")
        else:
            saved = change_metric(metric.pk, fields, actor=actor, now=now)
            messages.success(request, f"“{saved}” is saved. Plans that have it already keep what they copied.")
        return HttpResponseRedirect(reverse("admin:rollouts_guardmetric_changelist"))


def _needs(form: GuardMetricForm, need_form: NeedForm) -> Sequence[Need]:
    """What it takes at the traffic that was typed, or at what is usual."""
    typed = need_form.cleaned_data if need_form.is_bound and need_form.is_valid() else {}
    values: Mapping[str, float] = {name: field.initial for name, field in need_form.fields.items()} | typed
    percent = form["margin"].value()
    try:
        margin = min(max(float(percent) / 100, 0.0), 10.0)
    except (TypeError, ValueError):
        margin = 0.1
    return needs_for(margin, base_rate=values["bad_percent"] / 100, units_per_hour=values["people_per_hour"])
