"""Switching protection: a reason, the typed name for production, and only by administrators."""

from typing import Any

import pytest
from django.urls import reverse

from audits.models import AuditEvent
from flags.models import ContextAttribute, Environment
from flags.permissions import Role
from rollouts.models import SettingsProposal
from tests.factories import NOW, World
from tests.support.admin import signed_in, text_of


def door(environment: Environment) -> str:
    """The address that switches protection."""
    return reverse("admin:rollouts_setting_protection", args=[environment.pk])


def is_protected(environment: Environment) -> bool:
    """What the database says."""
    return Environment.objects.get(pk=environment.pk).is_protected


def test_protection__administrator_types_the_name__is_proposed_and_confirmed_by_another(world: World) -> None:
    world.grant(world.otto, world.production, Role.ADMINISTRATOR)
    sent = {"wanted": "open", "name": "Production", "reason": "Migration night"}

    response = signed_in(world.ada).post(door(world.production), sent)

    assert is_protected(world.production)
    proposal = SettingsProposal.objects.get()
    assert response["Location"] == reverse("admin:rollouts_settingsproposal_change", args=[proposal.pk])
    signed_in(world.otto).post(response["Location"], {"act": "confirm", "digest": proposal.digest})
    assert not is_protected(world.production)
    event = AuditEvent.objects.get(action="environment.protection_changed", via="admin")
    assert event.reason == "Migration night"


def test_protection__sole_administrator__is_told_what_to_do(world: World) -> None:
    client = signed_in(world.ada)

    shown = text_of(client.get(door(world.production)))
    sent = {"wanted": "open", "name": "Production", "reason": "Migration night"}
    refused = text_of(client.post(door(world.production), sent))

    assert "you are the only one" in shown
    assert "Give another person the role administrator in Production first" in refused
    assert "Migration night" in refused
    assert is_protected(world.production)


@pytest.mark.parametrize(
    "sent",
    [
        {"name": "Production"},
        {"reason": "Why not"},
        {"name": "production", "reason": "x"},
        {"name": "x", "reason": "x"},
    ],
)
def test_protection__production_without_name_or_reason__stays(world: World, sent: dict[str, Any]) -> None:
    response = signed_in(world.ada).post(door(world.production), {"wanted": "open", **sent})

    assert response.status_code == 200
    assert is_protected(world.production)


def test_protection__staging__needs_only_a_reason(world: World) -> None:
    signed_in(world.ada).post(door(world.staging), {"wanted": "protected", "reason": "Release week"})

    assert is_protected(world.staging)


def test_protection__sent_twice__does_not_switch_back(world: World) -> None:
    client = signed_in(world.ada)

    for _ in range(2):
        client.post(door(world.staging), {"wanted": "protected", "reason": "Release week"})

    assert is_protected(world.staging)
    assert AuditEvent.objects.filter(action="environment.protection_changed").count() == 1


@pytest.mark.parametrize("role", ["rita", "abel", "vera", "otto", "rolf"])
def test_protection__not_an_administrator__is_refused_in_a_sentence(world: World, role: str) -> None:
    world.grant(world.rolf, world.staging, Role.ADMINISTRATOR)
    sent = {"wanted": "open", "name": "Production", "reason": "Hurry"}

    response = signed_in(getattr(world, role)).post(door(world.production), sent)

    assert response.status_code == (404 if role == "otto" else 403)
    assert "Ask an administrator" in text_of(response) or role == "otto"
    assert is_protected(world.production)


def test_environment_page__explains_bucketing_and_offers_no_change(world: World) -> None:
    text = text_of(signed_in(world.ada).get(reverse("admin:flags_environment_change", args=[world.production.pk])))

    assert "would move users to other variants" in text
    assert "PRODUCTION" in text
    assert 'name="generation"' not in text


def test_project__site_administrator__creates_it_with_its_first_environment(world: World) -> None:
    client = signed_in(world.ada)

    first = client.post(reverse("admin:flags_project_add"), {"name": "Mobile", "key": "mobile", "description": ""})
    sent = {"name": "Live", "key": "live", "kind": "production", "is_protected": "on", "generation": "flagd-v3"}
    client.post(first["Location"], sent)

    environment = Environment.objects.get(project__key="mobile")
    assert (environment.name, environment.is_protected, environment.generation) == ("Live", True, "flagd-v3")
    assert AuditEvent.objects.filter(project_key="mobile").count() == 2


