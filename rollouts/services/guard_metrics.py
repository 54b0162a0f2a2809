"""The catalogue of guard metrics of a project. A plan copies what it needs, so nothing here moves a plan."""

import math
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from audits import trail
from audits.actions import Action
from audits.context import Actor
from flags import permissions
from flags.errors import AlreadyExists, NotFound
from flags.models import Environment, Project
from flags.services.attempts import attempt
from flags.services.keys import checked_key, problem
from flags.services.tickets import governed_write
from rollouts.models import GuardMetric
from rollouts.plans.checking_guards import LONGEST_LIMIT_MS
from rollouts.plans.definition import GUARD_QUERIES, GuardAction, GuardSource, MetricKind
from rollouts.services.checks import checked_prose
from rollouts.services.probes import LONGEST_QUERY

LONGEST_KEY = 100
LONGEST_NAME = 120
MOST_METRICS = 200
# By field of a GuardSpec: the smallest and the largest value, and how people call it.
RANGES: Mapping[str, tuple[float, float, str]] = {
    "margin": (0.0, 10.0, "What is tolerated"),
    "tolerable": (1.05, 100.0, "What a pass has to exclude"),
    "minimum_sample": (1, 1_000_000, "The number of people"),
    "weight": (0.01, 100.0, "The weight"),
    "design_effect": (1.0, 1_000.0, "The number of events per person"),
    "stale_after_minutes": (2, 1_440, "The minutes until data is stale"),
    "missing_after_minutes": (2, 10_080, "The minutes until data is missing"),
}


@dataclass(frozen=True, slots=True)
class MetricFields:
    """What a guard metric says. The numbers are those of a `GuardSpec`; `limit` is in milliseconds, for latencies."""

    name: str
    kind: MetricKind
    source: GuardSource = GuardSource.TELEMETRY
    description: str = ""
    limit: float | None = None
    is_success_metric: bool = False
    margin: float = 0.1
    tolerable: float = 2.0
    minimum_sample: int = 50
    weight: float = 1.0
    design_effect: float = 1.0
    stale_after_minutes: int = 15
    missing_after_minutes: int = 60
    is_guardrail: bool = True
    is_critical: bool = False
    on_breach: GuardAction = GuardAction.ROLL_BACK
    on_missing: GuardAction = GuardAction.PAUSE
    on_stale: GuardAction = GuardAction.HOLD
    on_probe_error: GuardAction = GuardAction.HOLD
    queries: Mapping[str, str] = field(default_factory=dict)


_COLUMNS = ("name", "kind", "source", "description", "limit")


def add_metric(project_id: uuid.UUID, key: str, fields: MetricFields, *, actor: Actor, now: datetime) -> GuardMetric:
    """Add a metric; `key` is how services report it, and stays. Needs the role editor in an environment of the project.

    Raises PermissionMissing, InvalidInput, NotFound, AlreadyExists.
    """

    def act() -> GuardMetric:
        project = Project.objects.select_for_update(no_key=True).filter(pk=project_id).first()
        if project is None:
            raise NotFound("This project does not exist. It may have been mistyped.", project_id=str(project_id))
        _require_editor(actor, project)
        if GuardMetric.objects.filter(project=project).count() >= MOST_METRICS:
            raise problem("key", f"A project has at most {MOST_METRICS} guard metrics. Change a retired one.")
        metric = GuardMetric(
            project=project,
            key=checked_key(key, what="guard metric", longest=LONGEST_KEY),
            changed_at=now,
            **_checked(fields),
        )
        _insert(metric)
        _record(Action.GUARD_METRIC_SAVED, metric, actor=actor, now=now, before=None, after=facts_of(metric))
        return metric

    return attempt(act)


def change_metric(metric_id: uuid.UUID, fields: MetricFields, *, actor: Actor, now: datetime) -> GuardMetric:
    """Change a metric and put a retired one back into use. A change that changes nothing records nothing.

    Needs the role editor in an environment of the project. Raises PermissionMissing, InvalidInput, NotFound.
    """

    def act() -> GuardMetric:
        metric = _locked(metric_id)
        _require_editor(actor, metric.project)
        before, wanted = facts_of(metric), _checked(fields)
        for name, value in {**wanted, "is_retired": False}.items():
            setattr(metric, name, value)
        after = facts_of(metric)
        if before != after:
            _write(metric, now=now)
            _record(Action.GUARD_METRIC_SAVED, metric, actor=actor, now=now, before=before, after=after)
        return metric

    return attempt(act)


def retire_metric(metric_id: uuid.UUID, *, actor: Actor, now: datetime) -> GuardMetric:
    """Take a metric out of the choice for new plans; plans that have it keep it.

    Needs the role editor in an environment of the project. Raises PermissionMissing, NotFound.
    """

    def act() -> GuardMetric:
        metric = _locked(metric_id)
        _require_editor(actor, metric.project)
        if not metric.is_retired:
            metric.is_retired = True
            _write(metric, now=now)
            _record(Action.GUARD_METRIC_RETIRED, metric, actor=actor, now=now, key=metric.key)
        return metric

    return attempt(act)


