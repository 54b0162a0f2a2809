"""The pages of stale flags: an inbox for each project, and what is done with many flags at once."""

import uuid
from collections.abc import Mapping
from datetime import timedelta
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
from flags.errors import PermissionMissing
from flags.lifecycle.snoozes import LONGEST, SHORTEST
from flags.models import Project
from rollouts.admin.stale.acts import ACTS, Call, Outcome
from rollouts.admin.stale.debt import DAYS, debt_picture
from rollouts.admin.stale.inbox import FILTERS, inbox_of, snoozes_of
from rollouts.admin.stale.vain import vain_of
from rollouts.admin.timelines.form import usual_start
from rollouts.admin.timelines.owners import owners_in
from rollouts.admin.timelines.pages import SAY_WHY
from rollouts.models import StaleVerdict
from rollouts.selectors.staleness.verdicts import debt_trend

READING = ["GET", "HEAD"]
INBOX = "admin:rollouts_staleverdict_changelist"
_KEPT = ("reason", "until", "how", "starts_on")
_USUAL_SNOOZE = timedelta(days=60)


@admin.register(StaleVerdict)
class StaleVerdictAdmin(GovernedAdmin):
    """Flags that are past their life."""

    search_fields = ("flag__key",)

    def visible_to(self, user: AbstractUser, queryset: QuerySet[StaleVerdict]) -> QuerySet[StaleVerdict]:
        return queryset.filter(project__in=permissions.visible_projects(user))

    def get_urls(self) -> list[URLPattern]:
        return [
            self.door("", self.inbox_view, "rollouts_staleverdict_changelist"),
            self.door("<uuid:project_id>/act/<slug:act>/", self.act_view, "rollouts_stale_act"),
        ]

    def inbox_view(self, request: HttpRequest) -> HttpResponseBase:
        """The stale flags of one project."""
        if request.method not in READING:
            return HttpResponseNotAllowed(READING)
        projects = _projects(request)
        key = request.GET.get("project", "")
        project = next((one for one in projects if one.key == key), projects[0] if projects else None)
        return self._show(request, project)

    def act_view(self, request: HttpRequest, project_id: uuid.UUID, act: str) -> HttpResponseBase:
        """One button for all ticked flags. What is refused comes back on the page with everything that was typed."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        project = next((one for one in _projects(request) if one.pk == project_id), None)
        if act not in ACTS or project is None:
            raise Http404
        chosen = _ids(request.POST.getlist("flag"))
        fields = {key: str(value) for key, value in request.POST.dict().items()}
        zone = timezone.get_current_timezone_name()
        call = Call(project, chosen, actor_of(request), timezone.now(), zone, fields)
        try:
            outcome = ACTS[act](call)
        except PermissionMissing:
            raise
        except GovernanceError as error:
            typed = _typed(act, call, error)
            return self._show(request, project, status=error.status, typed=typed, chosen={str(one) for one in chosen})
        _say(request, outcome)
        asked = request.GET.copy()
        asked["project"] = project.key
        return HttpResponseRedirect(outcome.address or f"{reverse(INBOX)}?{asked.urlencode()}")

    def _show(
        self,
        request: HttpRequest,
        project: Project | None,
        *,
        status: int = 200,
        typed: Mapping[str, Any] | None = None,
        chosen: set[str] | None = None,
    ) -> HttpResponseBase:
        user, now, asked = signed_in(request), timezone.now(), request.GET
        wanted = {name: asked.get(name, "") for name in FILTERS}
        today = timezone.localdate()
        scores = debt_trend(project, until=now.date(), days=DAYS) if project else []
        return self.page(
            request,
            "rollouts/stale/inbox.html",
            title="Stale flags",
            status=status,
            crumbs=[("Stale flags", "")],
            projects=_projects(request),
            project=project,
            inbox_address=reverse(INBOX),
            inbox=inbox_of(project, user, wanted, asked.get("page", "")) if project else None,
            snoozes=snoozes_of(project, now=now) if project else [],
            vain=vain_of(user, project, now=now) if project else None,
            debt=debt_picture(scores),
            owners=owners_in([project.pk]) if project else [],
            asked=wanted,
            is_filtered=any(wanted.values()),
            may_act=bool(project and _may_act(user, project)),
            chosen=chosen or set(),
            refused=typed or {},
            days={
                "least": (today + SHORTEST + timedelta(days=1)).isoformat(),
                "most": (today + LONGEST).isoformat(),
                "usual": (today + _USUAL_SNOOZE).isoformat(),
                "begins": usual_start().isoformat(),
            },
            now=now,
        )


def _projects(request: HttpRequest) -> list[Project]:
    return list(permissions.visible_projects(signed_in(request)).order_by("name"))


def _may_act(user: AbstractUser, project: Project) -> bool:
    """Whether the person may propose in some environment of the project: what every button takes."""
    allowed = permissions.environments_with(user, permissions.PROPOSE)
    return project.environments.filter(pk__in=allowed).exists()


def _ids(values: list[str]) -> list[uuid.UUID]:
    found = []
    for value in values:
        try:
            found.append(uuid.UUID(value))
        except ValueError:
            continue
    return found


def _say(request: HttpRequest, outcome: Outcome) -> None:
    messages.success(request, outcome.words)
    if outcome.left_out:
        more = f" And {len(outcome.left_out) - 5} more." if len(outcome.left_out) > 5 else ""
        messages.warning(request, f"Left as they are: {' '.join(outcome.left_out[:5])}{more}")


def _typed(act: str, call: Call, error: GovernanceError) -> dict[str, Any]:
    """What the page keeps of a refused act."""
    problems = [item for item in error.facts.get("problems") or [] if isinstance(item, dict)]
    wrong = {str(item.get("path")) for item in problems}
    lacks_reason = "reason" in wrong and not call.text("reason")
    return {
        "act": act,
        "title": error.title,
        "message": SAY_WHY if lacks_reason else error.message,
        "wrong": wrong,
        "problems": [] if lacks_reason else [str(item.get("message")) for item in problems],
        "fields": {name: call.text(name) for name in _KEPT},
    }
