"""The pages that go back: what they show before anything happens, and what the button does."""

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from flags.models import Environment, Flag, FlagConfig, Segment
from flags.services.configs import edit_config, edit_segment
from rollouts.models import ChangeRequest
from rollouts.selectors.verdicts import name_of
from rollouts.selectors.version_makers import Makers
from rollouts.transitions import RequestState
from tests.factories import NOW, World, actor_of, percent_document
from tests.rollouts.support import Bench, state_of
from tests.support.admin import signed_in, text_of

WHY = "Errors went up"
BETA = {"attribute": "plan", "operator": "equals", "value": "beta"}


def config(bench: Bench, environment: Environment | None = None) -> FlagConfig:
    return FlagConfig.objects.get(flag=bench.flag, environment=environment or bench.production)


def back_url(bench: Bench, version: int, route: str = "rollback", environment: Environment | None = None) -> str:
    place = environment or bench.production
    return reverse(f"admin:rollouts_changerequest_{route}", args=[bench.flag.pk, place.pk, version])


def seen_in(response: Any) -> str:
    found = re.search(r'name="seen" value="(\w+)"', response.content.decode())
    assert found
    return found[1]


def press(client: Any, url: str, **fields: Any) -> Any:
    """Open the page and send its form, as a person does."""
    return client.post(url, {"seen": seen_in(client.get(url)), "reason": WHY, **fields}, follow=True)


def words_of(page: str) -> str:
    """What stands on a page, in one line and in small letters."""
    return " ".join(re.sub(r"<[^>]*>", " ", page).split()).lower()


@pytest.fixture
def widened(bench: Bench) -> Bench:
    """Production served version 1, then 25 %, then 50 %."""
    for share in (25, 50):
        bench.world.serve(bench.flag, bench.production, percent_document(bench.flag.key, share))
    return bench


def test_roll_back__narrowing__page_says_at_once_and_the_button_does_it(widened: Bench) -> None:
    client, url = signed_in(widened.world.rita), back_url(widened, 2)

    page = text_of(client.get(url))
    done = text_of(press(client, url))

    assert (
        "or gets what the flag serves switched off, which counts as nothing new. So this takes effect at once" in page
    )
    assert "what only takes something back needs none" in page
    assert "nothing here changes without approval" not in page
    assert "who gets something else: checkout-redesign : the share of “on” goes from 50 % to 25 %" in words_of(page)
    assert "version 3 now, goes back to what version 2 held" in page
    assert re.search(r"Checked: Production serves it, \d+\.\d s after your click\.", done)
    assert config(widened).digest == config(widened).history.get(version=2).digest


def test_roll_back__widening__becomes_a_draft_on_its_own_page(widened: Bench) -> None:
    widened.world.serve(widened.flag, widened.production, percent_document(widened.flag.key, 5))
    client, url = signed_in(widened.world.rita), back_url(widened, 3)

    page = text_of(client.get(url))
    done = text_of(press(client, url))

    request = ChangeRequest.objects.get()
    assert "this becomes a draft that needs its approvals" in page
    assert f"#{request.number} Roll back checkout-redesign to version 3" in done
    assert (request.state, request.reason, config(widened).version) == ("draft", WHY, 4)


@pytest.mark.parametrize("fields", [{"seen": ""}, {"seen": "0" * 64}, {"reason": " "}])
def test_roll_back__form_that_is_not_the_pages_own__does_nothing(widened: Bench, fields: dict[str, str]) -> None:
    client, url = signed_in(widened.world.rita), back_url(widened, 2)

    response = client.post(url, {"seen": seen_in(client.get(url)), "reason": WHY, **fields})

    assert response.status_code == 400
    assert config(widened).version == 3


@pytest.mark.parametrize(("who", "status"), [("rita", 200), ("rolf", 200), ("abel", 403), ("vera", 403), ("otto", 404)])
@pytest.mark.parametrize("route", ["rollback", "undo"])
def test_roll_back__every_role__sees_the_page_or_not(widened: Bench, who: str, status: int, route: str) -> None:
    response = signed_in(getattr(widened.world, who)).get(back_url(widened, 2, route))

    assert response.status_code == status


def test_roll_back__no_such_version__is_not_found(widened: Bench) -> None:
    assert signed_in(widened.world.rita).get(back_url(widened, 9)).status_code == 404


def test_undo__changed_again_since__lists_what_and_offers_no_button(widened: Bench) -> None:
    page = text_of(signed_in(widened.world.rita).get(back_url(widened, 2, "undo")))

    assert "Changed again since: 1 thing cannot be put back" in page
    assert "the rule “everyone”" in page
    assert "Go back now" not in page


def test_request_page__live_request__is_rolled_back_from_there(bench: Bench) -> None:
    request = bench.approved()
    client = signed_in(bench.world.rolf)
    home = reverse("admin:rollouts_changerequest_change", args=[request.pk])
    url = reverse("admin:rollouts_changerequest_rollbackrequest", args=[request.pk])
    assert url in client.get(home).content.decode()

    done = text_of(press(client, url, back=[f"flag:{bench.flag.key}"]))

    assert state_of(request) is RequestState.ROLLED_BACK
    assert "<b>Rolled back.</b> It went live in Production" in done
    assert "rolled it back" in done
    assert url not in client.get(home).content.decode()


