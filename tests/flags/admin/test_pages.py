"""Every page for every kind of person: what they get to see, what stays shut, and that looking changes nothing."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from audits.models import AuditEvent
from flags.models import EnvironmentToken, Flag, FlagConfig, LocalKill
from flags.permissions import Role
from flags.services.tokens import issue_token
from tests.factories import NOW, World, actor_of, make_world, percent_document
from tests.support.admin import HOSTILE, signed_in, text_of

ROLES = ("ada", "keeper", "rita", "abel", "vera", "otto")


@pytest.fixture
def token(world: World) -> EnvironmentToken:
    """A token of production."""
    actor, now = actor_of(world.ada), NOW
    issued = issue_token(world.production.pk, actor=actor, name="checkout", scope="evaluate", expires_at=None, now=now)
    return issued.token


@pytest.fixture
def person(world: World) -> Callable[[str], Any]:
    """People by name; the keeper administers production and nothing else."""
    world.grant(world.rolf, world.production, Role.ADMINISTRATOR)
    return lambda name: world.rolf if name == "keeper" else getattr(world, name)


def pages(world: World, flag: Flag, token: EnvironmentToken) -> dict[str, tuple[str, dict[str, int]]]:
    """Every page's address, and the status for people who do not simply get it (200)."""
    production, key = world.production.pk, world.project.key
    outside = {"otto": 404}
    editors = {"ada": 403, "keeper": 403, "abel": 403, "vera": 403, "otto": 404}
    describing = {"abel": 403, "vera": 403, "otto": 404}
    administrators = {"rita": 403, "abel": 403, "vera": 403}
    superusers = dict.fromkeys(("keeper", "rita", "abel", "vera", "otto"), 403)
    return {
        "desk": (reverse("admin:index"), {}),
        "matrix": (reverse("admin:flags_flag_changelist") + f"?project={key}", outside),
        "flag": (reverse("admin:flags_flag_change", args=[flag.pk]), outside),
        "new flag": (reverse("admin:flags_flag_add") + f"?project={key}", editors),
        "details": (reverse("admin:flags_flag_edit", args=[flag.pk]), describing),
        "environments": (reverse("admin:flags_environment_changelist"), {}),
        "environment": (reverse("admin:flags_environment_change", args=[production]), outside),
        "protection": (reverse("admin:rollouts_setting_protection", args=[production]), {**administrators, **outside}),
        "access": (reverse("admin:flags_access") + f"?project={key}", outside),
        "tokens": (reverse("admin:flags_environmenttoken_changelist"), {**administrators, "otto": 403}),
        "new token": (reverse("admin:flags_environmenttoken_add"), {**administrators, "otto": 403}),
        "revoke": (
            reverse("admin:flags_environmenttoken_revoke", args=[token.pk]),
            dict.fromkeys(("rita", "abel", "vera", "otto"), 404),
        ),
        "people": (reverse("admin:flagsite_user_changelist"), superusers),
        "new person": (reverse("admin:flagsite_user_add"), superusers),
        "person": (reverse("admin:flagsite_user_change", args=[world.vera.pk]), superusers),
        "somebody's password": (reverse("admin:flagsite_user_password", args=[world.vera.pk]), superusers),
        "own password": (reverse("admin:password_change"), {}),
    }


@pytest.mark.parametrize("role", ROLES)
def test_page__every_role__shown_or_refused_and_nothing_changes(
    world: World, flag: Flag, token: EnvironmentToken, person: Callable[[str], Any], role: str
) -> None:
    client = signed_in(person(role))
    before = (AuditEvent.objects.count(), list(FlagConfig.objects.order_by("pk").values_list("pk", "version")))

    statuses = {name: client.get(address).status_code for name, (address, _) in pages(world, flag, token).items()}

    expected = {name: special.get(role, 200) for name, (_, special) in pages(world, flag, token).items()}
    assert statuses == expected
    assert before == (AuditEvent.objects.count(), list(FlagConfig.objects.order_by("pk").values_list("pk", "version")))


def test_page__nobody_signed_in__leads_to_the_sign_in_page(
    world: World, flag: Flag, token: EnvironmentToken, client: Any
) -> None:
    for address, _ in pages(world, flag, token).values():
        response = client.get(address)
        assert response.status_code == 302, address
        assert response["Location"].startswith(reverse("admin:login")), address


def test_page__hostile_text__is_escaped_everywhere(world: World) -> None:
    flag = world.flag("hostile", name=HOSTILE[:120], description=HOSTILE, tags=["<b>tag</b>"], owner_id=world.rita.pk)
    world.rita.first_name, world.rita.last_name = "<i>Rita</i>", ""
    world.rita.save()
    rule = {"id": "r1", "description": HOSTILE, "condition": None, "serve": {"variant": "on"}}
    world.serve(flag, world.production, {**percent_document(flag.key, 25), "rules": [rule]})
    client = signed_in(world.rita)
    actor = actor_of(world.ada)
    issue_token(world.production.pk, actor=actor, name=HOSTILE, scope="audit", expires_at=None, now=NOW)

    addresses = [
        reverse("admin:flags_flag_changelist") + f"?q={HOSTILE}",
        reverse("admin:flags_flag_change", args=[flag.pk]),
        reverse("admin:flags_flag_edit", args=[flag.pk]),
        reverse("admin:flags_access"),
        reverse("admin:search") + "?extended=1&s=script",
    ]
    found = [text_of(client.get(address)) for address in addresses]
    found.append(text_of(signed_in(world.ada).get(reverse("admin:flags_environmenttoken_changelist"))))

    for text in found:
        assert "<script>alert" not in text
        assert "<img src=x" not in text
        assert "<b>tag</b>" not in text
        assert "<i>Rita" not in text
    assert "&lt;script&gt;alert" in found[1]


