"""Environment tokens: the secret exists once, and only administrators issue and revoke."""

from datetime import timedelta
from typing import Any

import pytest

from audits.models import AuditEvent
from flags.errors import InvalidInput, PermissionMissing
from flags.models import EnvironmentToken
from flags.services.tokens import IssuedToken, issue_token, revoke_token
from flags.snapshots import hash_secret
from tests.factories import NOW, World, actor_of, make_world

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> World:
    return make_world()


def issue(world: World, **changes: Any) -> IssuedToken:
    fields: dict[str, Any] = {"name": "Checkout service", "scope": "evaluate", "expires_at": None, "now": NOW}
    return issue_token(world.production.pk, actor=actor_of(world.ada), **{**fields, **changes})


def test_issue_token__secret__is_stored_nowhere(world):
    issued = issue(world)

    row = EnvironmentToken.objects.values().get()
    events = "".join(f"{event.data}{event.target_label}" for event in AuditEvent.objects.all())
    assert row["secret_hash"] == hash_secret(issued.secret)
    assert issued.secret not in str(row) + events
    assert issued.secret.startswith(row["prefix"])
    assert len(issued.secret) > 40


@pytest.mark.parametrize(
    "changes",
    [
        {"scope": "everything"},
        {"name": " "},
        {"expires_at": NOW},
        {"expires_at": NOW - timedelta(days=1)},
        {"name": "x\0"},
    ],
)
def test_issue_token__bad_input__is_refused_and_nothing_stored(changes, world):
    with pytest.raises(InvalidInput):
        issue(world, **changes)

    assert not EnvironmentToken.objects.exists()


@pytest.mark.parametrize("name", ["rita", "abel", "rolf", "vera", "otto"])
def test_tokens__by_anybody_but_an_administrator__are_refused(name, world):
    issued = issue(world)
    actor = actor_of(getattr(world, name))

    with pytest.raises(PermissionMissing):
        issue_token(world.production.pk, actor=actor, name="x", scope="evaluate", expires_at=None, now=NOW)
    with pytest.raises(PermissionMissing):
        revoke_token(issued.token.pk, actor=actor, now=NOW, reason="x")

    assert EnvironmentToken.objects.get().revoked_at is None


def test_revoke_token__twice__records_once(world):
    issued = issue(world)

    for _ in range(2):
        revoke_token(issued.token.pk, actor=actor_of(world.ada), now=NOW, reason="Laptop stolen")

    assert AuditEvent.objects.filter(action="token.revoked").count() == 1
    assert EnvironmentToken.objects.get().revoked_at == NOW
