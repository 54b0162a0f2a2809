"""The config editor through HTTP: who gets it, what it saves, and that nothing typed is ever lost."""

import json
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from audits.models import AuditEvent
from flags.models import Environment, Flag, FlagConfig
from tests.factories import World, make_world, percent_document
from tests.support.admin import HOSTILE, signed_in, text_of

EDITORS_ONLY = {"rita": 200, "abel": 403, "rolf": 403, "vera": 403, "ada": 403, "otto": 404}
EVERYBODY_WITH_A_ROLE = {"rita": 200, "abel": 200, "rolf": 200, "vera": 200, "ada": 200, "otto": 404}


def edit_url(flag: Flag, environment: Environment, name: str = "edit") -> str:
    return reverse(f"admin:flags_config_{name}", args=[flag.pk, environment.pk])


def posted(document: Any, base_version: int = 1, reason: str = "Because", **fields: Any) -> dict[str, Any]:
    text = document if isinstance(document, str) else json.dumps(document)
    return {"document": text, "base_version": str(base_version), "reason": reason, **fields}


def config_of(flag: Flag, environment: Environment) -> FlagConfig:
    return FlagConfig.objects.get(flag=flag, environment=environment)


def editor_data(response: Any) -> dict[str, Any]:
    """What the page hands to the builder."""
    _, _, rest = text_of(response).partition('<script id="config-editor-data" type="application/json">')
    data: dict[str, Any] = json.loads(rest.partition("</script>")[0])
    return data


def typed_document(response: Any) -> str:
    """The text in the JSON view, as a browser would read it."""
    _, _, rest = text_of(response).partition('name="document"')
    return unescape(rest.partition(">")[2].partition("</textarea>")[0])


@pytest.mark.parametrize("role", EDITORS_ONLY)
def test_editor__every_role__shown_or_refused(world: World, flag: Flag, role: str) -> None:
    client = signed_in(getattr(world, role))

    answers = [client.get(edit_url(flag, environment)).status_code for environment in world.environments]

    assert answers == [EDITORS_ONLY[role]] * 3


@pytest.mark.parametrize("role", EVERYBODY_WITH_A_ROLE)
def test_versions__every_role__shown_or_refused(world: World, flag: Flag, role: str) -> None:
    response = signed_in(getattr(world, role)).get(edit_url(flag, world.production, "history"))

    assert response.status_code == EVERYBODY_WITH_A_ROLE[role]


@pytest.mark.parametrize("role", EDITORS_ONLY)
def test_validate__every_role__answers_or_refuses(world: World, flag: Flag, role: str) -> None:
    client = signed_in(getattr(world, role))

    response = client.post(edit_url(flag, world.production, "validate"), posted(percent_document(flag.key, 30)))

    assert response.status_code == EDITORS_ONLY[role]


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_versions__anything_but_reading__is_refused(world: World, flag: Flag, method: str) -> None:
    before = (FlagConfig.history.count(), AuditEvent.objects.count())

    response = getattr(signed_in(world.rita), method)(edit_url(flag, world.production, "history"))

    assert response.status_code == 405
    assert before == (FlagConfig.history.count(), AuditEvent.objects.count())


def test_editor__flag_of_another_project__does_not_exist(world: World, flag: Flag) -> None:
    other = make_world()

    response = signed_in(world.rita).get(edit_url(flag, other.production))

    assert response.status_code == 404


def test_editor__opened__holds_the_document_that_is_served(world: World, flag: Flag) -> None:
    response = signed_in(world.rita).get(edit_url(flag, world.production))

    document = config_of(flag, world.production).document
    assert json.loads(typed_document(response)) == document
    assert editor_data(response)["current"] == document
    assert "Propose change" in text_of(response)
    assert reverse("admin:rollouts_changerequest_propose", args=[flag.pk, world.production.pk]) in text_of(response)


def test_editor__not_set_up_yet__starts_off_with_the_variants_used_elsewhere(world: World) -> None:
    variants = [{"name": "slow", "value": 1}, {"name": "fast", "value": 2}]
    flag = world.flag("speed", value_type="integer", variants=variants)

    document = json.loads(typed_document(signed_in(world.rita).get(edit_url(flag, world.production))))

    assert [variant["name"] for variant in document["variants"]] == ["slow", "fast"]
    assert document["enabled"] is False
    assert document["rules"] == []


