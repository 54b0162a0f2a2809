"""The shell: sign-in, navigation, the command palette, and what the rules refuse as a page."""

from typing import Any

import pytest
from django.conf import settings
from django.test import Client, override_settings
from django.urls import reverse
from django.utils import timezone

from audits.models import AuditEvent
from flags.models import LocalKill
from flags.permissions import Role
from rollouts.models import ChangeRequest
from tests.factories import World, make_served_world, make_world
from tests.rollouts.support import Bench
from tests.support.admin import HOSTILE, signed_in, text_of


@pytest.fixture
def bench(db: None) -> Bench:
    """A flag in production and requests about it."""
    world = make_served_world()
    return Bench(world, world.first_flag)


@pytest.fixture
def world(bench: Bench) -> World:
    """The bench's world."""
    return bench.world


@pytest.mark.parametrize("address", ["/admin/login/", "/admin/login/?next=/admin/"])
def test_sign_in__right_password__ends_on_the_desk(world: World, client: Client, address: str) -> None:
    page = text_of(client.get(address))
    assert 'name="next" value="/admin/"' in page

    sent = {"username": world.rita.username, "password": world.rita.username, "next": "/admin/"}
    response = client.post(address, sent)

    assert (response.status_code, response["Location"]) == (302, reverse("admin:index"))


def test_sign_in__wrong_password__keeps_the_name_and_says_so(world: World, client: Client) -> None:
    response = client.post("/admin/login/", {"username": world.rita.username, "password": "guess"})

    assert response.status_code == 200
    assert f'value="{world.rita.username}"' in text_of(response)
    assert 'role="alert"' in text_of(response)
    assert "guess" not in text_of(response)


@pytest.mark.parametrize("target", ["https://evil.test/", "//evil.test/", "javascript:alert(1)"])
def test_sign_in__foreign_target__ends_on_the_desk(world: World, client: Client, target: str) -> None:
    sent = {"username": world.rita.username, "password": world.rita.username, "next": target}

    response = client.post("/admin/login/", sent)

    assert "evil" not in response["Location"]
    assert "javascript" not in response["Location"]


@pytest.mark.parametrize("is_demo", [True, False])
def test_demo_accounts__only_in_demo_mode__are_offered(db: None, client: Client, is_demo: bool) -> None:
    with override_settings(DEMO=is_demo):
        text = text_of(client.get("/admin/login/"))

    assert ("demo-mira" in text) is is_demo


def test_sign_out__get__does_not_sign_out(world: World) -> None:
    client = signed_in(world.rita)

    assert client.get(reverse("admin:logout")).status_code == 405
    assert client.get(reverse("admin:index")).status_code == 200
    client.post(reverse("admin:logout"))
    assert client.get(reverse("admin:index")).status_code == 302


@pytest.mark.parametrize(
    ("role", "shown", "hidden"),
    [
        ("ada", {"Tokens", "People", "Access", "Keys kept back"}, set()),
        ("rita", {"Desk", "Flags", "Change requests", "Segments", "Audit trail", "Access"}, {"Tokens", "People"}),
        ("vera", {"Desk", "Environments", "Keys kept back"}, {"Tokens", "People"}),
    ],
)
def test_navigation__each_role__has_what_it_can_use(world: World, role: str, shown: set[str], hidden: set[str]) -> None:
    text = text_of(signed_in(getattr(world, role)).get(reverse("admin:index")))

    assert all(f"<span>{title}</span>" in text for title in shown)
    assert not any(f"<span>{title}</span>" in text for title in hidden)


def test_navigation__request_waits_for_an_approver__badge_counts_it(bench: Bench) -> None:
    bench.submitted(now=timezone.now())

    page = signed_in(bench.world.abel).get(reverse("admin:flags_flag_changelist"))

    items = [item for group in page.context["sidebar_navigation"] for item in group["items"]]
    assert {item["title"]: item.get("badge") for item in items}["Change requests"] == "1"


def test_shell__no_page__has_an_inline_script_or_handler(bench: Bench) -> None:
    bench.submitted(now=timezone.now())
    client = signed_in(bench.world.ada)
    names = ("index", "flags_flag_changelist", "flags_access", "flags_environment_changelist", "flagsite_user_add")
    flag_page = reverse("admin:flags_flag_change", args=[bench.flag.pk])

    for address in [*(reverse(f"admin:{name}") for name in names), flag_page]:
        response = client.get(address)
        text = text_of(response)
        assert "<script>" not in text
        assert " onclick=" not in text
        assert "http://" not in text.replace("http://testserver", "").replace("http://www.w3.org", "")
        policy = response["Content-Security-Policy"]
        assert "'unsafe-inline'" not in policy.split("script-src", 1)[1].split(";", 1)[0]
    assert "script-src" in str(settings.CONTENT_SECURITY_POLICY)


