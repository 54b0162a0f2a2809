"""Who may read which part of the audit trail."""

import uuid
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import Client

from audits.scope import EVERYTHING, NOTHING, scope_of
from flags import snapshots
from flags.permissions import Role
from flags.services.tokens import IssuedToken, issue_token
from flags.snapshots import TokenFacts
from flagsite.audit_scope import audit_scope
from tests.factories import NOW, World, actor_of, make_world

EVENTS = "/api/v1/audit-events"


@pytest.fixture(autouse=True)
def _fresh_store() -> Iterator[None]:
    snapshots.store.reset()
    yield
    snapshots.store.reset()


@pytest.fixture
def world(db: None) -> World:
    return make_world()


def request_of(user: Any, auth: Any = None) -> Any:
    return SimpleNamespace(user=user, auth=auth)


def test_scope__superuser__is_everything(world: World):
    assert audit_scope(request_of(world.ada)) is EVERYTHING


@pytest.mark.parametrize("user", [None, AnonymousUser()])
def test_scope__nobody__is_nothing(user: Any):
    assert audit_scope(request_of(user)) is NOTHING


def test_scope__person_without_roles__is_nothing(world: World):
    assert audit_scope(request_of(world.otto)).is_empty


def test_scope__inactive_superuser__is_nothing(world: World):
    world.ada.is_active = False

    assert audit_scope(request_of(world.ada)) is NOTHING


def test_scope__person__is_what_they_may_look_at(world: World):
    other = make_world()
    world.grant(world.otto, world.staging, Role.VIEWER)
    other.grant(world.otto, other.production, Role.APPROVER)

    scope = audit_scope(request_of(world.otto))

    assert scope.project_keys == frozenset({world.project.key, other.project.key})
    assert scope.environments == frozenset({(world.project.key, "staging"), (other.project.key, "production")})


def test_scope__evaluate_token__is_nothing():
    facts = TokenFacts(uuid.uuid4(), "Shop", "evaluate", "shop", uuid.uuid4(), "production", None)

    assert audit_scope(request_of(None, facts)) is NOTHING


def test_scope__is_what_the_settings_name(world: World):
    assert scope_of(request_of(world.ada)) is EVERYTHING


def issue(world: World, scope: str) -> IssuedToken:
    return issue_token(
        world.production.pk, actor=actor_of(world.ada), name="Auditor", scope=scope, expires_at=None, now=NOW
    )


def read(**headers: str) -> Any:
    return Client().get(EVENTS, headers=headers)


def test_events__audit_token__reads_its_own_environment_only(world: World):
    make_world()
    flag = world.flag()
    world.serve(flag, world.production)
    secret = issue(world, "audit").secret

    response = read(**{"X-API-Key": secret})

    assert response.status_code == 200
    events = response.json()["results"]
    assert "flag_config.applied" in {event["action"] for event in events}
    places = {(event["project"], event["environment"]) for event in events}
    assert places == {(world.project.key, "production")}


@pytest.mark.parametrize("scheme", ["X-API-Key", "Authorization"])
def test_events__evaluate_token__is_forbidden(scheme: str, world: World):
    secret = issue(world, "evaluate").secret

    response = read(**{scheme: secret if scheme == "X-API-Key" else f"Bearer {secret}"})

    assert response.status_code == 403
    assert response.json()["code"] == "wrong_scope"


def test_events__no_or_unknown_token__is_unauthorized(world: World):
    for headers in ({}, {"X-API-Key": "fsa_unknown"}):
        response = read(**headers)

        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        assert response.headers["Content-Type"] == "application/problem+json"
