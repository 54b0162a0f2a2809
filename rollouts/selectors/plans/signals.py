"""What stands in the way of running plans from outside: incidents, kill lists, flags that somebody else changed.

Whatever is found here holds the next stage back and never stops a way back.
"""

import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Q

from flags.models import Environment, FlagConfig
from flags.selectors.kills import open_kills
from rollouts.models import Incident, PlanFlag, RolloutPlan
from rollouts.selectors.plans.ground import left_as

MOVED_GROUND = "plan_moved_ground"
INCIDENT = "incident_open"
FORCED = "flag_forced"
UNCONSENTED = "plan_without_consent"

Present = Mapping[str, tuple[int, str]]
_ABSENT = (0, "")


@dataclass(frozen=True, slots=True)
class Signal:
    """Something that holds a plan: a stable code, a sentence for people, and facts that name no person. `at_start` is
    the sentence for a plan that is not under way yet.
    """

    code: str
    message: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    at_start: str = ""

    @property
    def detail(self) -> dict[str, Any]:
        """What a plan keeps of it."""
        return {"message": self.message, **self.facts}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What many plans meet, read at once. `present` is the version and digest of each plan's flags by plan and key."""

    present: Mapping[uuid.UUID, Present]
    incidents: Sequence[Incident]
    forced: Mapping[tuple[uuid.UUID, str], str]


def surroundings_of(plans: Collection[RolloutPlan], *, now: datetime) -> Surroundings:
    """Flags, incidents and kill lists of all these plans: four queries."""
    environments = {plan.environment_id for plan in plans}
    projects = {plan.project_id for plan in plans}
    incidents = _open_incidents(environments, projects, now=now)
    return Surroundings(_present(plans), incidents, _forced_on(environments))


def signal_of(plan: RolloutPlan, surroundings: Surroundings) -> Signal | None:
    """The gravest thing that stands in the way of the plan's next stage; None for nothing."""
    return (
        _unconsented(plan)
        or _moved_ground(plan, surroundings.present[plan.pk])
        or _forced(plan.environment, plan.definition["flags"], surroundings.forced)
        or _incident(plan.environment, surroundings.incidents)
    )


def outside_signal_of(plan: RolloutPlan, *, now: datetime) -> Signal | None:
    """The kill list or the incident that holds one plan: two queries."""
    return next(iter(outside_signals(plan.environment, plan.definition["flags"], now=now)), None)


def outside_signals(environment: Environment, flag_keys: Collection[str], *, now: datetime) -> list[Signal]:
    """The kill list and the incident that hold whatever moves these flags in the environment: two queries."""
    incidents = _open_incidents({environment.pk}, {environment.project_id}, now=now)
    found = (_forced(environment, flag_keys, _forced_on([environment.pk])), _incident(environment, incidents))
    return [signal for signal in found if signal is not None]


def _open_incidents(
    environments: Collection[uuid.UUID], projects: Collection[uuid.UUID], *, now: datetime
) -> list[Incident]:
    about = Q(environment__in=environments) | Q(environment=None, project__in=projects)
    is_open = Q(closed_at=None) | Q(closed_at__gt=now)
    return list(Incident.objects.filter(about & is_open, opened_at__lte=now).order_by("opened_at"))


def _forced_on(environments: Collection[uuid.UUID]) -> dict[tuple[uuid.UUID, str], str]:
    """A host that forces each flag."""
    return {(kill.environment_id, kill.flag_key): kill.host for kill in open_kills(environments)}


def _present(plans: Collection[RolloutPlan]) -> dict[uuid.UUID, dict[str, tuple[int, str]]]:
    members = list(PlanFlag.objects.filter(plan__in=plans).values_list("plan_id", "environment_id", "flag_id"))
    environments, flags = {row[1] for row in members}, {row[2] for row in members}
    rows = FlagConfig.objects.filter(environment__in=environments, flag__in=flags)
    found = {
        (environment_id, flag_id): (key, version, digest)
        for environment_id, flag_id, key, version, digest in rows.values_list(
            "environment_id", "flag_id", "flag__key", "version", "digest"
        )
    }
    present: dict[uuid.UUID, dict[str, tuple[int, str]]] = defaultdict(dict, {plan.pk: {} for plan in plans})
    for plan_id, environment_id, flag_id in members:
        if config := found.get((environment_id, flag_id)):
            present[plan_id][config[0]] = (config[1], config[2])
    return present


def _unconsented(plan: RolloutPlan) -> Signal | None:
    if not plan.environment.is_protected or plan.request_id is not None:
        return None
    return Signal(
        UNCONSENTED,
        f"{plan.environment.name} is protected now, and nobody approved this plan. End it and propose a new one, or "
        "roll it back.",
    )


def _moved_ground(plan: RolloutPlan, present: Present) -> Signal | None:
    moved = [
        {"key": key, "base_version": known["version"], "current_version": present.get(key, _ABSENT)[0]}
        for key in plan.definition["flags"]
        if (known := left_as(plan, key))["digest"] != present.get(key, _ABSENT)[1]
    ]
    if not moved:
        return None
    names = ", ".join(f"“{item['key']}”" for item in moved)
    return Signal(
        MOVED_GROUND,
        f"Somebody else changed {names} in {plan.environment.name} since this plan last wrote there. Nothing is "
        "overwritten: put it back as the plan left it, or end this plan and make a new one.",
        {"moved": moved},
    )


def _forced(
    environment: Environment, flag_keys: Collection[str], forced: Mapping[tuple[uuid.UUID, str], str]
) -> Signal | None:
    keys = [key for key in flag_keys if (environment.pk, key) in forced]
    if not keys:
        return None
    names = ", ".join(f"“{key}”" for key in keys)
    said = f"A kill list forces {names} on {forced[environment.pk, keys[0]]}, so what is served there is not what"
    return Signal(
        FORCED,
        f"{said} this plan says. It goes on once the kill list is lifted.",
        {"flag_keys": keys},
        at_start=f"{said} a plan would say. No plan starts with {'it' if len(keys) == 1 else 'them'} before the kill "
        "list is lifted.",
    )


def _incident(environment: Environment, incidents: Sequence[Incident]) -> Signal | None:
    for incident in incidents:
        is_of_project = incident.environment_id is None and incident.project_id == environment.project_id
        if is_of_project or incident.environment_id == environment.pk:
            where = "the whole project" if is_of_project else environment.name
            said = f"The incident “{incident.title}” is open in {where}."
            return Signal(
                INCIDENT,
                f"{said} The plan goes on once it is closed.",
                {"incident_id": str(incident.pk)},
                at_start=f"{said} No plan starts there before it is closed.",
            )
    return None