def test_editor__earlier_version_asked_for__is_in_the_editor(world: World, flag: Flag) -> None:
    world.serve(flag, world.production, percent_document(flag.key, 60))
    client = signed_in(world.rita)

    earlier = client.get(edit_url(flag, world.production) + "?from_version=1")
    missing = client.get(edit_url(flag, world.production) + "?from_version=77")

    assert json.loads(typed_document(earlier)) == percent_document(flag.key, 25)
    assert [item["sentence"] for item in editor_data(earlier)["differences"]]
    assert 'name="base_version" value="2"' in text_of(earlier)
    assert "There is no version 77" in text_of(missing)


def test_editor__nonsense_version_asked_for__answers(world: World, flag: Flag) -> None:
    client = signed_in(world.rita)

    for nonsense in ("²", "-1", "1" * 400, "1.0", "x"):
        assert client.get(edit_url(flag, world.production), {"from_version": nonsense}).status_code == 200, nonsense


def test_save__open_environment__is_live_with_reason_and_author(world: World, flag: Flag) -> None:
    document = percent_document(flag.key, 40)

    response = signed_in(world.rita).post(edit_url(flag, world.staging), posted(document, reason="Try 40"))

    config = config_of(flag, world.staging)
    history = config.history.latest("version")
    assert response.status_code == 302
    assert (config.version, config.document) == (2, document)
    assert (history.history_user, history.history_change_reason) == (world.rita, "Try 40")


def test_save__protected_environment__is_refused_and_nothing_is_lost(world: World, flag: Flag) -> None:
    document = percent_document(flag.key, 40)

    response = signed_in(world.rita).post(edit_url(flag, world.production), posted(document))

    assert response.status_code == 409
    assert config_of(flag, world.production).version == 1
    assert json.loads(typed_document(response)) == document
    assert "protected" in text_of(response)


def test_save__without_a_reason__asks_for_it_and_keeps_the_document(world: World, flag: Flag) -> None:
    text = json.dumps(percent_document(flag.key, 40), indent=7)

    response = signed_in(world.rita).post(edit_url(flag, world.staging), posted(text, reason="  "))

    assert response.status_code == 400
    assert typed_document(response) == text
    assert [problem["path"] for problem in editor_data(response)["problems"]] == ["reason"]


@pytest.mark.parametrize("reason", ["a\x00b", "a\x07b", "x" * 4001])
def test_save__reason_that_cannot_be_stored__is_said_and_kept(world: World, flag: Flag, reason: str) -> None:
    document = percent_document(flag.key, 40)

    response = signed_in(world.rita).post(edit_url(flag, world.staging), posted(document, reason=reason))

    assert response.status_code == 400
    assert json.loads(typed_document(response)) == document
    assert config_of(flag, world.staging).version == 1


BAD_DOCUMENTS = {
    "no json": '{"schema": 1,',
    "nan": '{"schema": NaN}',
    "twice": '{"enabled": true, "enabled": false}',
    "deep": "[" * 10_000 + "]" * 10_000,
    "list": "[]",
    "text": '"\\ud800"',
    "number": "1e999",
    "long number": "1" * 6000,
    "null": "null",
    "empty": "",
    "wrong shapes": '{"schema": 1, "variants": {"a": 1}, "rules": "x"}',
    "markup": '{"schema": 1, "x</script><script>alert(1)</script>": 1}',
}


def test_save__document_that_cannot_be__comes_back_as_it_was_typed(world: World, flag: Flag) -> None:
    client = signed_in(world.rita)

    for what, text in BAD_DOCUMENTS.items():
        response = client.post(edit_url(flag, world.staging), posted(text))

        assert response.status_code == 400, what
        assert typed_document(response) == text, what
        assert "<script>alert" not in text_of(response), what
    assert config_of(flag, world.staging).version == 1


def test_validate__document_that_cannot_be__is_told_what_is_wrong(world: World, flag: Flag) -> None:
    client = signed_in(world.rita)

    for what, text in BAD_DOCUMENTS.items():
        response = client.post(edit_url(flag, world.staging, "validate"), posted(text))

        assert response.status_code == 200, what
        assert response.json()["problems"], what
        assert response.json()["differences"] == [], what


