"""Incidents: who declares and closes them, and which are open when."""

import uuid
from typing import Any

import pytest

from audits.context import Actor
from audits.models import AuditEvent
from flags.errors import InvalidInput, NotFound, PermissionMissing
from flags.services.tokens import issue_token, revoke_token
from rollouts.models import Incident
from rollouts.selectors.incidents import open_incidents, open_incidents_for
from rollouts.services.incidents import close_incident, open_incident
from tests.factories import NOW, World, actor_of, make_world
from tests.rollouts.calendars import HOUR


def declare(world: World, actor: Any, **fields: Any) -> Incident:
    fields = {
        "title": "Checkout is down",
        "severity": "critical",
        "link": "",
        "environment": world.production,
        **fields,
    }
    place = fields.pop("environment")
    return open_incident(
        world.project.pk,
        environment_id=place.pk if place else None,
        actor=actor,
        now=fields.pop("now", NOW),
        **fields,
    )


def service(world: World, environment: Any = None, *, scope: str = "manage") -> Actor:
    place = environment or world.production
    issued = issue_token(place.pk, actor=actor_of(world.ada), name="Pager", scope=scope, expires_at=None, now=NOW)
    return Actor.service(issued.token.pk, "Pager")


@pytest.mark.parametrize(
    ("name", "declares", "closes"),
    [
        ("ada", True, True),
        ("rolf", True, True),
        ("rita", True, False),
        ("abel", True, False),
        ("vera", False, False),
        ("otto", False, False),
    ],
)
def test_incident__people__declare_and_close_by_role(world: World, name: str, declares: bool, closes: bool) -> None:
    person = actor_of(getattr(world, name))
    if declares:
        assert declare(world, person).opener == person.label
    else:
        with pytest.raises(PermissionMissing):
            declare(world, person)
    incident = declare(world, actor_of(world.ada), title="Another")
    if closes:
        assert close_incident(incident.pk, actor=person, reason="Fixed", now=NOW).closed_at == NOW
    else:
        with pytest.raises(PermissionMissing):
            close_incident(incident.pk, actor=person, reason="Fixed", now=NOW)


@pytest.mark.parametrize(
    ("before", "again", "severity"),
    [("minor", "critical", "critical"), ("critical", "minor", "critical"), ("major", "major", "major")],
)
def test_incident__declared_again__is_raised_and_never_milder(
    world: World, before: str, again: str, severity: str
) -> None:
    first = declare(world, service(world), severity=before)

    assert declare(world, actor_of(world.rita), severity=again).pk == first.pk

    first.refresh_from_db()
    assert first.severity == severity
    raised = AuditEvent.objects.filter(action="incident.raised")
    assert [event.details["severity"] for event in raised] == ([severity] if severity != before else [])


def test_incident__declared_twice__is_one(world: World) -> None:
    first = declare(world, actor_of(world.rita))

    assert declare(world, actor_of(world.ada)).pk == first.pk
    assert AuditEvent.objects.filter(action="incident.opened").count() == 1
    close_incident(first.pk, actor=actor_of(world.ada), reason="Fixed", now=NOW)
    close_incident(first.pk, actor=actor_of(world.ada), reason="Fixed", now=NOW)
    assert AuditEvent.objects.filter(action="incident.closed").count() == 1
    assert declare(world, actor_of(world.ada)).pk != first.pk


def test_incident__service__declares_and_closes_in_its_own_environment(world: World) -> None:
    pager = service(world)

    incident = declare(world, pager)

    assert (incident.opener, incident.opened_by) == ("Pager", None)
    assert close_incident(incident.pk, actor=pager, reason="Fixed", now=NOW).closed_by_service == "Pager"


def test_incident__service__reaches_no_further(world: World) -> None:
    pager = service(world)
    by_person = declare(world, actor_of(world.ada))

    for place in (world.staging, None):
        with pytest.raises(PermissionMissing):
            declare(world, pager, environment=place)
    with pytest.raises(PermissionMissing, match="a person closes it"):
        close_incident(by_person.pk, actor=pager, reason="Fixed", now=NOW)
    with pytest.raises(PermissionMissing):
        declare(world, service(world, scope="evaluate"), title="Other")
    revoke_token(uuid.UUID(pager.id), actor=actor_of(world.ada), reason="Test", now=NOW)
    with pytest.raises(PermissionMissing):
        declare(world, pager, title="Other")


@pytest.mark.parametrize(
    "fields",
    [
        {"title": ""},
        {"title": "x" * 201},
        {"severity": "catastrophic"},
        {"link": "javascript:alert(1)"},
        {"link": "https://"},
        {"link": "https://[broken"},
        {"link": "x" * 501},
    ],
)
def test_incident__unusable_value__is_refused(world: World, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        declare(world, actor_of(world.ada), **fields)


def test_incident__environment_of_another_project__is_not_found(world: World) -> None:
    other = make_world("elsewhere")

    with pytest.raises(NotFound):
        declare(world, actor_of(world.ada), environment=other.production)


def test_open_incidents__by_place_and_instant__the_worst_first(world: World) -> None:
    minor = declare(world, actor_of(world.ada), title="Slow", severity="minor", environment=None)
    critical = declare(world, actor_of(world.ada), now=NOW + HOUR)
    declare(world, actor_of(world.ada), title="Staging", environment=world.staging)
    close_incident(minor.pk, actor=actor_of(world.ada), reason="Fixed", now=NOW + 2 * HOUR)

    def titles(hours: int) -> list[str]:
        return [found.title for found in open_incidents(world.production, now=NOW + hours * HOUR)]

    assert titles(0) == ["Slow"]
    assert titles(1) == ["Checkout is down", "Slow"]
    assert titles(2) == [critical.title]
    assert [found.title for found in open_incidents_for(world.vera, now=NOW)] == ["Staging", "Slow"]
    assert open_incidents_for(world.otto, now=NOW) == []