@pytest.mark.parametrize(
    ("address", "status", "sentence"),
    [
        ("/admin/nowhere/", 404, "This page does not exist"),
        ("/admin/flags/flag/not-a-uuid/change/", 404, "This page does not exist"),
        ("/admin/flagsite/user/", 403, "Accounts are managed by site administrators"),
        ("/admin/auth/group/", 404, "This page does not exist"),
        ("/admin/axes/accessattempt/", 404, "This page does not exist"),
        ("/admin/guardian/userobjectpermission/", 404, "This page does not exist"),
    ],
)
def test_refusal__any__is_a_page_that_says_what_to_do(world: World, address: str, status: int, sentence: str) -> None:
    response = signed_in(world.rita).get(address)

    assert response.status_code == status
    assert sentence in text_of(response)
    assert "Back to the desk" in text_of(response)


def test_app_index__leads_to_the_desk(world: World) -> None:
    assert signed_in(world.rita).get("/admin/flags/")["Location"] == reverse("admin:index")


@pytest.mark.parametrize("text", ["checkout", "CHECKOUT red", "#1", "1", "widen"])
def test_palette__flags_and_requests__are_found(bench: Bench, text: str) -> None:
    bench.submitted(now=timezone.now())

    response = signed_in(bench.world.vera).get(reverse("admin:search"), {"extended": "1", "s": text})

    assert "No results" not in text_of(response)


@pytest.mark.parametrize("text", ["", HOSTILE, "%", "#", "9" * 90, "a " * 50])
def test_palette__odd_input__answers(world: World, text: str) -> None:
    response = signed_in(world.vera).get(reverse("admin:search"), {"s": text, "page": "x"})

    assert response.status_code == 200
    assert "<script>" not in text_of(response)


def test_palette__right_taken_away__finds_nothing_at_once(bench: Bench) -> None:
    client = signed_in(bench.world.vera)
    query = {"extended": "1", "s": "checkout"}
    assert "No results" not in text_of(client.get(reverse("admin:search"), query))

    for environment in bench.world.environments:
        bench.world.grant(bench.world.vera, environment)

    assert "No results" in text_of(client.get(reverse("admin:search"), query))


def _sections(response: Any) -> dict[str, list[str]]:
    names = ("waiting", "asked", "coming", "applied")
    return {name: [line.request.title for line in response.context[name]] for name in names}


def test_desk__a_request_in_review__waits_for_approvers_and_is_asked_by_its_author(bench: Bench) -> None:
    bench.submitted(title="Widen", now=timezone.now())

    approver = signed_in(bench.world.abel).get(reverse("admin:index"))
    author = signed_in(bench.world.rita).get(reverse("admin:index"))
    outsider = signed_in(bench.world.otto).get(reverse("admin:index"))

    assert _sections(approver)["waiting"] == ["Widen"]
    assert _sections(author) == {"waiting": [], "asked": ["Widen"], "coming": [], "applied": []}
    assert not any(_sections(outsider).values())
    text = text_of(approver)
    assert "One change waits for you" in text
    assert "PRODUCTION" in text
    assert "Checkout redesign" in text
    assert "Needs 1 more approval" in text_of(author)


def test_desk__nothing_there__each_empty_place_says_what_to_do(db: None) -> None:
    world = make_world()

    text = text_of(signed_in(world.vera).get(reverse("admin:index")))

    for sentence in ("Nothing waits for you", "You have asked for nothing", "Nothing is scheduled", "Nothing was appl"):
        assert sentence in text


def test_desk__hostile_title_and_key__are_escaped(bench: Bench) -> None:
    bench.submitted(title=HOSTILE, now=timezone.now())

    text = text_of(signed_in(bench.world.abel).get(reverse("admin:index")))

    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text


def test_desk__kill_list_at_work__names_flag_host_and_variant(world: World) -> None:
    since = timezone.now()
    for environment, key in ((world.production, "checkout-redesign"), (world.staging, "unheard-of")):
        LocalKill.objects.create(
            environment=environment, flag_key=key, variant="off", host="web-1", since=since, noticed_at=since
        )
    LocalKill.objects.create(
        environment=world.production, flag_key="lifted-one", variant="off", host="web-2", since=since,
        noticed_at=since, lifted_at=since,
    )  # fmt: skip

    page = text_of(signed_in(world.rita).get(reverse("admin:index")))

    assert "2 flags forced by a kill list" in page
    assert "unheard-of" in page
    assert "lifted-one" not in page
    assert "kill list" not in text_of(signed_in(world.otto).get(reverse("admin:index")))


def test_desk__more_requests__same_number_of_queries(bench: Bench, django_assert_max_num_queries: Any) -> None:
    client = signed_in(bench.world.abel)
    for _ in range(12):
        bench.submitted(now=timezone.now())

    with django_assert_max_num_queries(53):
        client.get(reverse("admin:index"))

    assert ChangeRequest.objects.count() == 12


def test_pages__looking__records_nothing(bench: Bench) -> None:
    client = signed_in(bench.world.ada)
    before = AuditEvent.objects.count()

    for name in ("index", "flags_access", "flags_flag_changelist", "flagsite_user_changelist"):
        client.get(reverse(f"admin:{name}"))

    assert AuditEvent.objects.count() == before


def test_administrator_of_one_environment__has_tokens_in_the_navigation(world: World) -> None:
    world.grant(world.rolf, world.staging, Role.ADMINISTRATOR)

    assert "<span>Tokens</span>" in text_of(signed_in(world.rolf).get(reverse("admin:index")))
