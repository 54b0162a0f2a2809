"""Keys that no flag answers, in the inbox of stale flags and over the API: what stands there, and who sees it."""

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from flags.models import Environment, FlagUse, UnknownKey
from flags.permissions import Role
from flags.selectors.asked_for import asked_for, say_what_was_meant
from flags.telemetry.unknown_keys import FURTHER, HIDDEN
from rollouts.admin.stale.vain import MOST_SHOWN
from rollouts.services.retirement import archive_flag
from tests.factories import NOW, World, actor_of, make_served_world, make_world
from tests.rollouts.test_change_request_api import client_of
from tests.support.admin import signed_in, text_of

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
LATER = NOW + 40 * DAY
INBOX = "admin:rollouts_staleverdict_changelist"


@pytest.fixture(autouse=True)
def _now() -> Any:
    with time_machine.travel(LATER, tick=False):
        yield


@pytest.fixture
def world() -> World:
    return make_served_world()


def asks(place: Environment, key: str, *, service: str = "shop", count: int = 7, days_ago: float = 1) -> None:
    at = LATER - days_ago * DAY
    UnknownKey.objects.create(
        environment=place, key=key, service=service, version="7", first_at=at - DAY, last_at=at, count=count
    )


def inbox(person: Any, world: World) -> str:
    return text_of(signed_in(person).get(reverse(INBOX) + f"?project={world.project.key}"))


def read(client: Client, world: World, rest: str = "") -> Any:
    return client.get(f"/api/v1/projects/{world.project.key}/unknown-keys{rest}")


def keys(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [item["key"] for item in response.json()["results"]]


def test_inbox__nothing_asked_for_in_vain__has_no_section(world: World) -> None:
    assert "there is no such flag" not in inbox(world.rita, world)


def test_inbox__key_of_no_flag__says_who_asks_what_was_meant_and_offers_to_create_it(world: World) -> None:
    asks(world.production, "checkout-redesing")
    asks(world.staging, "checkout-redesing", service="billing-api", count=1_200)
    asks(world.production, HIDDEN, count=3)
    asks(world.production, FURTHER, count=4)

    text = inbox(world.rita, world)

    assert "billing-api, shop asked for it in Staging and Production, and there is no such flag" in text
    assert "1,207 times" in text
    assert re.search(r'Did you mean <a href="[^"]+"><span class="fs-mono">checkout-redesign</span></a>\?', text)
    assert f"?project={world.project.key}&amp;key=checkout-redesing" in text
    assert re.search(r"cannot be shown, because they may name somebody: asked for 3 times", text)
    assert re.search(r"no room: asked for 4 times", text)


def test_inbox__link_to_create__fills_in_the_key(world: World) -> None:
    address = reverse("admin:flags_flag_add") + f"?project={world.project.key}&key=confetti"

    assert re.search(r'name="key" value="confetti"', text_of(signed_in(world.rita).get(address)))


def test_inbox__person_who_may_only_look__is_not_offered_to_create(world: World) -> None:
    asks(world.production, "confetti")

    text = inbox(world.vera, world)

    assert "confetti" in text
    assert "Create this flag" not in text


def test_inbox__environment_that_somebody_may_not_see__is_left_out(world: World) -> None:
    asks(world.production, "secret-launch")
    asks(world.staging, "open-beta")
    world.grant(world.otto, world.staging, Role.VIEWER)

    text = inbox(world.otto, world)

    assert "open-beta" in text
    assert "secret-launch" not in text


def test_inbox__archived_flag__is_said_to_be_archived(world: World) -> None:
    flag = world.flag("old-basket")
    archive_flag(flag.pk, actor=actor_of(world.rita), now=NOW, reason="Over")
    FlagUse.objects.create(
        environment=world.production,
        flag_key=flag.key,
        service="shop",
        version="7",
        first_at=NOW,
        last_at=LATER - DAY,
        is_unknown=True,
    )

    text = inbox(world.rita, world)

    assert "It was archived on 2 March 2026, so they use their code default. Its key is kept back." in text
    assert "Create this flag" not in text


def test_inbox__many_keys__shows_the_newest_in_few_queries(world: World, django_assert_max_num_queries: Any) -> None:
    for number in range(MOST_SHOWN + 5):
        asks(world.production, f"beta-{number}", days_ago=1 + number / 100)
    client = signed_in(world.rita)
    client.get(reverse(INBOX))

    with django_assert_max_num_queries(30):
        text = text_of(client.get(reverse(INBOX)))

    assert text.count("Create this flag</a>") == MOST_SHOWN
    assert "And 5 more keys" in text


def test_asked_for__key_that_became_a_flag_or_nobody_asks_for__is_left_out(
    world: World, django_assert_num_queries: Any
) -> None:
    asks(world.production, "checkout-redesign")
    asks(world.production, "long-ago", days_ago=31)
    asks(world.production, "confetti")

    with django_assert_num_queries(4):
        found = asked_for(world.project, [world.production], now=LATER)
    with django_assert_num_queries(1):
        say_what_was_meant(world.project, found.lines)

    assert [(line.key, line.meant, line.count) for line in found.lines] == [("confetti", None, 7)]


def test_api__token__reads_its_environment_page_by_page(world: World) -> None:
    for key in ("c-c", "a-a", "b-b"):
        asks(world.production, key)
    asks(world.staging, "elsewhere")
    asks(world.production, HIDDEN, count=3)
    client = client_of(world)

    first = read(client, world, "?page_size=2")
    rest = client.get(first.json()["next"])

    assert (keys(first), keys(rest)) == (["a-a", "b-b"], ["c-c"])
    assert rest.json()["next"] is None
    assert first.json()["hidden"] == {"count": 3, "lastAt": "2026-04-10T09:00:00Z"}
    assert first.json()["further"] == {"count": 0, "lastAt": None}


def test_api__line__says_why_and_what_was_meant(world: World) -> None:
    asks(world.production, "checkout_redesign")

    line = read(client_of(world), world).json()["results"][0]

    assert line["asking"] == [
        {
            "environment": "production",
            "service": "shop",
            "version": "7",
            "firstAt": "2026-04-09T09:00:00Z",
            "lastAt": "2026-04-10T09:00:00Z",
            "count": 7,
        }
    ]
    del line["asking"]
    assert line == {
        "key": "checkout_redesign",
        "code": "unknown_key",
        "sentence": "shop asked for it in Production, and there is no such flag: they use their code default.",
        "firstAt": "2026-04-09T09:00:00Z",
        "lastAt": "2026-04-10T09:00:00Z",
        "count": 7,
        "meant": "checkout-redesign",
        "archivedAt": None,
        "isKeptBack": False,
    }


def test_api__person__reads_environments_with_a_role(world: World) -> None:
    asks(world.production, "secret-launch")
    asks(world.staging, "open-beta")
    world.grant(world.otto, world.staging, Role.VIEWER)

    assert keys(read(signed_in(world.otto), world)) == ["open-beta"]
    assert keys(read(signed_in(world.vera), world)) == ["open-beta", "secret-launch"]


def test_api__who_may_not_read__gets_nothing(world: World) -> None:
    asks(world.production, "secret-launch")
    other = make_world("another-shop")

    assert read(signed_in(world.otto), world).status_code == 404
    assert read(client_of(other), world).status_code == 404
    assert read(Client(), world).status_code == 401
    assert read(client_of(world), world, "?reason=x").status_code == 400
    assert read(client_of(world), world, "?cursor=%00").status_code == 400
