"""The pages that compare environments, promote, and note what differs on purpose; the panel on the request."""

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse

from flags.aspects import Aspect
from flags.models import Flag, FlagConfig
from rollouts.models import ChangeRequest, Drift, IntendedDifference
from rollouts.services.drift import refresh_drift
from rollouts.services.versions import roll_back_flag
from tests.factories import NOW, World, actor_of, percent_document
from tests.rollouts.admin.support import page_url
from tests.rollouts.test_promotion import chosen, promoted, serve
from tests.support.admin import HOSTILE, signed_in, text_of

LIST = reverse("admin:rollouts_intendeddifference_changelist")
LONG_AGO = NOW - timedelta(days=9)


@pytest.fixture
def apart(world: World) -> Flag:
    """A flag at 50 percent in development and staging and at 10 in production, for nine days."""
    flag = world.flag()
    world.serve(flag, world.production, percent_document(flag.key, 10))
    for environment in (world.development, world.staging):
        serve(world, environment, percent_document(flag.key, 50), at=LONG_AGO)
    refresh_drift(world.project.pk, now=NOW)
    Drift.objects.update(aspects={"rules": LONG_AGO.isoformat()}, since=LONG_AGO)
    return flag


def promote_url(
    world: World, source: str = "staging", target: str = "production", flag: str = "checkout-redesign"
) -> str:
    route = reverse("admin:rollouts_intendeddifference_promote", args=[world.project.pk])
    return f"{route}?from={source}&to={target}&flag={flag}"


def intend_url(flag: Flag, source: str = "production", target: str = "staging") -> str:
    return f"{reverse('admin:rollouts_intendeddifference_intend', args=[flag.pk])}?from={source}&to={target}"


def promote_fields(world: World, **changed: Any) -> dict[str, Any]:
    versions = {row.environment_id: row.version for row in FlagConfig.objects.filter(flag=world.first_flag)}
    key = world.first_flag.key
    return {
        "aspect": [f"rules:{key}"],
        "flag_version": [f"{versions[world.staging.pk]}:{versions[world.production.pk]}:{key}"],
        "title": "Promote the checkout",
        "reason": "It was fine",
        **changed,
    }


def test_compare__says_what_differs_and_offers_what_to_do(world: World, apart: Flag) -> None:
    page = text_of(signed_in(world.rita).get(f"{LIST}?project={world.project.key}"))

    assert "Of 1 flag, 1 differs without a reason." in page
    for words in ("Differs without a reason", "Promote", "Bring back", "It is intended"):
        assert words in page


def test_compare__viewer__sees_it_without_buttons(world: World, apart: Flag) -> None:
    page = text_of(signed_in(world.vera).get(f"{LIST}?project={world.project.key}"))

    assert "Differs without a reason" in page
    assert "pr-acts" not in page


@pytest.mark.parametrize(
    ("query", "is_found"),
    [
        ("state=unexplained", True),
        ("state=intended", False),
        ("q=checkout", True),
        ("q=nothing", False),
        ("from=development&to=staging", True),
        ("from=development&to=staging&state=unexplained", False),
        ("from=production&to=development&state=differs", True),
        ("from=nowhere&page=9999999&state=x", True),
    ],
)
def test_compare__filters(world: World, apart: Flag, query: str, is_found: bool) -> None:
    page = text_of(signed_in(world.rita).get(f"{LIST}?project={world.project.key}&{query}"))

    assert ("fs-flag-name" in page) is is_found


def test_compare__one_flag__in_words(world: World, apart: Flag) -> None:
    page = text_of(signed_in(world.rita).get(f"{LIST}?project={world.project.key}&flag={apart.key}"))

    assert "50" in page
    assert "Read as from Production to Staging" in page


def test_compare__more_flags__same_number_of_queries(
    world: World, apart: Flag, django_assert_max_num_queries: Any
) -> None:
    client = signed_in(world.rita)
    client.get(LIST)
    for number in range(3):
        world.serve(world.flag(f"other-{number}"), world.production)

    with django_assert_max_num_queries(26):
        client.get(LIST)


