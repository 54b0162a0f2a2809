"""Settings to confirm through HTTP: who sees, confirms, declines and withdraws what."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from flags.models import Environment
from flags.permissions import Role
from rollouts.models import SettingsProposal
from rollouts.services.settings import propose_setting
from rollouts.settings_kinds import Scope
from tests.factories import World, actor_of, make_person, make_world
from tests.support.admin import HOSTILE, signed_in, text_of

LIST = "admin:rollouts_settingsproposal_changelist"


@pytest.fixture
def world(db: Any) -> World:
    world = make_world()
    world.grant(world.otto, world.production, Role.ADMINISTRATOR)
    return world


def proposed(world: World, *, by: Any = None, reason: str = "Migration night") -> SettingsProposal:
    proposal = propose_setting(
        "protection",
        Scope.of_environment(world.production),
        {"is_protected": False},
        actor=actor_of(by or world.ada),
        reason=reason,
        now=timezone.now(),
    )
    assert proposal is not None
    return proposal


def page_of(proposal: SettingsProposal) -> str:
    return reverse("admin:rollouts_settingsproposal_change", args=[proposal.pk])


def is_protected(world: World) -> bool:
    return Environment.objects.get(pk=world.production.pk).is_protected


def test_proposal__another_administrator__sees_the_difference_and_confirms(world: World) -> None:
    proposal = proposed(world)
    client = signed_in(world.otto)
    assert "Stop protecting Production" in text_of(client.get(reverse("admin:index")))
    assert "Stop protecting Production" in text_of(client.get(reverse(LIST)))

    page = text_of(client.get(page_of(proposal)))
    assert "Every editor can change Production alone" in page
    assert "Migration night" in page
    answer = client.post(page_of(proposal), {"act": "confirm", "digest": proposal.digest}, follow=True)

    assert "confirmed, and in force" in text_of(answer)
    assert not is_protected(world)


@pytest.mark.parametrize("digest", ["", "0" * 64])
def test_confirm__without_the_digest_that_was_seen__changes_nothing(world: World, digest: str) -> None:
    proposal = proposed(world)

    response = signed_in(world.otto).post(page_of(proposal), {"act": "confirm", "digest": digest})

    assert response.status_code == 200
    assert is_protected(world)


def test_proposal__own__offers_to_withdraw_but_not_to_confirm(world: World) -> None:
    proposal = proposed(world)
    client = signed_in(world.ada)

    page = text_of(client.get(page_of(proposal)))
    assert 'value="confirm"' not in page
    assert "another administrator has to confirm" in page
    assert "Otto Test" in page
    refused = client.post(page_of(proposal), {"act": "confirm", "digest": proposal.digest})
    assert "You proposed this" in text_of(refused)
    assert is_protected(world)
    client.post(page_of(proposal), {"act": "withdraw"})
    assert SettingsProposal.objects.get().state == "withdrawn"


def test_decline__with_and_without_a_reason(world: World) -> None:
    proposal = proposed(world)
    client = signed_in(world.otto)

    assert "Fill this in." in text_of(client.post(page_of(proposal), {"act": "decline", "reason": ""}))
    client.post(page_of(proposal), {"act": "decline", "reason": "Not before the sale"})

    assert "Not before the sale" in text_of(client.get(page_of(proposal)))
    assert is_protected(world)


@pytest.mark.parametrize("name", ["rita", "abel", "vera"])
@pytest.mark.parametrize("act", ["confirm", "decline", "withdraw", "", "explode"])
def test_every_act__others_with_a_role__are_shown_it_and_refused(world: World, name: str, act: str) -> None:
    proposal = proposed(world)
    client = signed_in(getattr(world, name))

    assert client.get(page_of(proposal)).status_code == 200
    sent = {"act": act, "digest": proposal.digest, "reason": "x"}
    assert client.post(page_of(proposal), sent).status_code == (
        403 if act in ("confirm", "decline", "withdraw") else 200
    )

    assert SettingsProposal.objects.get().state == "open"
    assert is_protected(world)


def test_proposal__outsider__does_not_exist(world: World) -> None:
    proposal = proposed(world)
    client = signed_in(make_person("olga"))

    assert client.get(page_of(proposal)).status_code == 404
    assert client.post(page_of(proposal), {"act": "confirm", "digest": proposal.digest}).status_code == 404
    assert "Stop protecting" not in text_of(client.get(reverse(LIST)))


def test_list__more_proposals__same_number_of_queries(world: World) -> None:
    proposed(world)
    client = signed_in(world.ada)
    client.get(reverse(LIST))
    with CaptureQueriesContext(connection) as few:
        client.get(reverse(LIST))

    other = make_world("other-shop")
    proposed(other, by=other.ada)
    with CaptureQueriesContext(connection) as many:
        client.get(reverse(LIST))

    assert len(many) == len(few)


def test_page__hostile_reason__is_escaped(world: World) -> None:
    text = text_of(signed_in(world.otto).get(page_of(proposed(world, reason=HOSTILE))))

    assert "<script>alert" not in text
    assert "<img src=x" not in text