@pytest.mark.parametrize("role", ["rita", "vera", "rolf", "otto"])
def test_project__not_a_site_administrator__creates_nothing(world: World, role: str) -> None:
    world.grant(world.rolf, world.production, Role.ADMINISTRATOR)
    client = signed_in(getattr(world, role))
    sent = {"name": "Live", "key": "live", "kind": "production", "generation": "flagd-v2"}

    assert client.post(reverse("admin:flags_project_add"), sent).status_code == 403
    assert client.post(reverse("admin:flags_project_environment_add", args=[world.project.pk]), sent).status_code == 403
    assert Environment.objects.count() == 3


def test_project__key_taken__says_so_and_keeps_the_name(world: World) -> None:
    sent = {"name": "Second try", "key": world.project.key}

    text = text_of(signed_in(world.ada).post(reverse("admin:flags_project_add"), sent))

    assert "There is a project with the key" in text
    assert "Second try" in text


def strict_url(environment: Any) -> str:
    return reverse("admin:rollouts_setting_strict_mode", args=[environment.pk])


@pytest.mark.parametrize(
    ("role", "status"), [("ada", 200), ("rita", 403), ("abel", 403), ("rolf", 403), ("vera", 403), ("otto", 404)]
)
def test_strict_mode__every_role__shown_or_refused(world: World, role: str, status: int) -> None:
    client = signed_in(getattr(world, role))

    assert client.get(strict_url(world.staging)).status_code == status
    if status != 200:
        assert client.post(strict_url(world.staging), {"wanted": "strict", "reason": "R"}).status_code == status
        world.staging.refresh_from_db()
        assert not world.staging.requires_targeting_key


def test_strict_mode__open_environment__is_turned_on_and_off_with_a_reason(world: World) -> None:
    client, page = signed_in(world.ada), reverse("admin:flags_environment_change", args=[world.staging.pk])

    assert "Turn strict mode on" in text_of(client.get(page))
    client.post(strict_url(world.staging), {"wanted": "strict", "reason": "Keys are being forgotten"})
    world.staging.refresh_from_db()
    assert world.staging.requires_targeting_key
    assert "Turn strict mode off" in text_of(client.get(page))
    client.post(strict_url(world.staging), {"wanted": "lenient", "reason": "Not ready"})
    world.staging.refresh_from_db()
    assert not world.staging.requires_targeting_key


def test_sampling__open_environment__is_switched_on_and_off_and_says_what_is_kept(world: World) -> None:
    client, page = signed_in(world.ada), reverse("admin:flags_environment_change", args=[world.staging.pk])
    url = reverse("admin:rollouts_setting_context_sampling", args=[world.staging.pk])
    ContextAttribute.objects.create(project=world.project, name="country", value_type="text", created_at=NOW)

    assert "Nothing of those who ask here is kept" in text_of(client.get(page))
    assert "country" in text_of(client.get(url))
    client.post(url, {"wanted": "sampling", "reason": "Count over real people"})
    world.staging.refresh_from_db()
    assert world.staging.samples_contexts
    assert "Stop and delete" in text_of(client.get(page))
    client.post(url, {"wanted": "none", "reason": "Enough"})
    world.staging.refresh_from_db()
    assert not world.staging.samples_contexts


def test_sampling__protected_environment__on_waits_for_a_second_administrator(world: World) -> None:
    world.grant(world.otto, world.production, Role.ADMINISTRATOR)
    url = reverse("admin:rollouts_setting_context_sampling", args=[world.production.pk])
    client = signed_in(world.ada)

    assert "This takes two administrators" in text_of(client.get(url))
    response = client.post(url, {"wanted": "sampling", "reason": "Count over real people"}, follow=True)
    world.production.refresh_from_db()
    assert not world.production.samples_contexts
    assert "Sample contexts of" in text_of(response)


def test_strict_mode__without_a_reason__is_asked_for(world: World) -> None:
    response = signed_in(world.ada).post(strict_url(world.staging), {"wanted": "strict", "reason": ""})

    world.staging.refresh_from_db()
    assert "Fill this in." in text_of(response)
    assert not world.staging.requires_targeting_key


def test_strict_mode__protected_environment__is_proposed(world: World) -> None:
    world.grant(world.otto, world.production, Role.ADMINISTRATOR)
    client, page = signed_in(world.ada), reverse("admin:flags_environment_change", args=[world.production.pk])

    assert strict_url(world.production) in text_of(client.get(page))
    assert "This takes two administrators" in text_of(client.get(strict_url(world.production)))
    client.post(strict_url(world.production), {"wanted": "strict", "reason": "My reason"})

    assert (SettingsProposal.objects.get().kind, SettingsProposal.objects.get().reason) == ("strict_mode", "My reason")
    world.production.refresh_from_db()
    assert not world.production.requires_targeting_key
