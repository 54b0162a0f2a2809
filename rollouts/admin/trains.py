"""Release trains: the list, putting one together, its page with a lane per plan, and the acts on it."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import AbstractUser
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils import timezone

from audits.errors import GovernanceError
from flags import permissions
from flags.admin.governed import GovernedAdmin, actor_of, signed_in
from flags.errors import InvalidInput, NotFound, PermissionMissing
from flags.models import Project
from rollouts.admin.dashboard import DashboardView
from rollouts.admin.plans.bars import columns_of
from rollouts.admin.plans.listing import PlanLine, lines_of
from rollouts.admin.plans.words import Chip
from rollouts.admin.train_acts import ACTS, SAID, dialogs_of
from rollouts.models import ReleaseTrain, RolloutPlan, TrainMember
from rollouts.plans.codec import from_json
from rollouts.plans.trains import Place, TrainAct, TrainState, Wait
from rollouts.selectors.trains import (
    joinable_plans,
    possible_train_acts,
    start_refusal,
    train_of,
    view_of,
    views_of,
    visible_trains,
)
from rollouts.services import trains
from rollouts.services.trains import Seat

READING = ["GET", "HEAD"]
WRITING = [*READING, "POST"]
LIST = "admin:rollouts_releasetrain_changelist"
TRAIN = "admin:rollouts_releasetrain_change"
MOST_SHOWN = 100
STATES: Mapping[TrainState, Chip] = {
    TrainState.DRAFT: Chip("Not started", "edit_note", "quiet"),
    TrainState.RUNNING: Chip("Under way", "play_circle", "accent"),
    TrainState.PAUSED: Chip("Paused", "pause_circle", "wait"),
    TrainState.ROLLED_BACK: Chip("Rolled back", "restore", "bad"),
    TrainState.COMPLETED: Chip("Completed", "check_circle", "good"),
    TrainState.ABORTED: Chip("Ended", "cancel", "quiet"),
}


@dataclass(frozen=True, slots=True)
class Lane:
    """One plan of the train: its line, what it waits for in the train, and from where those behind it may start."""

    member: TrainMember
    line: PlanLine
    place: Place
    wait: Wait | None
    refused: str
    opens: str


@admin.register(ReleaseTrain)
class ReleaseTrainAdmin(DashboardView, GovernedAdmin):
    """Plans of several flags and environments that go together."""

    search_fields = ("title",)

    def visible_to(self, user: AbstractUser, queryset: QuerySet[ReleaseTrain]) -> QuerySet[ReleaseTrain]:
        return queryset.filter(pk__in=visible_trains(user).values("pk"))

    def get_urls(self) -> list[URLPattern]:
        one, name = "<uuid:object_id>", "rollouts_releasetrain"
        return [
            self.door("", self.list_view, f"{name}_changelist"),
            self.door("add/<uuid:project_id>/", self.new_view, f"{name}_add"),
            self.door("environment/<uuid:environment_id>/", self.dashboard_view, "rollouts_environment_dashboard"),
            self.door(f"{one}/", self.train_view, f"{name}_change"),
            self.door(f"{one}/edit/", self.edit_train_view, f"{name}_edit"),
            self.door(f"{one}/act/<slug:act>/", self.act_view, "rollouts_train_act"),
        ]

    def list_view(self, request: HttpRequest) -> HttpResponseBase:
        """Every train, newest first."""
        if request.method not in READING:
            return HttpResponseNotAllowed(READING)
        user = signed_in(request)
        found = list(visible_trains(user)[:MOST_SHOWN])
        environments = permissions.environments_with(user, permissions.PROPOSE)
        return self.page(
            request,
            "rollouts/trains/list.html",
            title="Release trains",
            crumbs=[("Release trains", "")],
            lines=[(view, STATES[view.train.current_state]) for view in views_of(found)],
            projects=Project.objects.filter(environments__in=environments).distinct().order_by("name"),
        )

    def new_view(self, request: HttpRequest, project_id: uuid.UUID) -> HttpResponseBase:
        """Put plans together."""
        project = permissions.visible_projects(signed_in(request)).filter(pk=project_id).first()
        if project is None:
            raise Http404
        return self._edit(request, project, None)

    def edit_train_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponseBase:
        """Put the plans of a train that has not started together anew."""
        train = _seen(request, object_id)
        return self._edit(request, train.project, train)

    def train_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponseBase:
        """One train as this person sees it."""
        if request.method not in READING:
            return HttpResponseNotAllowed(READING)
        return self._show(request, _seen(request, object_id))

    def act_view(self, request: HttpRequest, object_id: uuid.UUID, act: str) -> HttpResponseBase:
        """One act, one service call."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        train = _seen(request, object_id)
        if act not in ACTS:
            raise Http404
        reason = request.POST.get("reason", "")
        told: dict[str, Any] = {"actor": actor_of(request), "now": timezone.now(), "seen": _number(request, "seen")}
        if act == TrainAct.START:
            told["digest"] = request.POST.get("digest", "")
        try:
            ACTS[act](train.pk, reason=reason, **told)
        except PermissionMissing:
            raise
        except GovernanceError as error:
            return self._show(request, _seen(request, object_id), error=error, act=act, typed=reason)
        messages.success(request, f"The train “{train.title}” {SAID[TrainAct(act)]}")
        return HttpResponseRedirect(reverse(TRAIN, args=[train.pk]))

    def _show(
        self,
        request: HttpRequest,
        train: ReleaseTrain,
        *,
        error: GovernanceError | None = None,
        act: str = "",
        typed: str = "",
    ) -> HttpResponseBase:
        view = view_of(train)
        lines = {line.plan.pk: line for line in lines_of([member.plan for member in view.members])}
        allowed = {one.act: one for one in possible_train_acts(view, signed_in(request))}
        lanes = [
            Lane(
                member,
                lines[member.plan_id],
                place,
                view.wait_of(member.position),
                str(train.refused.get(str(member.plan_id), "")),
                _opens(member),
            )
            for member, place in zip(view.members, view.places, strict=True)
        ]
        return self.page(
            request,
            "rollouts/trains/train.html",
            title=train.title,
            status=error.status if error else 200,
            crumbs=[("Release trains", reverse(LIST)), (train.title, "")],
            train=train,
            state=STATES[train.current_state],
            lanes=lanes,
            unready=_unready(train, [member.plan for member in view.members]),
            digest=view.digest,
            dialogs=dialogs_of(view, [one.act for one in allowed.values() if one.is_allowed]),
            may_edit=allowed[TrainAct.EDIT].is_allowed,
            refused=error,
            opens=act if isinstance(error, InvalidInput) else "",
            act=act,
            typed=typed,
        )

    def _edit(self, request: HttpRequest, project: Project, train: ReleaseTrain | None) -> HttpResponseBase:
        if request.method not in WRITING:
            return HttpResponseNotAllowed(WRITING)
        error: GovernanceError | None = None
        if request.method == "POST":
            try:
                saved = _save(request, project, train, now=timezone.now())
            except PermissionMissing:
                raise
            except GovernanceError as refused:
                error = refused
            else:
                messages.success(request, f"The train “{saved.title}” is put together. Nothing has started yet.")
                return HttpResponseRedirect(reverse(TRAIN, args=[saved.pk]))
        return self.page(
            request,
            "rollouts/trains/edit.html",
            title=f"Change {train.title}" if train else "New release train",
            status=error.status if error else 200,
            crumbs=[("Release trains", reverse(LIST)), (train.title if train else "New", "")],
            project=project,
            train=train,
            rows=_rows(request, project, train),
            refused=error,
            problems=[str(one.get("message")) for one in (error.facts.get("problems") or [])] if error else [],
            typed_title=request.POST.get("title", train.title if train else ""),
            typed_reason=request.POST.get("reason", train.reason if train else ""),
        )


