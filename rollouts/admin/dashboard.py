"""Everything that rolls out in one environment, with health, share and what is next; freezes and incidents of now."""

import uuid

from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseNotAllowed
from django.urls import reverse
from django.utils import timezone

from flags import permissions
from flags.admin.governed import GovernedAdmin, signed_in
from flags.models import Environment
from rollouts.admin.live_plans import share_served
from rollouts.admin.plans.listing import lines_of
from rollouts.models import Incident, RolloutPlan, TrainMember
from rollouts.plans.transitions import LIVE_STATES, PlanState
from rollouts.selectors.calendar import standings
from rollouts.selectors.incidents import open_incidents_for

READING = ["GET", "HEAD"]
MOST_SHOWN = 100
_GRAVITY = {PlanState.ROLLED_BACK: 0, PlanState.PAUSED: 1, PlanState.RUNNING: 3}


class DashboardView(GovernedAdmin):
    """The page of what rolls out in an environment."""

    def dashboard_view(self, request: HttpRequest, environment_id: uuid.UUID) -> HttpResponseBase:
        """A constant number of queries, however much rolls out."""
        if request.method not in READING:
            return HttpResponseNotAllowed(READING)
        user, now = signed_in(request), timezone.now()
        rows = permissions.visible_environments(user).select_related("project")
        environment = rows.filter(pk=environment_id).first()
        if environment is None:
            raise Http404
        live = RolloutPlan.objects.filter(environment=environment, state__in=[state.value for state in LIVE_STATES])
        related = live.select_related("environment__project", "project", "created_by", "request")
        plans = list(related.defer("documents", "base").order_by("-stage_entered_at")[:MOST_SHOWN])
        plans.sort(key=lambda plan: 2 if plan.is_blocked else _GRAVITY[plan.current_state])
        members = TrainMember.objects.filter(plan__in=plans).select_related("train")
        trains = {member.plan_id: member.train for member in members}
        incidents = [one for one in open_incidents_for(user, now=now) if _concerns(one, environment)]
        [standing] = standings(environment.project_id, [environment], now=now)
        return self.page(
            request,
            "rollouts/trains/dashboard.html",
            title=f"Rolling out in {environment.name}",
            crumbs=[
                ("Environments", reverse("admin:flags_environment_changelist")),
                (environment.name, reverse("admin:flags_environment_change", args=[environment.pk])),
                ("Rolling out", ""),
            ],
            environment=environment,
            lines=[(line, share_served(line.plan), trains.get(line.plan.pk)) for line in lines_of(plans)],
            standing=standing,
            incidents=incidents,
            waiting=RolloutPlan.objects.filter(environment=environment, state=PlanState.PROPOSED.value).count(),
            counts=_counts(plans),
        )


def _counts(plans: list[RolloutPlan]) -> list[tuple[str, int, str]]:
    """How many plans move, are held and need somebody, each with a tone."""
    held = sum(plan.current_state is PlanState.RUNNING and plan.is_blocked for plan in plans)
    running = sum(plan.current_state is PlanState.RUNNING for plan in plans) - held
    stopped = len(plans) - running - held
    return [("moving", running, "accent"), ("held", held, "wait"), ("waiting for a person", stopped, "bad")]


def _concerns(incident: Incident, environment: Environment) -> bool:
    if incident.environment_id is None:
        return incident.project_id == environment.project_id
    return incident.environment_id == environment.pk