def test_save__problem_in_a_rule__is_named_by_path(world: World, flag: Flag) -> None:
    document = percent_document(flag.key, 40)
    document["rules"][0]["serve"]["split"][0]["weight"] = 1

    response = signed_in(world.rita).post(edit_url(flag, world.staging), posted(document))

    assert [problem["path"] for problem in editor_data(response)["problems"]] == ["rules[0].serve.split"]
    assert json.loads(typed_document(response)) == document


def test_validate__good_document__says_what_changes_and_changes_nothing(world: World, flag: Flag) -> None:
    events = AuditEvent.objects.count()

    response = signed_in(world.rita).post(
        edit_url(flag, world.production, "validate"), posted(percent_document(flag.key, 60), base_version=0)
    )

    answer = response.json()
    assert answer["problems"] == []
    assert "→" in answer["differences"][0]["sentence"]
    assert (answer["is_stale"], answer["current_version"]) == (True, 1)
    assert config_of(flag, world.production).version == 1
    assert AuditEvent.objects.count() == events


def test_validate__get__is_refused(world: World, flag: Flag) -> None:
    assert signed_in(world.rita).get(edit_url(flag, world.staging, "validate")).status_code == 405


def test_save__somebody_was_faster__shows_what_changed_and_keeps_mine(world: World, flag: Flag) -> None:
    world.serve(flag, world.staging, {**config_of(flag, world.staging).document, "enabled": True})
    mine = percent_document(flag.key, 40, enabled=False)

    response = signed_in(world.rita).post(edit_url(flag, world.staging), posted(mine, base_version=1))

    text = text_of(response)
    assert response.status_code == 409
    assert json.loads(typed_document(response)) == mine
    assert "Somebody else changed this meanwhile" in text
    assert "Switched on" in text
    assert 'name="base_version" value="2"' in text
    assert editor_data(response)["merged"] == {**mine, "enabled": True}
    assert config_of(flag, world.staging).version == 2


def test_save__again_on_top_of_what_was_shown__is_saved(world: World, flag: Flag) -> None:
    world.serve(flag, world.staging, {**config_of(flag, world.staging).document, "enabled": True})
    mine = percent_document(flag.key, 40)

    response = signed_in(world.rita).post(edit_url(flag, world.staging), posted(mine, base_version=2))

    assert response.status_code == 302
    assert config_of(flag, world.staging).document == mine


def test_save__pressed_twice__writes_one_version(world: World, flag: Flag) -> None:
    client, fields = signed_in(world.rita), posted(percent_document(flag.key, 40))

    answers = [client.post(edit_url(flag, world.staging), fields).status_code for _ in range(2)]

    assert answers == [302, 302]
    assert config_of(flag, world.staging).version == 2


def test_save__forged_base_version__is_stale_and_keeps_the_document(world: World, flag: Flag) -> None:
    client, document = signed_in(world.rita), percent_document(flag.key, 40)

    for base in ("", "x", "-1", "1.5", "9" * 30, "²", "0"):
        response = client.post(
            edit_url(flag, world.staging), {**posted(document), "base_version": base, "version": "1"}
        )

        assert response.status_code == 409, base
        assert json.loads(typed_document(response)) == document, base
    assert config_of(flag, world.staging).version == 1


def test_save__floats_written_as_whole_numbers__stay_floats(world: World) -> None:
    variants = [{"name": "low", "value": 1.0}, {"name": "high", "value": 2.5}]
    flag = world.flag("limit", value_type="float", variants=variants)
    document = {**config_of(flag, world.staging).document, "enabled": True}
    text = json.dumps(document).replace("1.0", "1")

    response = signed_in(world.rita).post(edit_url(flag, world.staging), posted(text))

    assert response.status_code == 302
    assert isinstance(config_of(flag, world.staging).document["variants"][0]["value"], float)


def test_pages__hostile_text__is_escaped_and_hidden_characters_are_shown(world: World, flag: Flag) -> None:
    document = percent_document(flag.key, 40)
    document["rules"][0]["description"] = HOSTILE + "\u202e\u200b"
    client = signed_in(world.rita)
    client.post(edit_url(flag, world.staging), posted(document, reason=HOSTILE))

    editor = text_of(client.get(edit_url(flag, world.staging)))
    history = text_of(client.get(edit_url(flag, world.staging, "history")))
    refused = text_of(client.post(edit_url(flag, world.staging), posted(HOSTILE, reason=HOSTILE)))

    for text in (editor, history, refused):
        assert "<script>alert" not in text
        assert "<img src=x" not in text
    assert "U+202E" in history
    assert "U+200B" in history


