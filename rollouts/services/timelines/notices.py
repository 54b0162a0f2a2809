"""Mail about the end of a flag: to whoever answers for it, for its timeline, and for the services that still ask."""

import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.urls import reverse

from flags import permissions
from flags.models import ServiceOwner
from flags.selectors.teams import members
from flags.telemetry.labels import ALL_AT_ONCE, said
from rollouts.deprecations.ahead import milestones_ahead
from rollouts.deprecations.definition import TimelineDefinition
from rollouts.deprecations.gating import Reached
from rollouts.models import DeprecationTimeline
from rollouts.selectors.timelines.residual import residual_evaluations, residual_services
from rollouts.services.mails import tell

# How far back somebody counts as still using the flag.
USED_WITHIN_DAYS = 14
MOST_NAMED = 20


def tell_about(
    timeline: DeprecationTimeline, *, what: str, lines: Iterable[str], now: datetime
) -> dict[str, list[str]]:
    """Mail everybody concerned once this transaction is committed, with who still evaluates the flag.

    The ids of the people and the names of the services, for the evidence.
    """
    services = residual_services(timeline.environment_id, timeline.flag.key, days=USED_WITHIN_DAYS, now=now)
    people = concerned(timeline, services)
    tell(
        people,
        subject=f"{timeline.flag.key} in {timeline.environment.name}: {what}",
        lines=[
            *lines,
            _use_words(timeline, services, now=now),
            f"{timeline.label}, project {timeline.project.name}, environment {timeline.environment.name}.",
        ],
        address=reverse("admin:rollouts_deprecationtimeline_change", args=[timeline.pk]),
    )
    return {"told": sorted(str(person.pk) for person in people), "services": services[:MOST_NAMED]}


def coming_words(definition: TimelineDefinition, number: int, *, reached: Reached | None, now: datetime) -> list[str]:
    """What comes after a milestone, and when; nothing after the last one."""
    ahead = milestones_ahead(definition, number, reached=reached, now=now)
    coming = next((one for one in ahead if one.earliest_at is not None), None)
    if coming is None:
        return []
    return [f"Next: {coming.sentence[:1].lower()}{coming.sentence[1:]}"]


def concerned(timeline: DeprecationTimeline, services: Iterable[str]) -> list[Any]:
    """Who owns the flag, made or started the timeline, releases in its environment or answers for these services.

    Who made, started or owns it is told only while he may see the environment; owners of services are told in any case.
    """
    releasing = permissions.people_with(timeline.environment, permissions.APPLY)
    owners = ServiceOwner.objects.filter(project=timeline.project_id, service__in=list(services))
    answering = list(owners.values_list("person_id", "team_id"))
    seeing = {person.pk for person in permissions.people_with(timeline.environment, permissions.VIEW)}
    made_by = [timeline.created_by_id, *_person_ids(timeline.started_by_id), timeline.flag.owner_id]
    ids = [pk for pk in made_by if pk in seeing] + [person_id for person_id, _ in answering]
    involved = get_user_model().objects.filter(pk__in=[one for one in ids if one], is_active=True)
    teams = [one for one in (timeline.flag.owner_team_id, *(team_id for _, team_id in answering)) if one]
    grouped = [person for group in members(teams).values() for person in group] if teams else []
    return list({person.pk: person for person in [*releasing, *involved, *grouped]}.values())


def _use_words(timeline: DeprecationTimeline, services: list[str], *, now: datetime) -> str:
    days, key = USED_WITHIN_DAYS, timeline.flag.key
    if services == [ALL_AT_ONCE]:
        return (
            f"Clients that ask for all flags at once got {key} here in the last {days} days, and nobody can tell from "
            "here whether they use it. Look for its key in their code."
        )
    if services:
        named = ", ".join(map(said, services[:MOST_NAMED])) + (" and others" if len(services) > MOST_NAMED else "")
        return f"These services evaluated {key} here in the last {days} days: {named}. Take the flag out of their code."
    if residual_evaluations(timeline.environment_id, key, days=days, now=now) is None:
        return f"No service reported evaluations here in the last {days} days, so nobody can say who still uses {key}."
    return f"No service evaluated {key} here in the last {days} days."


def _person_ids(actor_id: str) -> list[uuid.UUID]:
    """A rule of the system that started a timeline has a name instead of the id of a person."""
    try:
        return [uuid.UUID(actor_id)]
    except ValueError:
        return []
