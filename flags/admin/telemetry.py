"""Telemetry for people: what arrives in each environment, from whom, how late, and what was refused and why."""

from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import AbstractUser
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_safe

from flags import permissions
from flags.admin.governed import GovernedAdmin, signed_in
from flags.models import TelemetryBatch
from flags.selectors.telemetry import (
    arrival_lines,
    flag_lines,
    latency_lines,
    refusal_lines,
    series_lines,
    source_lines,
)
from flags.services.telemetry import lateness
from flags.services.telemetry_buffer import waiting

FRESH = timedelta(minutes=3)
QUIET = timedelta(hours=1)


@admin.register(TelemetryBatch)
class TelemetryAdmin(GovernedAdmin):
    """Nothing is changed here: what arrived is evidence. Whoever may look at an environment sees its page."""

    def visible_to(self, user: AbstractUser, queryset: QuerySet[TelemetryBatch]) -> QuerySet[TelemetryBatch]:
        return queryset.filter(environment__in=permissions.visible_environments(user).values("pk"))

    def get_urls(self) -> list[URLPattern]:
        page = self.door("environments/<uuid:environment_id>/", self.environment_view, "flags_telemetry")
        return [page, *super().get_urls()]

    @method_decorator(require_safe)
    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponseBase:
        now = timezone.now()
        lines = arrival_lines(signed_in(request), now)
        return self.page(
            request,
            "flags/telemetry/environments.html",
            title="Telemetry",
            subtitle="What services report: how often flags were evaluated and how metrics fare. Only counts.",
            lines=[(line, *freshness(line.newest_at, now)) for line in lines],
            crumbs=[("Telemetry", "")],
        )

    @method_decorator(require_safe)
    def environment_view(self, request: HttpRequest, environment_id: Any) -> HttpResponseBase:
        """What arrives in one environment."""
        now, user = timezone.now(), signed_in(request)
        line = next((each for each in arrival_lines(user, now) if each.environment.pk == environment_id), None)
        if line is None:
            raise Http404
        environment = line.environment
        return self.page(
            request,
            "flags/telemetry/environment.html",
            title=f"Telemetry of {environment.name}",
            subtitle=f"Environment of {environment.project.name}",
            environment=environment,
            line=line,
            freshness=freshness(line.newest_at, now),
            waiting=waiting(),
            lateness_seconds=int(lateness().total_seconds()),
            sources=[(each, *freshness(each.newest_at, now)) for each in source_lines(environment, now)],
            series=series_lines(environment, now),
            latencies=latency_lines(environment, now),
            flags=flag_lines(environment, now),
            refusals=refusal_lines(environment, now),
            may_issue=permissions.user_holds(user, permissions.ADMINISTER, environment),
            crumbs=[
                ("Telemetry", reverse("admin:flags_telemetrybatch_changelist")),
                (f"{environment.project.name} · {environment.name}", ""),
            ],
        )

    @method_decorator(require_safe)
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponseBase:
        return HttpResponseRedirect(self.history_url(request, object_id))

    def history_url(self, request: HttpRequest, object_id: str) -> str:
        return reverse("admin:flags_telemetry", args=[self.row(request, object_id).environment_id])


def freshness(newest_at: datetime | None, now: datetime) -> tuple[str, str]:
    """How fresh what arrives is, in a word and its tone."""
    if newest_at is None:
        return "Nothing yet", "quiet"
    age = now - newest_at
    if age <= FRESH:
        return "Fresh", "good"
    return ("Quiet", "wait") if age <= QUIET else ("Silent", "bad")