def test_versions__two_chosen__are_compared(world: World, flag: Flag) -> None:
    for share in (50, 75):
        world.serve(flag, world.production, percent_document(flag.key, share))
    client = signed_in(world.vera)
    address = edit_url(flag, world.production, "history")

    newest = text_of(client.get(address)).replace("\u00a0", " ")
    chosen = text_of(client.get(address + "?from=1&to=3")).replace("\u00a0", " ")
    backwards = text_of(client.get(address + "?from=3&to=1")).replace("\u00a0", " ")

    assert "on 50 % → 75 %" in newest
    assert "on 25 % → 75 %" in chosen
    assert "on 75 % → 25 %" in backwards
    assert "Propose this again" not in chosen


def test_versions__nonsense_asked_for__answers(world: World, flag: Flag) -> None:
    client, address = signed_in(world.vera), edit_url(flag, world.production, "history")

    for query in ("?from=9&to=1", "?from=x&to=", "?from=²&to=1", "?from=1", "?from=1&to=1"):
        assert client.get(address + query).status_code == 200, query


def test_versions__not_set_up__says_so(world: World) -> None:
    flag = world.flag("fresh")

    text = text_of(signed_in(world.vera).get(edit_url(flag, world.production, "history")))

    assert "No version yet" in text


def test_versions__editor__may_start_from_any_of_them(world: World, flag: Flag) -> None:
    world.serve(flag, world.production, percent_document(flag.key, 50))

    text = text_of(signed_in(world.rita).get(edit_url(flag, world.production, "history")))

    assert f"{edit_url(flag, world.production)}?from_version=1" in text


@pytest.mark.parametrize(("name", "most"), [("edit", 30), ("history", 25)])
def test_pages__more_versions__same_number_of_queries(world: World, flag: Flag, name: str, most: int) -> None:
    client, address = signed_in(world.rita), edit_url(flag, world.production, name)
    world.serve(flag, world.production, percent_document(flag.key, 30))
    client.get(address)
    with CaptureQueriesContext(connection) as few:
        client.get(address)

    for share in range(31, 51):
        world.serve(flag, world.production, percent_document(flag.key, share))
    with CaptureQueriesContext(connection) as many:
        client.get(address)

    assert len(many) == len(few)
    assert len(many) <= most


def _needing(flag: Flag, parent: str) -> dict[str, Any]:
    return {**percent_document(flag.key, 30), "prerequisites": [{"flag": parent, "variants": ["on"]}]}


@pytest.mark.parametrize("parent", ["missing", "in a circle"])
def test_validate__what_breaks_around_it__is_a_problem_where_it_would_go_live_alone(
    world: World, flag: Flag, parent: str
) -> None:
    other = world.flag("other")
    world.serve(flag, world.staging, percent_document(flag.key, 30))
    if parent != "missing":
        world.serve(other, world.staging, _needing(other, flag.key))
    document = _needing(flag, "gone" if parent == "missing" else "other")
    url, client = edit_url(flag, world.staging, "validate"), signed_in(world.rita)

    alone = client.post(url, posted(document)).json()
    in_a_request = client.post(url, posted(document, digest="0" * 64)).json()

    assert [item["path"] for item in alone["problems"]] == ["prerequisites[0].flag"]
    assert in_a_request["problems"] == []
    (found,) = [item for item in in_a_request["findings"] if item["message"] == alone["problems"][0]["message"]]
    assert (found["severity"], "same request" in found["advice"]) == ("warning", True)


def test_validate__protected_environment__warns_of_what_breaks_around_it(world: World, flag: Flag) -> None:
    answer = signed_in(world.rita).post(
        edit_url(flag, world.production, "validate"), posted(_needing(flag, "gone"), base_version=0)
    )

    assert answer.json()["problems"] == []
    assert any("gone" in item["message"] and item["severity"] == "warning" for item in answer.json()["findings"])
