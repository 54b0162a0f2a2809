"""Sign-ins in the trail: who came and went, who tried, and never what was typed."""

import json
from typing import Any

import pytest
from django.contrib.auth.signals import user_login_failed
from django.db import OperationalError
from django.test import Client, RequestFactory

from audits.actions import Action
from audits.models import AuditEvent
from audits.selectors import attach_names
from audits.sentences import sentence_of
from tests.factories import make_person

pytestmark = pytest.mark.django_db
LOGIN = "/admin/login/"


def events() -> list[AuditEvent]:
    return attach_names(AuditEvent.objects.order_by("sequence"))


def test_sign_in_and_out__person__are_events_of_the_site() -> None:
    person, client = make_person("mira"), Client()
    client.post(LOGIN, {"username": person.username, "password": person.username})
    client.post("/admin/logout/")

    found = events()
    assert [event.action for event in found] == [Action.USER_SIGNED_IN, Action.USER_SIGNED_OUT]
    assert {(event.chain, event.actor_id, event.target_id) for event in found} == {
        ("site", str(person.pk), str(person.pk))
    }
    assert sentence_of(found[0]) == "Mira Test signed in"


@pytest.mark.parametrize("typed", ["mira", "nobody-here", "MyPassw0rd!", "\ud83d" * 2, "x" * 5000, ""])
def test_failed_sign_in__anything_typed__keeps_the_account_and_nothing_typed(typed: str) -> None:
    person = make_person("mira")
    username = person.username if typed == "mira" else typed
    request = RequestFactory().post(LOGIN)
    credentials = {"username": username, "password": "planted-secret"}
    user_login_failed.send(sender=__name__, credentials=credentials, request=request)

    for event in events():
        assert event.action == Action.USER_SIGN_IN_FAILED
        assert event.target_id == (str(person.pk) if typed == "mira" else "")
        facts = json.dumps(event.facts(), default=str)
        assert "planted-secret" not in facts
        assert not typed or typed not in facts or typed == "mira"
    assert len(events()) == (0 if "\ud83d" in typed else 1)


def test_failed_sign_in__through_the_page__is_recorded() -> None:
    person = make_person("mira")
    Client().post(LOGIN, {"username": person.username, "password": "wrong"})
    (event,) = events()
    assert sentence_of(event) == "Someone failed to sign in as Mira Test"


def test_sign_in__trail_cannot_be_written__happens_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr("flagsite.sign_ins.trail.record", broken)
    person, client = make_person("mira"), Client()
    response = client.post(LOGIN, {"username": person.username, "password": person.username})
    assert response.status_code == 302
    assert "_auth_user_id" in client.session
