"""What is going on with flags: plans, requests, timelines and flags that need them, by environment and key."""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from flags.lifecycle.thresholds import ABANDONED_DAYS
from flags.models import FlagConfig
from rollouts.deprecations.transitions import LIVE_STATES as LIVE_TIMELINES
from rollouts.models import ChangeRequest, DeprecationTimeline, PlanFlag
from rollouts.plans.transitions import LIVE_STATES as LIVE_PLANS
from rollouts.transitions import OPEN_STATES

Place = tuple[uuid.UUID, str]


@dataclass(slots=True)
class Work:
    """Labels of what acts or may soon act on a flag in an environment. `fresh_requests` are not abandoned."""

    dependents: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    fresh_requests: list[str] = field(default_factory=list)
    plans: list[str] = field(default_factory=list)
    plan_since: datetime | None = None
    timelines: list[str] = field(default_factory=list)


def work_on(environment_ids: Collection[uuid.UUID], *, now: datetime) -> Mapping[Place, Work]:
    """What is going on in these environments, by environment and flag key: four queries."""
    found: dict[Place, Work] = {}
    _add_dependents(found, environment_ids)
    _add_requests(found, environment_ids, now)
    _add_plans(found, environment_ids)
    timelines = DeprecationTimeline.objects.filter(environment__in=environment_ids, state__in=LIVE_TIMELINES)
    for timeline in timelines.order_by("number").defer("base", "written"):
        place = (timeline.environment_id, str(timeline.definition["flag_key"]))
        found.setdefault(place, Work()).timelines.append(timeline.label)
    return found


def _add_dependents(found: dict[Place, Work], environment_ids: Collection[uuid.UUID]) -> None:
    configs = FlagConfig.objects.filter(environment__in=environment_ids, document__has_key="prerequisites")
    rows = configs.order_by("flag__key").values_list(
        "environment_id", "flag__key", "document__prerequisites", "document__deprecation__is_archived"
    )
    for environment_id, key, prerequisites, is_archived in rows:
        # An archived flag serves nobody, so it needs nothing.
        for item in () if is_archived else prerequisites or ():
            found.setdefault((environment_id, item["flag"]), Work()).dependents.append(key)


def _add_requests(found: dict[Place, Work], environment_ids: Collection[uuid.UUID], now: datetime) -> None:
    rows = ChangeRequest.objects.filter(environment__in=environment_ids, state__in=OPEN_STATES)
    abandoned = now - timedelta(days=ABANDONED_DAYS)
    for request in rows.order_by("number").defer("policy_snapshot", "blocked_detail"):
        touched_at = max(filter(None, (request.created_at, request.submitted_at, request.apply_at)))
        for edit in request.change_set["edits"]:
            if edit["type"] != "config":
                continue
            work = found.setdefault((request.environment_id, edit["flag_key"]), Work())
            work.requests.append(request.label)
            if touched_at > abandoned:
                work.fresh_requests.append(request.label)


def _add_plans(found: dict[Place, Work], environment_ids: Collection[uuid.UUID]) -> None:
    rows = PlanFlag.objects.filter(environment__in=environment_ids, plan__state__in=LIVE_PLANS, is_live=True)
    names = ("environment_id", "flag__key", "plan__number", "plan__title", "plan__started_at")
    for environment_id, key, number, title, started_at in rows.order_by("plan__number").values_list(*names):
        work = found.setdefault((environment_id, key), Work())
        work.plans.append(f"Plan {number} {title}")
        work.plan_since = work.plan_since or started_at