def test_outsider__finds_nothing(world: World, apart: Flag) -> None:
    client = signed_in(world.otto)

    addresses = (promote_url(world), intend_url(apart), f"{LIST}?project={world.project.key}")
    assert [client.get(address).status_code for address in addresses] == [404, 404, 404]


def test_promote__through_the_page__drafts_a_request_that_says_where_it_comes_from(world: World, apart: Flag) -> None:
    client = signed_in(world.rita)
    page = text_of(client.get(promote_url(world)))

    response = client.post(promote_url(world), promote_fields(world))
    request = ChangeRequest.objects.get()
    serve(world, world.staging, percent_document(apart.key, 60))
    shown = text_of(client.get(page_url(request)))

    assert "Promote Checkout redesign from Staging to Production" in page
    assert response.headers["Location"] == page_url(request)
    assert request.source["kind"] == "promotion"
    assert "Copied from Staging" in shown
    assert "is now at version" in shown
    assert "does not serve the same" in shown


def test_promote__soaked__says_for_how_long(world: World, apart: Flag) -> None:
    request = promoted(world, chosen(world, Aspect.RULES))

    assert ">9 days</b>" in text_of(signed_in(world.rita).get(page_url(request)))


@pytest.mark.parametrize(
    "changed",
    [
        {"aspect": []},
        {"aspect": ["colour:checkout-redesign"]},
        {"flag_version": ["7:1:checkout-redesign"]},
        {"flag_version": ["x:y:z", "1", "99999999999:1:checkout-redesign"]},
        {"title": ""},
        {"reason": "a\u202eb"},
    ],
)
def test_promote__unusable__comes_back_and_nothing_is_drafted(world: World, apart: Flag, changed: Any) -> None:
    response = signed_in(world.rita).post(promote_url(world), promote_fields(world, **changed))

    assert response.status_code == 400
    assert not ChangeRequest.objects.exists()


def test_promote__bring_back__names_it_so(world: World, apart: Flag) -> None:
    page = text_of(signed_in(world.rita).get(promote_url(world, "production", "staging")))

    assert "Bring Checkout redesign back from Production to Staging" in page


@pytest.mark.parametrize("pair", [("staging", "staging"), ("staging", "nowhere"), ("", "")])
def test_promote__no_pair__is_not_found(world: World, apart: Flag, pair: tuple[str, str]) -> None:
    assert signed_in(world.rita).get(promote_url(world, *pair)).status_code == 404


def test_intend__and_take_it_back(world: World, apart: Flag) -> None:
    client = signed_in(world.rita)
    assert 'value="2026-05-31"' in text_of(client.get(intend_url(apart)))
    fields = {"aspects": ["rules"], "reason": HOSTILE, "owner": world.vera.pk, "last_day": "2026-05-01"}
    client.post(intend_url(apart), fields)
    row = IntendedDifference.objects.get()
    page = text_of(client.get(LIST))

    assert (row.upstream, row.downstream, row.owner) == (world.staging, world.production, world.vera)
    assert "1 differs on purpose" in page
    assert "<script>alert" not in page
    client.post(reverse("admin:rollouts_intendeddifference_end", args=[row.pk]))
    row.refresh_from_db()
    assert row.ended_by == world.rita


@pytest.mark.parametrize(
    "changed",
    [{"aspects": []}, {"reason": ""}, {"owner": ""}, {"last_day": "2030-01-01"}, {"last_day": "9999-12-31"}],
)
def test_intend__unusable__comes_back(world: World, apart: Flag, changed: dict[str, Any]) -> None:
    fields = {"aspects": ["rules"], "reason": "Test", "owner": world.vera.pk, "last_day": "2026-05-01", **changed}

    assert signed_in(world.rita).post(intend_url(apart), fields).status_code == 400
    assert not IntendedDifference.objects.exists()


def test_panel__rollback__is_told_in_words(world: World, apart: Flag) -> None:
    world.serve(apart, world.production, percent_document(apart.key, 5))
    made = roll_back_flag(
        world.production.pk, apart.pk, version=1, actor=actor_of(world.rita), reason="Too narrow", now=NOW
    )
    assert made.request is not None

    page = text_of(signed_in(world.rita).get(page_url(made.request)))

    assert "Puts checkout-redesign back to its version 1." in page
