"""Policy rules through HTTP: sentences, the form, two people for what is looser, versions, the replay, the panel."""

import dataclasses
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from flags.permissions import Role
from flags.services.tickets import governed_write
from rollouts.models import ChangeRequest, PolicyRule, SettingsProposal
from rollouts.policies import Effect, Requirement
from rollouts.policies.presets import PRESETS
from rollouts.policies.requirements import TeamDemand
from rollouts.policies.rules import rule_problems
from tests.factories import World
from tests.rollouts.admin.support import page_url
from tests.rollouts.rule_support import condition, rule
from tests.rollouts.support import Bench
from tests.rollouts.test_rule_service import SERVICE, TWO, put, team
from tests.support.admin import HOSTILE, signed_in, text_of

LIST = "admin:rollouts_policyrule_changelist"


def add_url(world: World) -> str:
    return reverse("admin:rollouts_policyrule_add", args=[world.project.pk])


def rule_url(name: str = "change") -> str:
    return reverse(f"admin:rollouts_policyrule_{name}", args=[PolicyRule.objects.get().pk])


def posted(**fields: Any) -> dict[str, Any]:
    """What the form sends for: production, widens by 25 points or more, two people."""
    return {
        "name": "Big steps",
        "rationale": "they reach many",
        "is_active": "on",
        "use.environment_kind": "on",
        "environment_kind.kinds": ["production"],
        "use.direction": "on",
        "direction.directions": ["widens"],
        "use.jump": "on",
        "jump.at_least": "25",
        "tags.tags": "left alone",
        "effect": "require",
        "approvals": "2",
        "reason": "Agreed",
        **fields,
    }


@pytest.mark.parametrize(
    ("role", "form"), [("ada", 200), ("rita", 403), ("abel", 403), ("rolf", 403), ("vera", 403), ("otto", 404)]
)
def test_pages__every_role__shown_or_refused(world: World, role: str, form: int) -> None:
    put(world, TWO)
    client = signed_in(getattr(world, role))

    assert client.get(reverse(LIST)).status_code == 200
    assert client.get(add_url(world)).status_code == form
    assert client.get(rule_url()).status_code == form
    assert client.get(rule_url("history")).status_code == (404 if role == "otto" else 200)
    stricter = {name: value for name, value in posted(approvals="3").items() if name != "use.jump"}
    assert client.post(rule_url(), stricter).status_code == (302 if form == 200 else form)
    assert PolicyRule.objects.get().version == (2 if form == 200 else 1)
    assert client.put(reverse(LIST)).status_code == 405


def test_list__rules__read_as_sentences_with_their_reason(world: World) -> None:
    put(world, dataclasses.replace(TWO, requirement=Requirement(teams=(TeamDemand(team(world, "Security"), 2),))))
    put(world, rule("off", is_active=False))

    page = text_of(signed_in(world.vera).get(reverse(LIST)))

    assert "When a change is for production and widens exposure, 2 from Security must approve." in page
    assert "Because it is a big step" in page
    assert "switched off" in page
    assert "Write a rule" not in page


def test_add__the_form__becomes_a_rule(world: World) -> None:
    security = team(world, "Security", world.anna)
    fields = posted(**{f"team.{security}": "1", "people": [str(world.abel.pk)], "people_count": "1"})

    response = signed_in(world.ada).post(add_url(world), fields)

    assert response.status_code == 302
    row = PolicyRule.objects.get()
    assert row.key == "big-steps"
    assert [item["kind"] for item in row.document["conditions"]] == ["environment_kind", "direction", "jump"]
    assert row.document["requirement"]["teams"] == [{"team": security, "count": 1}]
    assert row.document["requirement"]["people"] == [{"ids": [str(world.abel.pk)], "count": 1}]
    signed_in(world.ada).post(add_url(world), posted(approvals="3"))
    assert sorted(PolicyRule.objects.values_list("key", flat=True)) == ["big-steps", "big-steps-2"]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "Give the rule a name"),
    ({"rationale": ""}, "Say why: people read it"),
    ({"jump.at_least": "many"}, "Give a whole number from 1 to 100"),
    ({"jump.at_least": "101"}, "Give a whole number from 1 to 100"),
    ({"environment_kind.kinds": []}, "Choose at least one"),
    ({"environment_kind.kinds": ["moon"]}, "Choose from the list"),
    ({"use.time_of_day": "on", "time_of_day.zone": "Mars"}, "Name a time zone"),
    ({"approvals": "lots"}, "Say who must approve"),
    ({"approvals": "0"}, "Say who must approve, or choose another effect"),
    ({"effect": "bribe"}, "Choose what the rule does"),
    ({"people": ["x"], "people_count": "1"}, "Ask for 1 to 10 people"),
    ({"people": ["x"], "people_count": ""}, "Ask for 1 to 10 people"),
    ({"reason": ""}, "Fill in reason"),
    ({"name": "a\u202eb"}, "text-direction"),
]


@pytest.mark.parametrize(("fields", "words"), WRONG)
def test_add__something_is_wrong__says_what_and_keeps_what_was_typed(
    world: World, fields: dict[str, Any], words: str
) -> None:
    response = signed_in(world.ada).post(add_url(world), posted(**{"rationale": "kept words", **fields}))

    assert response.status_code == 400
    page = text_of(response)
    assert words in page
    assert "rationale" in fields or "kept words" in page
    assert not PolicyRule.objects.exists()