def facts_of(metric: GuardMetric) -> dict[str, Any]:
    """A metric as the audit trail keeps it."""
    return {**{name: getattr(metric, name) for name in (*_COLUMNS, "is_retired")}, "defaults": dict(metric.defaults)}


def may_edit(user: Any, project: Project) -> bool:
    """Whether a person may change the catalogue of a project."""
    return Environment.objects.filter(
        project=project, pk__in=permissions.environments_with(user, permissions.PROPOSE)
    ).exists()


def _require_editor(actor: Actor, project: Project) -> None:
    environments = list(Environment.objects.filter(project=project).order_by("position", "key"))
    if not environments:
        raise NotFound("This project has no environment yet. Add one first.", project_id=str(project.pk))
    if not any(permissions.holds(actor, permissions.PROPOSE, environment) for environment in environments):
        permissions.require(actor, permissions.PROPOSE, environments[0])


def _checked(fields: MetricFields) -> dict[str, Any]:
    """The columns of a metric. Raises InvalidInput."""
    facts = asdict(fields)
    for name, (least, most, words) in RANGES.items():
        value = facts[name]
        if not math.isfinite(value) or not least <= value <= most:
            raise problem(name, f"{words} has to lie between {least:g} and {most:g}.")
    if fields.tolerable <= 1 + fields.margin:
        raise problem("tolerable", "What a pass has to exclude must be worse than what is tolerated.")
    if fields.missing_after_minutes <= fields.stale_after_minutes:
        raise problem("missing_after_minutes", "Data is missing later than it is stale. Choose a larger number.")
    if fields.on_missing is GuardAction.ROLL_BACK and not (fields.is_critical and fields.is_guardrail):
        raise problem("on_missing", "Only a critical guardrail may roll back because its data is missing.")
    for name in ("on_stale", "on_probe_error"):
        if facts[name] is GuardAction.ROLL_BACK:
            raise problem(name, "Data that is late, or could not be asked for, is no reason to roll back.")
    title = checked_prose(fields.name, field="name", longest=LONGEST_NAME, required=True)
    if "\n" in title or "\r" in title:
        raise problem("name", "Put the name on one line.")
    columns = {
        "name": title,
        "description": checked_prose(fields.description, field="description"),
        "kind": fields.kind.value,
        "source": fields.source.value,
        "limit": _checked_limit(fields),
    }
    defaults = {key: value for key, value in facts.items() if key not in _COLUMNS}
    return {**columns, "defaults": {**defaults, "queries": _checked_queries(fields)}}


def _checked_limit(fields: MetricFields) -> float | None:
    if fields.kind is not MetricKind.LATENCY:
        return None
    if fields.limit is None or not math.isfinite(fields.limit) or not 0 < fields.limit <= LONGEST_LIMIT_MS:
        raise problem("limit", "Say from how many milliseconds an answer is too slow.")
    return fields.limit


def _checked_queries(fields: MetricFields) -> dict[str, str]:
    if fields.source is not GuardSource.PROMETHEUS:
        return {}
    found = {}
    for name in GUARD_QUERIES:
        text = checked_prose(fields.queries.get(name, ""), field=name, longest=LONGEST_QUERY)
        if not text:
            raise problem(name, "Give all four queries: without one of them nothing can be compared.")
        found[name] = text
    return found


def _locked(metric_id: uuid.UUID) -> GuardMetric:
    rows = GuardMetric.objects.select_for_update(of=("self",), no_key=True).select_related("project")
    metric = rows.filter(pk=metric_id).first()
    if metric is None:
        raise NotFound("This guard metric does not exist. It may have been mistyped.", metric_id=str(metric_id))
    return metric


def _insert(metric: GuardMetric) -> None:
    try:
        with transaction.atomic(), governed_write(metric.project_id):
            metric.save(force_insert=True)
    except IntegrityError as error:
        if "flagsite:" in str(error):
            raise
        raise AlreadyExists(
            f"{metric.project.name} has a guard metric with the key {metric.key}. Change that one, or choose another "
            "key.",
            key=metric.key,
        ) from error


def _write(metric: GuardMetric, *, now: datetime) -> None:
    metric.changed_at = now
    with governed_write(metric.project_id):
        metric.save()


def _record(action: Action, metric: GuardMetric, *, actor: Actor, now: datetime, **data: Any) -> None:
    trail.record(
        action,
        actor=actor,
        target=trail.Target("guard_metric", str(metric.pk), metric.name),
        now=now,
        project_id=metric.project_id,
        project_key=metric.project.key,
        data={"key": metric.key, **data},
    )
