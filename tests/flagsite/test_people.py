"""Accounts: made, corrected and ended through one service, with evidence that names nobody."""

import json
from typing import Any

import pytest
from django.urls import reverse

from audits.models import AuditEvent
from flags.errors import AlreadyExists, InvalidInput, PermissionMissing
from flags.permissions import Role
from flagsite.models import User
from flagsite.people import change_password, change_person, create_person
from tests.factories import NOW, World, actor_of, make_world
from tests.support.admin import signed_in, text_of

PASSWORD = "a long and unusual phrase"
NEW: dict[str, Any] = {
    "username": "noor", "first_name": "Noor", "last_name": "Haddad", "email": "noor@example.test", "password": PASSWORD,
}  # fmt: skip


@pytest.fixture
def world(db: None) -> World:
    """A project and its cast; Ada is the only site administrator."""
    return make_world()


def test_create__site_administrator__makes_an_account_without_any_right(world: World) -> None:
    person = create_person(actor=actor_of(world.ada), now=NOW, **NEW)

    assert person.check_password(PASSWORD)
    assert (person.is_staff, person.is_superuser, person.is_active) == (True, False, True)
    event = AuditEvent.objects.get(action="user.created")
    assert (event.chain, event.target_id) == ("site", str(person.pk))


def test_evidence__of_accounts__holds_no_name(world: World) -> None:
    person = create_person(actor=actor_of(world.ada), now=NOW, **NEW)
    change_person(person.pk, actor=actor_of(world.ada), now=NOW, last_name="Renamed", email="other@example.test")

    kept = json.dumps(list(AuditEvent.objects.filter(target_id=str(person.pk)).values()), default=str)

    assert not any(word in kept for word in ("Noor", "noor", "Haddad", "Renamed", "other@example.test", PASSWORD))


@pytest.mark.parametrize("role", ["rita", "abel", "vera"])
def test_accounts__not_a_site_administrator__are_refused(world: World, role: str) -> None:
    world.grant(getattr(world, role), world.production, Role.ADMINISTRATOR)
    actor = actor_of(getattr(world, role))

    with pytest.raises(PermissionMissing):
        create_person(actor=actor, now=NOW, **NEW)
    with pytest.raises(PermissionMissing):
        change_person(world.otto.pk, actor=actor, now=NOW, email="x@example.test")
    with pytest.raises(PermissionMissing):
        change_password(world.ada.pk, actor=actor, password=PASSWORD, now=NOW)


@pytest.mark.parametrize(
    "field", ["is_superuser", "is_staff", "username", "groups", "user_permissions", "password", "id"]
)
def test_change__field_that_gives_rights__is_refused(world: World, field: str) -> None:
    fields: dict[str, Any] = {field: True}

    with pytest.raises(InvalidInput):
        change_person(world.vera.pk, actor=actor_of(world.ada), now=NOW, **fields)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("username", "no spaces"),
        ("username", ""),
        ("username", "x" * 151),
        ("email", "nobody"),
        ("first_name", "a\x00b"),
        ("password", "short"),
        ("password", "password1234"),
        ("password", "noor@example.test"),
    ],
)
def test_create__something_wrong__names_the_field(world: World, field: str, value: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        create_person(actor=actor_of(world.ada), now=NOW, **{**NEW, field: value})

    assert {problem["path"] for problem in caught.value.facts["problems"]} == {field}
    assert not User.objects.filter(email=NEW["email"]).exists()


def test_create__name_taken__says_so(world: World) -> None:
    with pytest.raises(AlreadyExists):
        create_person(actor=actor_of(world.ada), now=NOW, **{**NEW, "username": world.vera.username})


def test_deactivate__person__is_signed_out_and_no_longer_counts(world: World) -> None:
    client = signed_in(world.abel)
    assert client.get(reverse("admin:index")).status_code == 200

    change_person(world.abel.pk, actor=actor_of(world.ada), now=NOW, is_active=False, reason="Left the company")

    assert client.get(reverse("admin:index")).status_code == 302
    event = AuditEvent.objects.get(action="user.deactivated")
    assert event.reason == "Left the company"


def test_deactivate__without_a_reason_or_oneself__is_refused(world: World) -> None:
    with pytest.raises(InvalidInput):
        change_person(world.abel.pk, actor=actor_of(world.ada), now=NOW, is_active=False)
    with pytest.raises(InvalidInput):
        change_person(world.ada.pk, actor=actor_of(world.ada), now=NOW, is_active=False, reason="Bye")

    assert not User.objects.filter(is_active=False).exists()


def test_change__nothing_new__records_nothing(world: World) -> None:
    change_person(world.vera.pk, actor=actor_of(world.ada), now=NOW, first_name="Vera", is_active=True)

    assert not AuditEvent.objects.filter(action__startswith="user.").exists()


def test_page__new_account__signs_in_and_sees_nothing(world: World, client: Any) -> None:
    response = signed_in(world.ada).post(reverse("admin:flagsite_user_add"), NEW)

    assert response.status_code == 302
    assert client.login(username="noor", password=PASSWORD)
    assert "You cannot see any project yet" in text_of(client.get(reverse("admin:flags_flag_changelist")))


def test_page__bad_password__keeps_the_rest_but_not_the_password(world: World) -> None:
    response = signed_in(world.ada).post(reverse("admin:flagsite_user_add"), {**NEW, "password": "short-one"})

    text = text_of(response)
    assert 'value="Haddad"' in text
    assert "short-one" not in text
    assert "too short" in text


def test_page__rights_sent_along__are_ignored(world: World) -> None:
    sent = {"first_name": "Vera", "is_active": "on", "is_superuser": "on", "is_staff": "", "groups": "1"}

    signed_in(world.ada).post(reverse("admin:flagsite_user_change", args=[world.vera.pk]), sent)

    world.vera.refresh_from_db()
    assert (world.vera.is_superuser, world.vera.is_staff) == (False, True)


def test_own_password__needs_the_present_one_and_keeps_this_session(world: World) -> None:
    client, other = signed_in(world.rita), signed_in(world.rita)
    address = reverse("admin:password_change")

    client.post(address, {"current": "wrong", "password": PASSWORD})
    world.rita.refresh_from_db()
    assert not world.rita.check_password(PASSWORD)

    client.post(address, {"current": world.rita.username, "password": PASSWORD})
    world.rita.refresh_from_db()
    assert world.rita.check_password(PASSWORD)
    assert client.get(reverse("admin:index")).status_code == 200
    assert other.get(reverse("admin:index")).status_code == 302
    assert AuditEvent.objects.filter(action="user.password_changed").count() == 1


def test_somebody_elses_password__through_ones_own_page__cannot_be_set(world: World) -> None:
    sent = {"current": world.rita.username, "password": PASSWORD, "user": str(world.ada.pk), "id": str(world.ada.pk)}

    signed_in(world.rita).post(reverse("admin:password_change"), sent)

    world.ada.refresh_from_db()
    assert not world.ada.check_password(PASSWORD)