def test_add__hostile_text__is_only_text(world: World) -> None:
    response = signed_in(world.ada).post(add_url(world), posted(name=HOSTILE, rationale=HOSTILE))

    assert response.status_code == 302
    assert HOSTILE not in signed_in(world.vera).get(reverse(LIST)).content.decode()


def test_change__looser__is_proposed_and_counts_once_confirmed(world: World) -> None:
    world.grant(world.otto, world.production, Role.ADMINISTRATOR)
    put(world, TWO)

    response = signed_in(world.ada).post(rule_url(), posted(approvals="1"))

    assert PolicyRule.objects.get().version == 1
    assert "a change is proposed" in text_of(signed_in(world.ada).get(reverse(LIST)))
    digest = SettingsProposal.objects.get().digest
    signed_in(world.otto).post(response["Location"], {"act": "confirm", "digest": digest})
    assert PolicyRule.objects.get().version == 2
    assert "Version 2" in text_of(signed_in(world.vera).get(rule_url("history")))


@pytest.mark.parametrize("key", [item.key for item in PRESETS])
def test_preset__every_one__is_a_rule_that_can_be_saved(world: World, key: str) -> None:
    chosen = next(item for item in PRESETS if item.key == key)

    page = text_of(signed_in(world.ada).get(f"{add_url(world)}?preset={key}"))

    assert chosen.name in page
    assert rule_problems(chosen.as_json()) == []
    assert put(world, chosen) is None


def test_replay__unsaved_rule__shows_what_it_would_have_stopped(bench: Bench) -> None:
    small = bench.approve(bench.submitted(title="Small step", change_set=bench.content(20)))
    big = bench.approve(bench.submitted(title="Big step", change_set=bench.content(80)))
    unknown = bench.submitted(title="Older request", change_set=bench.content(90))
    forget_facts(unknown)

    page = text_of(signed_in(bench.world.ada).post(add_url(bench.world), posted(replay="1", days="30")))

    assert "held up 1 of 3" in page
    assert "and perhaps 1 more" in page
    assert f"#{big.number} Big step" in page
    assert f"#{small.number} Small step" not in page
    assert "Not certain: nobody stored" in page
    assert not PolicyRule.objects.exists()


def forget_facts(request: ChangeRequest) -> None:
    """As if it had been submitted before facts were stored: another digest than the stored one."""
    with governed_write(request.environment_id):
        ChangeRequest.objects.filter(pk=request.pk).update(digest="f" * 64)


def test_panel__draft_and_review__say_what_applies_and_who_has_and_can(bench: Bench) -> None:
    world = bench.world
    security = team(world, "Security", world.anna)
    put(world, dataclasses.replace(TWO, requirement=Requirement(teams=(TeamDemand(security, 1),))))
    put(world, rule("ticket", effect=Effect.WARN, conditions=(condition("no_ticket"),)))
    request = bench.draft()

    draft = text_of(signed_in(world.rita).get(page_url(request)))
    assert "Rules that apply" in draft
    assert "1 from Security. Can approve: Anna Test." in draft
    assert "names no ticket, whoever reviews it is warned" in draft

    bench.approve(bench.submit(request))
    review = text_of(signed_in(world.abel).get(page_url(request)))
    assert "“Big steps” demands 1 from Security. Can approve: Anna Test." in review
    assert "not met yet" in review

    bench.approve(request, by=world.anna)
    applied = text_of(signed_in(world.vera).get(page_url(request)))
    assert "Rules that applied" in applied


def test_panel__no_rule_applies__is_not_there(bench: Bench) -> None:
    page = text_of(signed_in(bench.world.rita).get(page_url(bench.draft())))

    assert "Rules that appl" not in page


def test_verdict__a_service_is_missing__is_said(bench: Bench) -> None:
    put(bench.world, SERVICE)
    request = bench.approve(bench.submitted())

    assert "a service account approves as well" in text_of(signed_in(bench.world.rita).get(page_url(request)))


def test_submit__rule_refuses__comes_back_with_the_reason(bench: Bench) -> None:
    put(bench.world, rule(effect=Effect.REFUSE))
    request = bench.draft()
    fields = {"title": request.title, "reason": request.reason, "digest": request.digest, "when": "soon"}
    address = reverse("admin:rollouts_changerequest_act", args=[request.pk, "submit"])

    response = signed_in(bench.world.rita).post(address, {**fields, "ticket_url": "https://tickets.example.com/7"})

    assert response.status_code == 409
    assert "is refused by a rule" in text_of(response)
    assert ChangeRequest.objects.get(pk=request.pk).ticket_url == "https://tickets.example.com/7"


def test_ticket__bad_address__is_marked_on_the_field(bench: Bench) -> None:
    request = bench.draft()
    fields = {"title": request.title, "reason": request.reason, "digest": request.digest, "when": "soon"}
    address = reverse("admin:rollouts_changerequest_act", args=[request.pk, "edit"])

    response = signed_in(bench.world.rita).post(address, {**fields, "ticket_url": "javascript:alert(1)"})

    assert response.status_code == 400
    assert "Give the whole address of the ticket" in text_of(response)
    assert "javascript:alert(1)" in response.content.decode()


def test_list__more_rules__same_number_of_queries(world: World) -> None:
    client = signed_in(world.ada)
    put(world, TWO)
    client.get(reverse(LIST))
    with CaptureQueriesContext(connection) as few:
        client.get(reverse(LIST))
    for number in range(5):
        put(world, rule(f"rule-{number}"))

    with CaptureQueriesContext(connection) as many:
        client.get(reverse(LIST))

    assert len(few) == len(many)