def test_restore__instant_chosen__previews_and_puts_back_what_is_ticked(bench: Bench) -> None:
    world, other = bench.world, bench.world.flag("search")
    for flag in (bench.flag, other):
        save(world, flag, percent_document(flag.key, 40), minutes=10)
    client = signed_in(world.rita)
    url = reverse("admin:rollouts_changerequest_restore", args=[world.development.pk])

    with time_machine.travel(NOW + timedelta(minutes=30), tick=False):
        asking = text_of(client.get(url))
        page = text_of(client.get(f"{url}?at=2026-03-02T09:05"))
        done = text_of(press(client, f"{url}?at=2026-03-02T09:05", back=["flag:search"]))

    assert "Show what would change" in asking
    assert "2 things change" in page
    assert "search: back in Development" in done
    versions = {row.flag.key: row.version for row in FlagConfig.objects.filter(environment=world.development)}
    assert versions == {"checkout-redesign": 2, "search": 3}


@pytest.mark.parametrize("at", ["2026-03-02T09:00", "2027-01-01T00:00", "yesterday", "0001-01-01T00:00"])
def test_restore__time_that_cannot_be__is_refused_in_a_sentence(bench: Bench, at: str) -> None:
    url = reverse("admin:rollouts_changerequest_restore", args=[bench.production.pk])

    response = signed_in(bench.world.rita).get(url, {"at": at})

    assert response.status_code in {200, 400}
    assert "Go back now" not in text_of(response)


def save(world: World, flag: Flag, document: dict[str, Any], *, minutes: int) -> None:
    edit_config(
        flag.pk,
        world.development.pk,
        actor=actor_of(world.rita),
        document=document,
        base_version=1,
        reason="Test",
        now=NOW + timedelta(minutes=minutes),
    )


def test_segment__earlier_version__is_compared_and_rolled_back_to(bench: Bench) -> None:
    world = bench.world
    for version, value in enumerate(("beta", "gold")):
        edit_segment(
            world.development.pk,
            actor=actor_of(world.rita),
            key="beta",
            name="Beta",
            document={"schema": 1, "condition": {**BETA, "value": value}},
            base_version=version,
            reason=f"Now {value}",
            now=NOW,
        )
    segment, client = Segment.objects.get(key="beta"), signed_in(world.rita)

    history = text_of(client.get(reverse("admin:flags_segment_history", args=[segment.pk])))
    press(client, reverse("admin:rollouts_changerequest_rollbacksegment", args=[segment.pk, 1]))

    assert "From version 1 to version 2" in history
    assert "“Now gold”" in history
    segment.refresh_from_db()
    assert (segment.version, segment.document["condition"]["value"]) == (3, "beta")


@pytest.mark.parametrize(("who", "status"), [("vera", 200), ("otto", 404)])
def test_segment_history__people_without_a_role__do_not_find_it(bench: Bench, who: str, status: int) -> None:
    edit_segment(
        bench.world.development.pk,
        actor=actor_of(bench.world.rita),
        key="beta",
        name="Beta",
        document={"schema": 1, "condition": BETA},
        base_version=0,
        reason="",
        now=NOW,
    )
    url = reverse("admin:flags_segment_history", args=[Segment.objects.get(key="beta").pk])

    assert signed_in(getattr(bench.world, who)).get(url).status_code == status
    assert signed_in(bench.world.vera).post(url).status_code == 405


def test_history__change_request__names_who_asked_and_who_approved(bench: Bench) -> None:
    bench.require(2)
    request = bench.submitted()
    bench.approve(request)
    bench.approve(request, by=bench.world.anna)
    rita, abel, anna = (name_of(person) for person in (bench.world.rita, bench.world.abel, bench.world.anna))

    url = reverse("admin:flags_config_history", args=[bench.flag.pk, bench.production.pk])
    words = words_of(text_of(signed_in(bench.world.vera).get(url)))

    assert f"{rita} approved by {abel} and {anna}; applied by the schedule".lower() in words


def test_history__more_requests__same_number_of_queries(bench: Bench) -> None:
    url = reverse("admin:flags_config_history", args=[bench.flag.pk, bench.production.pk])
    client = signed_in(bench.world.vera)
    bench.approve(bench.submitted(change_set=bench.content(20)))
    client.get(url)
    with CaptureQueriesContext(connection) as few:
        client.get(url)

    for share in (30, 40):
        bench.approve(bench.submitted(change_set=bench.content(share)))
    with CaptureQueriesContext(connection) as many:
        client.get(url)

    assert len(many) == len(few)


@pytest.mark.parametrize(
    ("approved", "applied_by", "words"),
    [
        (("Ben",), "the schedule", "approved by Ben; applied by the schedule"),
        (("Ben", "Nora", "Ada"), "Rolf", "approved by Ben, Nora and Ada; applied by Rolf"),
        ((), "Mira", ""),
        ((), "the schedule", "applied by the schedule"),
    ],
)
def test_history__makers__in_words(approved: tuple[str, ...], applied_by: str, words: str) -> None:
    assert Makers("Mira", approved).told(applied_by) == words


def test_history__other_environment__is_compared_side_by_side(widened: Bench) -> None:
    url = reverse("admin:flags_config_history", args=[widened.flag.pk, widened.production.pk])

    page = text_of(signed_in(widened.world.vera).get(f"{url}?from=development:1&to=3"))

    assert "From Development version 1 to version 3" in page


def test_history__environment_out_of_sight__is_not_compared(widened: Bench) -> None:
    world = widened.world
    world.grant(world.vera, world.development)
    url = reverse("admin:flags_config_history", args=[widened.flag.pk, widened.production.pk])

    page = text_of(signed_in(world.vera).get(f"{url}?from=development:1&to=3"))

    assert "Development" not in page
    assert "From version 2 to version 3" in page