@dataclass(frozen=True, slots=True)
class Row:
    """One plan to choose: its place in the order, empty for left out, and the stage from which the next may start."""

    plan: RolloutPlan
    columns: Sequence[Any]
    stages: Sequence[str]
    order: str
    opens_at: str


def _seen(request: HttpRequest, train_id: uuid.UUID) -> ReleaseTrain:
    try:
        return train_of(train_id, signed_in(request))
    except NotFound:
        raise Http404 from None


def _number(request: HttpRequest, name: str) -> int:
    text = request.POST.get(name, "").strip()
    return int(text) if text.isdecimal() and text.isascii() and len(text) <= 9 else -1


def _save(request: HttpRequest, project: Project, train: ReleaseTrain | None, *, now: datetime) -> ReleaseTrain:
    told: dict[str, Any] = {
        "actor": actor_of(request),
        "now": now,
        "title": request.POST.get("title", ""),
        "reason": request.POST.get("reason", ""),
    }
    found = []
    for plan in _choice(request, project, train):
        order = _number(request, f"order-{plan.pk}")
        if order > 0:
            opens_at = _number(request, f"opens-{plan.pk}")
            found.append((order, plan.number, Seat(plan.pk, opens_at if opens_at > 0 else None)))
    seats = [seat for _, _, seat in sorted(found, key=lambda item: item[:2])]
    if train is None:
        return trains.create_train(project.pk, seats, **told)
    return trains.edit_train(train.pk, seats, seen=_number(request, "seen"), **told)


def _choice(request: HttpRequest, project: Project, train: ReleaseTrain | None) -> list[RolloutPlan]:
    members = [member.plan for member in view_of(train).members] if train else []
    return [*members, *joinable_plans(project.pk, signed_in(request))]


def _rows(request: HttpRequest, project: Project, train: ReleaseTrain | None) -> list[Row]:
    seats = {member.plan_id: member for member in view_of(train).members} if train else {}
    rows = []
    for plan in _choice(request, project, train):
        seat, definition = seats.get(plan.pk), from_json(plan.definition)
        rows.append(
            Row(
                plan,
                columns_of(plan, definition),
                [stage.name for stage in definition.stages],
                request.POST.get(f"order-{plan.pk}", str(seat.position) if seat else ""),
                request.POST.get(f"opens-{plan.pk}", str(seat.opens_at or "") if seat else ""),
            )
        )
    return rows


def _unready(train: ReleaseTrain, plans: Sequence[RolloutPlan]) -> list[str]:
    """What has to happen before a train starts."""
    if train.current_state is not TrainState.DRAFT:
        return []
    return [why for plan in plans if (why := start_refusal(plan))]


def _opens(member: TrainMember) -> str:
    stages = member.plan.definition["stages"]
    if member.opens_at is None or member.opens_at > len(stages):
        return "The next plan starts once this one is completed."
    return f"The next plan starts once this one reached “{stages[member.opens_at - 1]['name']}”."
