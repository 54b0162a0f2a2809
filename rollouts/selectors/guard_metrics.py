"""The catalogue of guard metrics: what a plan takes from it, and what it takes to see a regression."""

import uuid
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db.models import Min, QuerySet, Sum

from flags import permissions
from flags.models import Environment, MetricCount, Project
from flags.telemetry.latency import count_above
from rollouts.guarding.planning import Need, need_for
from rollouts.models import GuardMetric
from rollouts.plans.definition import GuardSpec
from rollouts.selectors.guards import arm_counts

SHOWN_RATIOS = (1.5, 2.0, 3.0)
_LOOKED_BACK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class ProjectMetrics:
    """The metrics of one project, those in use first; `may_edit` says whether this person may change them."""

    project: Project
    metrics: list[GuardMetric]
    may_edit: bool


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a metric saw of a flag in an environment: people an hour, and the part of them that was bad."""

    environment: Environment
    flag_key: str
    units_per_hour: float
    base_rate: float
    needs: tuple[Need, ...]

    @property
    def bad_percent(self) -> float:
        """The part that was bad, of 100."""
        return 100 * self.base_rate


def project_metrics(user: AbstractUser) -> list[ProjectMetrics]:
    """Every project the person may look at with its metrics: a constant number of queries."""
    projects = list(permissions.visible_projects(user).order_by("name"))
    rows = list(GuardMetric.objects.filter(project__in=projects).order_by("is_retired", "name"))
    edits = permissions.environments_with(user, permissions.PROPOSE)
    editable = set(Environment.objects.filter(pk__in=edits).values_list("project_id", flat=True))
    return [
        ProjectMetrics(project, [row for row in rows if row.project_id == project.pk], project.pk in editable)
        for project in projects
    ]


def metrics_of(project: Project) -> QuerySet[GuardMetric]:
    """What a new plan of a project can choose from, by name."""
    return GuardMetric.objects.filter(project=project, is_retired=False).order_by("name")


def spec_of(metric: GuardMetric, *, flag_key: str, treatment: str, control: str, **changed: Any) -> GuardSpec:
    """The guard that a plan takes from the catalogue; `changed` are fields that this plan wants otherwise."""
    facts: dict[str, Any] = {
        **metric.defaults,
        "metric": metric.key,
        "name": metric.name,
        "kind": metric.kind,
        "source": metric.source,
        "limit": metric.limit,
        "flag_key": flag_key,
        "treatment": treatment,
        "control": control,
    }
    return GuardSpec(**{**facts, **changed})


def traffic_of(metric: GuardMetric, user: AbstractUser, *, now: datetime) -> list[Traffic]:
    """Where the metric was reported in the last week, most people first, and what a regression takes to be seen."""
    environments = {row.pk: row for row in permissions.visible_environments(user).filter(project=metric.project_id)}
    hour = now.replace(minute=0, second=0, microsecond=0)
    rows = MetricCount.objects.filter(
        environment__in=environments, metric=metric.key, span="hour", at__gte=hour - _LOOKED_BACK
    )
    effect = float(metric.defaults.get("design_effect", 1.0))
    sums = (
        rows.order_by()
        .values_list("environment_id", "flag_key")
        .annotate(
            since=Min("at"),
            counted=Sum("units") + Sum("without_units") / effect,
            marked=Sum("bad_units") + Sum("bad_without_units") / effect,
        )
    )
    slow = _slow_events(metric, rows)
    found = []
    for environment_id, flag_key, since, units, marked in sums:
        if units:
            bad = marked + slow.get((environment_id, flag_key), 0) / effect
            hours = max(1.0, (hour - since) / timedelta(hours=1))
            rate = min(bad / units, 1 - bad / units)
            needs = needs_for(metric.defaults.get("margin", 0.1), base_rate=rate, units_per_hour=units / hours)
            found.append(Traffic(environments[environment_id], flag_key, units / hours, rate, needs))
    return sorted(found, key=lambda item: (-item.units_per_hour, item.flag_key))


def _slow_events(metric: GuardMetric, rows: QuerySet[MetricCount]) -> Mapping[tuple[uuid.UUID, str], int]:
    """How many events more than services marked are over the metric's limit, by sketches that guards would go by."""
    found: Counter[tuple[uuid.UUID, str]] = Counter()
    if metric.limit is None:
        return found
    for row in rows.exclude(sketch={}).order_by():
        arm = arm_counts(row)
        if arm.is_sketched:
            found[row.environment_id, row.flag_key] += count_above(arm.sketch, metric.limit) - arm.bad_without_units
    return found


def needs_for(
    margin: float, *, base_rate: float, units_per_hour: float, ratios: Collection[float] = SHOWN_RATIOS
) -> tuple[Need, ...]:
    """What it takes to see each regression with half of the people in either arm."""
    return tuple(
        need_for(ratio, base_rate=base_rate, units_per_hour=units_per_hour, margin=margin)
        for ratio in ratios
        if ratio > 1 + margin
    )
