"""Rollout plans: the list, the page of one, and the acts on it. GET never changes anything."""

import uuid
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import AbstractUser
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils import timezone

from audits.errors import GovernanceError
from flags import permissions
from flags.admin.governed import actor_of, signed_in
from flags.errors import PermissionMissing
from rollouts.admin.plans.acts import ACTS, Call
from rollouts.admin.plans.editing import EditorViews
from rollouts.admin.plans.listing import list_page, visible_plans
from rollouts.admin.plans.showing import plan_context
from rollouts.admin.plans.templates import TemplateViews
from rollouts.models import RolloutPlan

READING = ["GET", "HEAD"]
LIST = "admin:rollouts_rolloutplan_changelist"
PLAN = "admin:rollouts_rolloutplan_change"
# After these the person looks at the page first, so no dialog opens.
_MOVED = frozenset({"plan_moved_on", "concurrent_update"})


@admin.register(RolloutPlan)
class RolloutPlanAdmin(EditorViews, TemplateViews):
    """What is rolled out stage by stage."""

    search_fields = ("title", "number")

    def visible_to(self, user: AbstractUser, queryset: QuerySet[RolloutPlan]) -> QuerySet[RolloutPlan]:
        return queryset.filter(environment__in=permissions.visible_environments(user))

    def get_urls(self) -> list[URLPattern]:
        one, name = "<uuid:object_id>", "rollouts_rolloutplan"
        return [
            self.door("", self.list_view, f"{name}_changelist"),
            self.door("add/", self.add_plan_view, f"{name}_add"),
            *self.template_urls(),
            self.door(f"{one}/", self.plan_view, f"{name}_change"),
            self.door(f"{one}/edit/", self.edit_view, f"{name}_edit"),
            self.door(f"{one}/live/", self.live_view, "rollouts_plan_live"),
            self.door(f"{one}/act/<slug:act>/", self.act_view, "rollouts_plan_act"),
        ]

    def list_view(self, request: HttpRequest) -> HttpResponseBase:
        """The list, by tab."""
        if request.method not in READING:
            return HttpResponseNotAllowed(READING)
        user, asked = signed_in(request), request.GET
        listing = list_page(
            user,
            tab=asked.get("tab", ""),
            environment=asked.get("environment", ""),
            search=asked.get("q", "").strip()[:200],
            number=asked.get("page", ""),
        )
        return self.page(
            request,
            "rollouts/plans/list.html",
            title="Rollout plans",
            crumbs=[("Rollout plans", "")],
            listing=listing,
            may_plan=bool(permissions.environments_with(user, permissions.PROPOSE)),
        )

    def plan_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponseBase:
        """One plan as this person sees it."""
        if request.method not in READING:
            return HttpResponseNotAllowed(READING)
        return self._show(request, object_id)

    def live_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponseBase:
        """The parts of the page that change by themselves."""
        if request.method not in READING:
            return HttpResponseNotAllowed(READING)
        return self._show(request, object_id, template="rollouts/plans/live.html")

    def act_view(self, request: HttpRequest, object_id: uuid.UUID, act: str) -> HttpResponseBase:
        """One act, one service call. What is refused comes back on the page with everything that was typed."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if act not in ACTS or not visible_plans(signed_in(request)).filter(pk=object_id).exists():
            raise Http404
        fields = {key: str(value) for key, value in request.POST.dict().items()}
        call = Call(plan_id=object_id, actor=actor_of(request), now=timezone.now(), fields=fields)
        try:
            outcome = ACTS[act](call)
        except PermissionMissing:
            raise
        except GovernanceError as error:
            return self._show(request, object_id, status=error.status, typed=_typed(act, call, error))
        messages.success(request, outcome.words)
        return HttpResponseRedirect(outcome.address or reverse(PLAN, args=[object_id]))

    def _show(
        self,
        request: HttpRequest,
        object_id: uuid.UUID,
        *,
        template: str = "rollouts/plans/plan.html",
        status: int = 200,
        typed: dict[str, Any] | None = None,
    ) -> HttpResponseBase:
        user = signed_in(request)
        rows = visible_plans(user).select_related("environment__project", "project", "created_by", "request")
        plan = rows.filter(pk=object_id).first()
        if plan is None:
            raise Http404
        context = plan_context(plan, user, now=timezone.now(), typed=typed)
        return self.page(request, template, title=f"#{plan.number} {plan.title}", status=status, **context)


def _typed(act: str, call: Call, error: GovernanceError) -> dict[str, Any]:
    """What the page keeps of a refused act."""
    problems = [item for item in error.facts.get("problems") or [] if isinstance(item, dict)]
    return {
        "act": act,
        "title": error.title,
        "message": error.message,
        "opens": "" if error.code in _MOVED else act,
        "fields": {name: call.text(name) for name in ("reason", "to_stage")},
        "problems": [str(item.get("message")) for item in problems],
    }