def test_project__of_others__does_not_exist(world: World, flag: Flag) -> None:
    other = make_world()
    client = signed_in(other.rita)

    matrix = client.get(reverse("admin:flags_flag_changelist") + f"?project={world.project.key}")
    mine = text_of(client.get(reverse("admin:flags_flag_changelist")))
    environments = text_of(client.get(reverse("admin:flags_environment_changelist")))
    palette = text_of(client.get(reverse("admin:search") + f"?extended=1&s={flag.key}"))

    assert matrix.status_code == 404
    assert world.project.name not in mine + environments
    assert "No results" in palette
    for name in ("flags_flag_change", "flags_flag_edit", "flags_flag_history", "flags_flag_delete"):
        assert client.get(reverse(f"admin:{name}", args=[flag.pk])).status_code in {403, 404}, name


def test_environment__without_a_role_there__is_not_in_the_matrix(world: World, flag: Flag) -> None:
    world.grant(world.vera, world.production)

    text = text_of(signed_in(world.vera).get(reverse("admin:flags_flag_changelist")))

    assert "Staging" in text
    assert "PRODUCTION" not in text


def test_matrix__more_flags__same_number_of_queries(world: World) -> None:
    client = signed_in(world.vera)
    world.flag("first")
    address = reverse("admin:flags_flag_changelist")
    client.get(address)
    with CaptureQueriesContext(
        connection,
    ) as few:
        client.get(address)

    for number in range(49):
        world.flag(f"flag-{number:02}", tags=["t"], owner_id=world.rita.pk)
    with CaptureQueriesContext(connection) as many:
        text = text_of(client.get(address))

    assert text.count('class="fs-flag"') == 50
    assert len(many) == len(few)
    assert len(many) <= 12


@pytest.mark.parametrize(
    "query",
    ["state=on&where=production", "state=nonsense", "sort=changed", "sort=;drop", "page=99", "page=-1", "page=²",
     "owner=nobody", "owner=x", "kind=x", "q=%F0%9F%9A%80", "q=" + "x" * 5000],
)  # fmt: skip
def test_matrix__any_query__answers(world: World, flag: Flag, query: str) -> None:
    response = signed_in(world.vera).get(reverse("admin:flags_flag_changelist") + "?" + query)

    assert response.status_code == 200


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", {"alpha", "beta"}),
        ("q=ALP", {"alpha"}),
        ("q=alpha beta", set()),
        ("kind=kill_switch", {"beta"}),
        ("tag=money", {"alpha"}),
        ("owner=nobody", {"beta"}),
        ("state=partial", {"alpha"}),
        ("state=partial&where=staging", set()),
        ("state=none&where=production", {"beta"}),
    ],
)
def test_matrix__filters__show_what_matches(world: World, query: str, found: set[str]) -> None:
    alpha = world.flag("alpha", tags=["money"], owner_id=world.rita.pk)
    world.flag("beta", kind="kill_switch")
    world.serve(alpha, world.production, percent_document("alpha", 25))

    text = text_of(signed_in(world.vera).get(reverse("admin:flags_flag_changelist") + "?" + query))

    assert {key for key in ("alpha", "beta") if f'fs-subtle">{key}</span>' in text} == found


def test_flag_page__says_what_each_environment_serves_in_words(world: World, flag: Flag) -> None:
    text = text_of(signed_in(world.rita).get(reverse("admin:flags_flag_change", args=[flag.pk])))

    assert "25\u00a0% on" in text
    assert "Everyone: 25\u00a0% on, 75\u00a0% off" in text
    assert "Off serves the variant “off” (false)." in text
    assert "Propose change" in text
    assert "get_boolean_value(" in text


def test_flag_page__viewer__has_no_button_to_edit(world: World, flag: Flag) -> None:
    text = text_of(signed_in(world.vera).get(reverse("admin:flags_flag_change", args=[flag.pk])))

    assert "Propose change" not in text
    assert "Edit details" not in text
    assert "You may look here" in text


def test_flag_page__kill_list_at_work__comes_first(world: World, flag: Flag) -> None:
    facts = {"flag_key": flag.key, "variant": "off", "host": "web-1", "since": NOW, "noticed_at": NOW}
    LocalKill.objects.create(environment=world.production, **facts)
    LocalKill.objects.create(environment=world.staging, **{**facts, "flag_key": "another", "host": "web-2"})

    text = text_of(signed_in(world.vera).get(reverse("admin:flags_flag_change", args=[flag.pk])))

    assert "Forced by a kill list" in text
    assert "web-1" in text
    assert "web-2" not in text
