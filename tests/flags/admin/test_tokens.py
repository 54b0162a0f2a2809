"""Tokens: the secret is on one page, once, and nowhere else."""

import logging

import pytest
from django.contrib.sessions.models import Session
from django.urls import reverse

from audits.models import AuditEvent
from flags.models import EnvironmentToken
from flags.permissions import Role
from flags.services.tokens import issue_token
from tests.factories import NOW, World, actor_of
from tests.support.admin import signed_in, text_of

SECRET_LENGTH = 47


def form(world: World, **fields: str) -> dict[str, str]:
    """A form that issues a token for production."""
    return {
        "environment": str(world.production.pk), "name": "Checkout", "scope": "evaluate", "lifetime": "90", **fields,
    }  # fmt: skip


def secret_in(text: str) -> str:
    """The secret on the page."""
    start = text.index('id="secret"')
    start = text.index("fse_", start)
    return text[start : text.index("<", start)]


def test_issue__secret__is_shown_once_and_kept_nowhere(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = signed_in(world.ada)

    response = client.post(reverse("admin:flags_environmenttoken_add"), form(world))

    secret = secret_in(text_of(response))
    assert len(secret) == SECRET_LENGTH
    assert "no-store" in response["Cache-Control"]
    token = EnvironmentToken.objects.get()
    assert secret not in str(token.__dict__)
    later = [
        text_of(client.get(reverse("admin:flags_environmenttoken_changelist"))),
        text_of(client.get(reverse("admin:flags_environmenttoken_add"))),
        text_of(client.get(reverse("admin:flags_environmenttoken_revoke", args=[token.pk]))),
        caplog.text,
        str([session.get_decoded() for session in Session.objects.all()]),
        str(list(AuditEvent.objects.values())),
    ]
    assert not any(secret in text or secret[10:] in text for text in later)


@pytest.mark.parametrize(
    ("lifetime", "days"), [("30", 30), ("90", 90), ("365", 365), ("", None)], ids=["30", "90", "365", "never"]
)
def test_issue__lifetime__ends_when_chosen(world: World, lifetime: str, days: int | None) -> None:
    signed_in(world.ada).post(reverse("admin:flags_environmenttoken_add"), form(world, lifetime=lifetime))

    token = EnvironmentToken.objects.get()
    lasts = token.expires_at - token.created_at if token.expires_at else None
    assert (lasts.days if lasts else None) == days


@pytest.mark.parametrize(
    "fields", [{"name": ""}, {"scope": "admin"}, {"lifetime": "36500"}, {"environment": "x"}, {"name": "\x07"}]
)
def test_issue__something_wrong__issues_nothing(world: World, fields: dict[str, str]) -> None:
    response = signed_in(world.ada).post(reverse("admin:flags_environmenttoken_add"), form(world, **fields))

    assert response.status_code == 200
    assert not EnvironmentToken.objects.exists()


def test_issue__administrator_of_staging_only__cannot_choose_production(world: World) -> None:
    world.grant(world.rolf, world.staging, Role.ADMINISTRATOR)
    client = signed_in(world.rolf)

    client.post(reverse("admin:flags_environmenttoken_add"), form(world))
    assert not EnvironmentToken.objects.exists()

    client.post(reverse("admin:flags_environmenttoken_add"), form(world, environment=str(world.staging.pk)))
    assert EnvironmentToken.objects.get().environment == world.staging


def test_revoke__reason_given__ends_the_token(world: World) -> None:
    issued = issue_token(
        world.production.pk, actor=actor_of(world.ada), name="Old", scope="evaluate", expires_at=None, now=NOW
    )
    door = reverse("admin:flags_environmenttoken_revoke", args=[issued.token.pk])
    client = signed_in(world.ada)

    client.get(door)
    client.post(door, {"reason": ""})
    assert EnvironmentToken.objects.get().revoked_at is None

    client.post(door, {"reason": "Leaked in a log"})
    assert EnvironmentToken.objects.get().revoked_at is not None
    assert "revoked already" in text_of(client.get(door))


@pytest.mark.parametrize("role", ["rita", "abel", "vera", "otto", "rolf"])
def test_revoke__not_an_administrator_there__is_not_found(world: World, role: str) -> None:
    world.grant(world.rolf, world.staging, Role.ADMINISTRATOR)
    issued = issue_token(
        world.production.pk, actor=actor_of(world.ada), name="Old", scope="evaluate", expires_at=None, now=NOW
    )
    door = reverse("admin:flags_environmenttoken_revoke", args=[issued.token.pk])

    response = signed_in(getattr(world, role)).post(door, {"reason": "Mine"})

    assert response.status_code == 404
    assert EnvironmentToken.objects.get().revoked_at is None
