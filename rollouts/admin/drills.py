"""Rollback drills: what is exercised, how it went, and running one now."""

import uuid
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import AbstractUser
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils import timezone

from flags import permissions
from flags.admin.governed import GovernedAdmin, actor_of, form_errors, message_errors, signed_in
from flags.models import Environment, Flag
from rollouts.models import DrillRun, DrillTarget, RollbackDrill
from rollouts.selectors.drills import DrillLine, drill_lines
from rollouts.services.checks import LONGEST_TITLE
from rollouts.services.drills import (
    FURTHEST_HOURS,
    LONGEST_INTERVAL_DAYS,
    LONGEST_LIMIT_SECONDS,
    DrillPlan,
    add_drill,
    change_drill,
    run_drill,
)

READING = ["GET", "HEAD"]
WHOLE = ""
SPARK_HEIGHT = 32
SPARK_STEP = 8


@dataclass(frozen=True, slots=True)
class Bar:
    """One run in the picture of a drill: its place, and how long it took against the limit."""

    x: int
    y: int
    height: int
    run: DrillRun


class DrillForm(forms.Form):
    """What goes back, to where, in which time, how often."""

    title = forms.CharField(max_length=LONGEST_TITLE, label="Title", help_text="What the exercise proves.")
    flag = forms.ChoiceField(required=False, label="What goes back")
    target = forms.ChoiceField(choices=DrillTarget.choices, label="Back to")
    target_version = forms.IntegerField(
        required=False, min_value=1, label="Which version", help_text="Only for “A certain version”."
    )
    target_hours = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=FURTHEST_HOURS,
        label="How many hours ago",
        initial=24,
        help_text="Only for “How it was some hours ago”.",
    )
    limit_seconds = forms.IntegerField(
        min_value=1, max_value=LONGEST_LIMIT_SECONDS, initial=10, label="Served again within (seconds)"
    )
    interval_days = forms.IntegerField(
        min_value=1, max_value=LONGEST_INTERVAL_DAYS, initial=30, label="Exercise every (days)"
    )
    is_active = forms.BooleanField(required=False, initial=True, label="Exercise regularly")

    def __init__(self, *args: Any, environment: Environment, drill: RollbackDrill | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        flags = Flag.objects.filter(project=environment.project_id, configs__environment=environment)
        flags = flags.filter(archived_at=None).order_by("key")
        if drill is not None:
            flags = flags.filter(pk=drill.flag_id) if drill.flag_id else flags.none()
        every = [(WHOLE, f"Everything in {environment.name}")] if drill is None or drill.flag_id is None else []
        choices = [*every, *((str(flag.pk), f"{flag.name} ({flag.key})") for flag in flags)]
        self.fields["flag"].choices = choices  # type: ignore[attr-defined]

    def plan(self) -> DrillPlan:
        """What was asked for."""
        data = self.cleaned_data
        return DrillPlan(
            title=data["title"],
            flag_id=uuid.UUID(data["flag"]) if data["flag"] else None,
            target=data["target"],
            target_version=data["target_version"],
            target_hours=data["target_hours"],
            limit_seconds=data["limit_seconds"],
            interval_days=data["interval_days"],
            is_active=data["is_active"],
        )


@admin.register(RollbackDrill)
class RollbackDrillAdmin(GovernedAdmin):
    """Drills with their history. A drill touches nothing that is served."""

    def visible_to(self, user: AbstractUser, queryset: QuerySet[RollbackDrill]) -> QuerySet[RollbackDrill]:
        return queryset.filter(environment__in=permissions.visible_environments(user))

    def get_urls(self) -> list[URLPattern]:
        name = "rollouts_rollbackdrill"
        return [
            self.door("", self.list_view, f"{name}_changelist"),
            self.door("add/<uuid:environment_id>/", self.add_drill_view, f"{name}_add"),
            self.door("<uuid:object_id>/", self.drill_view, f"{name}_change"),
            self.door("<uuid:object_id>/edit/", self.edit_view, f"{name}_edit"),
            self.door("<uuid:object_id>/run/", self.run_view, f"{name}_run"),
        ]

    def list_view(self, request: HttpRequest) -> HttpResponseBase:
        """Every drill, those that need somebody first."""
        if request.method not in READING:
            return HttpResponseNotAllowed(READING)
        user = signed_in(request)
        applies = permissions.environments_with(user, permissions.APPLY)
        environments = permissions.visible_environments(user).filter(pk__in=applies).select_related("project")
        return self.page(
            request,
            "rollouts/drill_list.html",
            title="Rollback drills",
            crumbs=[("Rollback drills", "")],
            lines=[(line, spark(line)) for line in drill_lines(user, now=timezone.now())],
            environments=environments.order_by("project__name", "-position"),
        )

    def drill_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponseBase:
        """One drill with the evidence of its runs."""
        if request.method not in READING:
            return HttpResponseNotAllowed(READING)
        line = self._line(request, object_id)
        return self.page(
            request,
            "rollouts/drill.html",
            title=line.drill.title,
            crumbs=[("Rollback drills", reverse("admin:rollouts_rollbackdrill_changelist")), (line.drill.title, "")],
            environment=line.drill.environment,
            line=line,
            bars=spark(line),
            runs=line.runs[::-1],
        )

    def add_drill_view(self, request: HttpRequest, environment_id: uuid.UUID) -> HttpResponseBase:
        """A new drill for an environment."""
        visible = permissions.visible_environments(signed_in(request)).select_related("project")
        environment = visible.filter(pk=environment_id).first()
        if environment is None:
            raise Http404
        return self._form(request, environment, None)

    def edit_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponseBase:
        """Change a drill."""
        drill = self._line(request, object_id).drill
        return self._form(request, drill.environment, drill)

    def run_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponseBase:
        """Run a drill now."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        self._line(request, object_id)
        with message_errors(request):
            run = run_drill(object_id, actor=actor_of(request), now=timezone.now())
            if run.has_passed:
                seconds = f"{run.took_ms / 1000:.1f} s"
                messages.success(
                    request, f"Passed: it would be served again after {seconds}. Nothing live was touched."
                )
            else:
                messages.error(request, f"Failed: {run.problem}")
        return HttpResponseRedirect(reverse("admin:rollouts_rollbackdrill_change", args=[object_id]))

    def _line(self, request: HttpRequest, object_id: uuid.UUID) -> DrillLine:
        lines = drill_lines(signed_in(request), now=timezone.now())
        found = next((line for line in lines if line.drill.pk == object_id), None)
        if found is None:
            raise Http404
        return found

    def _form(self, request: HttpRequest, environment: Environment, drill: RollbackDrill | None) -> HttpResponseBase:
        if request.method not in {*READING, "POST"}:
            return HttpResponseNotAllowed([*READING, "POST"])
        permissions.require(actor_of(request), permissions.APPLY, environment)
        form = DrillForm(request.POST or None, environment=environment, drill=drill, initial=_initial(drill))
        if request.method == "POST" and form.is_valid():
            with form_errors(form):
                saved = _save(form.plan(), environment, drill, request)
                return HttpResponseRedirect(reverse("admin:rollouts_rollbackdrill_change", args=[saved.pk]))
        title = f"Change {drill.title}" if drill else f"New drill in {environment.name}"
        return self.page(
            request,
            "rollouts/drill_edit.html",
            title=title,
            status=400 if form.errors else 200,
            crumbs=[("Rollback drills", reverse("admin:rollouts_rollbackdrill_changelist")), (title, "")],
            environment=environment,
            form=form,
        )


def _save(
    plan: DrillPlan, environment: Environment, drill: RollbackDrill | None, request: HttpRequest
) -> RollbackDrill:
    actor, now = actor_of(request), timezone.now()
    if drill is None:
        saved = add_drill(environment.pk, plan, actor=actor, now=now)
        messages.success(request, "The drill is set up and due now. Run it, or let the next sweep do it.")
    else:
        saved = change_drill(drill.pk, plan, actor=actor, now=now)
        messages.success(request, "The drill is changed.")
    return saved


def _initial(drill: RollbackDrill | None) -> dict[str, Any] | None:
    if drill is None:
        return None
    names = ("title", "target", "target_version", "target_hours", "limit_seconds", "interval_days", "is_active")
    return {name: getattr(drill, name) for name in names} | {"flag": str(drill.flag_id or WHOLE)}


def spark(line: DrillLine) -> list[Bar]:
    """The runs as bars, oldest first: how long each took; the line on top is its limit."""
    bars = []
    for number, run in enumerate(line.runs):
        share = min(1.0, run.took_ms / (1000 * run.limit_seconds))
        height = SPARK_HEIGHT if not run.has_passed else max(3, round(share * SPARK_HEIGHT))
        bars.append(Bar(number * SPARK_STEP, SPARK_HEIGHT + 2 - height, height, run))
    return bars
