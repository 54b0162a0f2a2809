"""What there is, in the form of a manifest: the same number of queries for any number of flags."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model

from flags.models import Environment, EnvironmentUserGrant, Flag, FlagConfig, Project, Segment, Team
from rollouts.deprecations.transitions import ENDED_STATES as ENDED_TIMELINES
from rollouts.manifest.checking import Known
from rollouts.manifest.diffing import mark
from rollouts.manifest.rules import renamed
from rollouts.manifest.schema import SETTINGS, VERSION
from rollouts.models import ApprovalPolicy, DeprecationTimeline, PlanTemplate, PolicyRule, RolloutPlan
from rollouts.plans.transitions import ENDED_STATES as ENDED_PLANS
from rollouts.policies import Policy
from rollouts.selectors.timelines.ground import is_readable


@dataclass(frozen=True, slots=True)
class Present:
    """A project as it is. `manifest` says everything; `past` marks plans and timelines that have ended.

    `versions` are those of configs and segments, by environment, “config” or “segment”, and key; `people` are ids by
    user name, whoever it is, `members` the user names of active people with a role in the project, `teams` ids by key.
    """

    project: Project
    environments: Mapping[str, Environment]
    manifest: Mapping[str, Any]
    past: frozenset[str]
    versions: Mapping[tuple[str, str, str], int]
    known: Known
    people: Mapping[str, str]
    members: frozenset[str]
    teams: Mapping[str, str]


def present_state(project: Project, *, only: Collection[str] | None = None) -> Present:
    """The project as it is now; `only` are keys of environments, None for all of them."""
    rows = Environment.objects.select_related("project").filter(project=project).order_by("position", "key")
    places = {row.key: row for row in rows if only is None or row.key in only}
    names = {str(pk): name for pk, name in get_user_model().objects.order_by("pk").values_list("pk", "username")}
    teams = {str(pk): key for pk, key in Team.objects.filter(project=project).values_list("pk", "key")}
    flags = _flags(project, names)
    described: dict[str, dict[str, Any]] = {key: _settings(row) for key, row in places.items()}
    versions: dict[tuple[str, str, str], int] = {}
    _add_policies(described, places, names)
    _add_segments(described, places, versions)
    _add_configs(described, places, versions)
    past = {*_add_plans(described, places), *_add_timelines(described, places)}
    manifest = {
        "version": VERSION,
        "project": {"key": project.key, "name": project.name, "description": project.description},
        "flags": flags,
        "environments": described,
        "policy_rules": _rules(project, names, teams),
        "plan_templates": _templates(project),
    }
    known = Known(
        {key: (entry["value_type"], entry.get("value_schema")) for key, entry in flags.items()},
        {key: tuple(entry["segments"]) for key, entry in described.items()},
    )
    people, by_key = ({name: pk for pk, name in found.items()} for found in (names, teams))
    return Present(project, places, manifest, frozenset(past), versions, known, people, _members(project), by_key)


def _members(project: Project) -> frozenset[str]:
    grants = EnvironmentUserGrant.objects.filter(content_object__project=project, user__is_active=True)
    return frozenset(grants.values_list("user__username", flat=True))


def _flags(project: Project, names: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    rows = Flag.objects.filter(project=project).select_related("owner_team").order_by("key")
    found = {}
    for row in rows:
        schema = {} if row.value_schema is None else {"value_schema": row.value_schema}
        found[row.key] = {
            "name": row.name,
            "description": row.description,
            "kind": row.kind,
            "value_type": row.value_type,
            **schema,
            "owner": names.get(str(row.owner_id)),
            "team": row.owner_team.key if row.owner_team else None,
            "tags": row.tags,
            "links": row.links,
        }
    return found


def _settings(row: Environment) -> dict[str, Any]:
    facts: dict[str, Any] = {name: getattr(row, name) for name in SETTINGS}
    return {**facts, "segments": {}, "flags": {}, "plans": []}


def _add_policies(
    described: dict[str, dict[str, Any]], places: Mapping[str, Environment], names: Mapping[str, str]
) -> None:
    rows = {
        row.environment_id: row.as_policy() for row in ApprovalPolicy.objects.filter(environment__in=places.values())
    }
    for key, place in places.items():
        policy = rows.get(place.pk, Policy())
        described[key]["policy"] = {
            "required_approvals": policy.required_approvals,
            "named_approvers": sorted(names.get(person, person) for person in policy.named_approvers or ()),
            "expires_after_hours": policy.expires_after_hours,
        }


def _add_segments(
    described: dict[str, dict[str, Any]],
    places: Mapping[str, Environment],
    versions: dict[tuple[str, str, str], int],
) -> None:
    rows = Segment.objects.filter(environment__in=places.values()).order_by("key")
    for place, key, name, document, version in rows.values_list(
        "environment__key", "key", "name", "document", "version"
    ):
        described[place]["segments"][key] = {"name": name, "condition": document["condition"]}
        versions[place, "segment", key] = version


def _add_configs(
    described: dict[str, dict[str, Any]],
    places: Mapping[str, Environment],
    versions: dict[tuple[str, str, str], int],
) -> None:
    rows = FlagConfig.objects.filter(environment__in=places.values(), flag__replaced_at=None).order_by("flag__key")
    for place, key, document, version in rows.values_list("environment__key", "flag__key", "document", "version"):
        described[place]["flags"][key] = {"config": document}
        versions[place, "config", key] = version


def _add_plans(described: dict[str, dict[str, Any]], places: Mapping[str, Environment]) -> set[str]:
    """Of each title the newest plan that has not ended; the marks of those that have."""
    rows = RolloutPlan.objects.filter(environment__in=places.values()).order_by("number")
    live: dict[tuple[str, str], dict[str, Any]] = {}
    past = set()
    for row in rows.select_related("environment"):
        place = row.environment.key
        if row.current_state in ENDED_PLANS:
            past.add(mark(place, row.title, row.definition))
        else:
            live[place, row.title] = {"title": row.title, "reason": row.reason, "definition": row.definition}
    for (place, _), plan in live.items():
        described[place]["plans"].append(plan)
    return past


def _add_timelines(described: dict[str, dict[str, Any]], places: Mapping[str, Environment]) -> set[str]:
    """Of each flag the newest timeline that has not ended and can be read; the marks of those that have ended."""
    rows = DeprecationTimeline.objects.filter(environment__in=places.values(), flag__replaced_at=None)
    past = set()
    for row in rows.select_related("environment", "flag").order_by("number"):
        place, key = row.environment.key, row.flag.key
        if row.current_state in ENDED_TIMELINES:
            past.add(mark(place, key, row.definition))
        elif is_readable(row):
            entry = described[place]["flags"].setdefault(key, {})
            entry["timeline"] = {"reason": row.reason, "definition": row.definition}
    return past


def _rules(project: Project, names: Mapping[str, str], teams: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    return {
        row.key: renamed(
            row.document,
            team=lambda found: teams.get(found, found),
            person=lambda found: names.get(found, found),
        )
        for row in PolicyRule.objects.filter(project=project).order_by("key")
    }


def _templates(project: Project) -> dict[str, dict[str, Any]]:
    """The newest version of every template that is offered."""
    newest = {row.key: row for row in PlanTemplate.objects.filter(project=project).order_by("key", "version")}
    return {
        key: {"name": row.name, "description": row.description, "kinds": row.kinds, "definition": row.definition}
        for key, row in newest.items()
        if not row.is_retired
    }
