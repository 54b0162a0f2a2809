"""The playground: who sees what, that it says what services get, and that nothing of what is typed stays anywhere."""

import json
from typing import Any

import pytest
from django.db import connection
from django.http import QueryDict
from django.test import Client
from django.test.utils import CaptureQueriesContext

from audits.models import AuditEvent
from flags import snapshots
from flags.admin import playground
from flags.admin.posted_context import AttributeLine, read_context_draft
from flags.evaluation import compile_snapshot
from flags.evaluation.explain import compile_related, explain_compiled
from flags.models import ContextAttribute, Flag
from flags.permissions import Role
from flags.selectors import playground as selector
from flags.snapshots.building import build
from tests.factories import NOW, World, make_world, percent_document
from tests.support.admin import HOSTILE, signed_in, text_of

ADDRESS = "/admin/playground/"
PLANTED = "planted-value-0c7"
EVERYWHERE = ["development", "staging", "production"]


@pytest.fixture
def other(world: World, flag: Flag) -> Flag:
    """A flag for some customers of production."""
    other = world.flag("express-refunds")
    condition = {"and": [{"attribute": "plan", "operator": "equals", "value": "gold"}, {"not": _is("trainee")}]}
    rule = {"id": "gold", "description": "Gold customers", "condition": condition, "serve": {"variant": "on"}}
    document = {**percent_document(other.key, 0), "rules": [rule]}
    world.serve(other, world.production, document)
    return other


def _is(attribute: str) -> dict[str, Any]:
    return {"attribute": attribute, "operator": "is_true", "value": None}


def ask(client: Client, *flags: str, environments: Any = None, **fields: Any) -> Any:
    """Evaluate as the form does."""
    sent = {
        "context_as": "fields",
        "targeting_key": "user-1",
        "flag": list(flags),
        "environment": EVERYWHERE if environments is None else environments,
        **fields,
    }
    return client.post(ADDRESS, sent)


def answers(response: Any) -> dict[tuple[str, str], tuple[str, str]]:
    """Value and reason words by flag and environment, from what the page was rendered with."""
    return {
        (shown.row.flag.key, item.cell.environment.key): (item.value, item.words)
        for shown in response.context["rows"]
        for item in shown.cells
    }


def test_playground__get__shows_the_form_and_evaluates_nothing(world: World, flag: Flag):
    response = signed_in(world.vera).get(ADDRESS)

    assert response.status_code == 200
    assert response.context["rows"] is None
    assert 'value="checkout-redesign" checked' in text_of(response)
    assert "no-store" in response.headers["Cache-Control"]


def test_playground__flag_in_the_address__is_the_one_chosen(world: World, flag: Flag, other: Flag):
    response = signed_in(world.vera).get(ADDRESS, {"flag": other.key})

    assert [item.key for item in response.context["choice"].chosen_flags] == [other.key]


def test_playground__viewer__sees_every_answer_side_by_side(world: World, flag: Flag, other: Flag):
    response = ask(signed_in(world.vera), flag.key, other.key)

    found = answers(response)
    assert found[flag.key, "development"] == ("false", "Switched off")
    assert found[flag.key, "production"][1] == "Split"
    assert found[other.key, "production"] == ("false", "Default")
    assert len(found) == 6


def test_playground__every_answer__is_what_evaluation_says(world: World, flag: Flag, other: Flag):
    fields = {"attribute_name": ["plan"], "attribute_type": ["text"], "attribute_value": ["gold"]}
    for number in range(8):
        response = ask(signed_in(world.vera), flag.key, other.key, targeting_key=f"user-{number}", **fields)
        for environment in world.environments:
            compiled = compile_snapshot(build(environment.pk))
            for key in (flag.key, other.key):
                resolution = compiled.evaluate(key, {"targetingKey": f"user-{number}", "plan": "gold"}, NOW)
                assert answers(response)[key, environment.key][0] == json.dumps(resolution.value)


def test_playground__not_set_up__says_that_the_code_default_decides(world: World, flag: Flag):
    fresh = world.flag("brand-new")

    response = ask(signed_in(world.vera), fresh.key)

    assert answers(response)[fresh.key, "production"] == ("Code default", "Not set up")
    assert "is not set up here" in text_of(response)


def test_playground__trace__tells_rules_conditions_and_buckets(world: World, flag: Flag, other: Flag):
    fields = {
        "attribute_name": ["plan", "trainee", ""],
        "attribute_type": ["text", "boolean", "text"],
        "attribute_value": ["gold", "no", ""],
    }

    page = text_of(ask(signed_in(world.vera), flag.key, other.key, environments=["production"], **fields))

    assert "Rule 1 “Gold customers”: matches" in page
    assert "plan is “gold”" in page
    assert "Sent: “gold”." in page
    assert "trainee is true" in page
    assert "of 100,000 falls into" in page
    assert "25,000" in page


def test_playground__environments_that_answer_otherwise__are_marked_in_words(world: World, flag: Flag):
    world.serve(flag, world.staging, percent_document(flag.key, 100))
    world.serve(flag, world.production, percent_document(flag.key, 0))

    response = ask(signed_in(world.vera), flag.key)

    (row,) = response.context["rows"]
    marked = {item.cell.environment.key: item.cell.differs for item in row.cells}
    assert marked == {"development": False, "staging": True, "production": False}
    assert text_of(response).count("≠ Production") == 1


def test_playground__point_in_time__decides_on_windows(world: World, flag: Flag):
    document = percent_document(flag.key, 0)
    rule = {"id": "r", "description": "", "condition": None, "serve": {"variant": "on"}}
    document["rules"] = [{**rule, "starts_at": "2027-01-01T00:00:00Z"}]
    world.serve(flag, world.production, document)
    client = signed_in(world.vera)

    values = [
        answers(ask(client, flag.key, environments=["production"], at=at))[flag.key, "production"][0]
        for at in ("2026-12-31T23:59", "2027-01-01T00:00")
    ]

    assert values == ["false", "true"]


def test_playground__local_kill__is_shown_as_forced(world: World, flag: Flag, monkeypatch: pytest.MonkeyPatch):
    class Served:
        served = {world.production.pk: compile_snapshot(build(world.production.pk)).with_forced({flag.key: "on"})}

    monkeypatch.setattr(selector, "store", Served)

    response = ask(signed_in(world.vera), flag.key)

    assert answers(response)[flag.key, "production"] == ("true", "Forced")
    assert answers(response)[flag.key, "staging"][1] != "Forced"


def test_playground__outsider__is_told_to_ask(world: World, flag: Flag):
    client = signed_in(world.otto)

    for response in (client.get(ADDRESS), ask(client, flag.key), client.get(ADDRESS, {"project": world.project.key})):
        assert response.status_code in {403, 404}
        assert flag.key not in text_of(response)


def test_playground__signed_out__is_sent_to_sign_in(world: World, flag: Flag):
    assert ask(Client(), flag.key).status_code == 302


def test_playground__environment_the_person_cannot_see__stays_out(world: World, flag: Flag):
    world.grant(world.otto, world.staging, Role.VIEWER)

    response = ask(signed_in(world.otto), flag.key)

    assert set(answers(response)) == {(flag.key, "staging")}
    assert "Production" not in text_of(response)


def test_playground__flag_of_another_project__stays_out(world: World, flag: Flag):
    foreign = make_world().flag("secret-plans")

    response = ask(signed_in(world.vera), flag.key, foreign.key)

    assert {key for key, _ in answers(response)} == {flag.key}
    assert "secret-plans" not in text_of(response)


UNUSABLE: list[tuple[dict[str, Any], str]] = [
    ({"flag": []}, "at least one flag"),
    ({"environment": []}, "at least one environment"),
    ({"at": "soon"}, "point in time"),
    ({"at": "2026-13-45T99:99"}, "point in time"),
    ({"at": "0001-01-01T00:00+23:00"}, "point in time"),
    ({"context_as": "json", "context_json": "{"}, "not valid JSON"),
    ({"context_as": "json", "context_json": "[1]"}, "no “context” object"),
    ({"context_as": "json", "context_json": '{}, "context": {}'}, "not valid JSON"),
    ({"context_as": "json", "context_json": '{"a": NaN}'}, "NaN"),
    ({"context_as": "json", "context_json": "{" * 5000}, "nested"),
    ({"context_as": "json", "context_json": '{"targetingKey": 5}'}, "targeting key is not a text"),
    ({"context_as": "json", "context_json": '{"context": {"targetingKey": 5}}'}, "targeting key is not a text"),
    ({"attribute_name": [""], "attribute_type": ["text"], "attribute_value": ["x"]}, "no name"),
    ({"attribute_name": ["age"], "attribute_type": ["number"], "attribute_value": ["old"]}, "not a number"),
    ({"attribute_name": ["age"], "attribute_type": ["number"], "attribute_value": ["1e999"]}, "number"),
    ({"attribute_name": ["beta"], "attribute_type": ["boolean"], "attribute_value": ["perhaps"]}, "true or false"),
    ({"attribute_name": ["tags"], "attribute_type": ["json"], "attribute_value": ["[1,"]}, "not valid JSON"),
    ({"attribute_name": ["a"], "attribute_type": ["json"], "attribute_value": ["[" * 9000]}, "not valid JSON"),
]


def test_playground__unusable_input__is_said_and_what_was_typed_stays(world: World, flag: Flag):
    client = signed_in(world.vera)

    for fields, words in UNUSABLE:
        response = ask(client, **{"flag": [flag.key], **fields})

        page = text_of(response)
        assert response.status_code == 400, fields
        assert words in page, fields
        assert response.context["rows"] is None
        assert 'value="user-1"' in page


def test_playground__declared_attributes__are_offered_with_their_type(world: World, flag: Flag, other: Flag):
    for name, value_type in (("age", "number"), ("trainee", "boolean"), ("app_version", "version")):
        ContextAttribute.objects.create(
            project=world.project, name=name, value_type=value_type, description=f"About {name}", created_at=NOW
        )

    response = signed_in(world.vera).get(ADDRESS)

    declared = {line.name: line.kind for line in response.context["lines"] if line.is_declared}
    assert declared == {"age": "number", "app_version": "text", "trainee": "boolean"}
    assert "About trainee" in text_of(response)
    assert '<option value="plan">' in text_of(response)


def test_playground__too_many_answers__are_refused(world: World, flag: Flag, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(playground, "MAX_CELLS", 2)

    response = ask(signed_in(world.vera), flag.key)

    assert response.status_code == 400
    assert "at most 2" in text_of(response)


def test_playground__hostile_input__is_shown_as_text(world: World, flag: Flag):
    fields = {"attribute_name": [HOSTILE], "attribute_type": ["text"], "attribute_value": [HOSTILE]}

    for response in (
        ask(signed_in(world.vera), flag.key, targeting_key=HOSTILE, **fields),
        ask(signed_in(world.vera), flag.key, context_as="json", context_json=json.dumps({"targetingKey": HOSTILE})),
        ask(signed_in(world.vera), flag.key, targeting_key="a\x00b\u202e"),
    ):
        assert response.status_code == 200
        assert "<script>alert" not in text_of(response)
        assert "<img src=x" not in text_of(response)


def test_playground__what_was_typed__is_kept_nowhere(
    world: World, flag: Flag, other: Flag, caplog: pytest.LogCaptureFixture, capfd: Any
):
    events = AuditEvent.objects.count()
    client = signed_in(world.vera)
    fields = {"attribute_name": ["plan"], "attribute_type": ["text"], "attribute_value": [PLANTED]}
    with caplog.at_level("DEBUG"):
        response = ask(client, flag.key, other.key, targeting_key=PLANTED, **fields)
        ask(client, flag.key, context_as="json", context_json='{"a": "' + PLANTED)

    written = capfd.readouterr()
    ours = "".join(record.getMessage() for record in caplog.records if not record.name.startswith("django.db"))
    assert response.status_code == 200
    assert PLANTED not in ours + written.out
    assert AuditEvent.objects.count() == events
    assert all(PLANTED not in str(value) for value in client.session.items())


def test_playground__more_flags__take_no_more_queries(world: World, flag: Flag, other: Flag):
    client = signed_in(world.vera)
    with CaptureQueriesContext(connection) as few:
        ask(client, flag.key, environments=["production"])
    more = [world.flag(f"flag-{number}").key for number in range(6)]
    with CaptureQueriesContext(connection) as many:
        response = ask(client, flag.key, other.key, *more)

    assert len(answers(response)) == 24
    assert len(many) == len(few)


def test_playground__flags_of_an_environment__are_compiled_together_and_cut_together(
    world: World, flag: Flag, other: Flag, monkeypatch: pytest.MonkeyPatch
):
    compiled: list[list[str]] = []
    nodes: list[int] = []

    def compiling(snapshot: Any, keys: Any, **options: Any) -> Any:
        compiled.append(sorted(keys))
        return compile_related(snapshot, keys, **options)

    def explaining(*given: Any, **options: Any) -> Any:
        nodes.append(options["nodes"])
        return explain_compiled(*given, **options)

    monkeypatch.setattr(selector, "compile_related", compiling)
    monkeypatch.setattr(selector, "explain_compiled", explaining)
    monkeypatch.setattr(selector, "_PAGE_NODES", 1_200)

    ask(signed_in(world.vera), flag.key, other.key)

    assert compiled == [sorted([flag.key, other.key])] * 3
    assert nodes == [200] * 6


def test_navigation__anybody_with_a_role__finds_the_playground(world: World, flag: Flag):
    client = signed_in(world.vera)

    assert 'href="/admin/playground/"' in text_of(client.get("/admin/flags/flag/"))
    assert "/admin/playground/" in text_of(client.get("/admin/search/", {"s": "playgr"}))


def read(**fields: Any) -> Any:
    posted = QueryDict(mutable=True)
    for name, value in fields.items():
        posted.setlist(name, value if isinstance(value, list) else [value])
    return read_context_draft(posted, [AttributeLine("plan", "text", "", "What they pay for", True)])


@pytest.mark.parametrize(
    ("kind", "typed", "value"),
    [
        ("text", " gold ", " gold "),
        ("text", "42", "42"),
        ("number", "42", 42),
        ("number", "-3.5", -3.5),
        ("number", "3,5", 3.5),
        ("number", "1e3", 1000.0),
        ("boolean", "True", True),
        ("boolean", "no", False),
        ("json", '["a", 1]', ["a", 1]),
        ("json", "null", None),
        ("made-up", "x", "x"),
    ],
)
def test_read_context_draft__types__become_json_values(kind: str, typed: str, value: Any):
    draft = read(attribute_name="a", attribute_type=kind, attribute_value=typed)

    assert draft.problems == []
    assert draft.context == {"a": value}
    assert type(draft.context["a"]) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        '{"targetingKey": "u", "context": {"a": 1}}',
        '{"targetingKey": "u", "plan": "gold"}',
        '{"context": {"targetingKey": "u"}}',
        "",
    ],
)
def test_read_context_draft__json__takes_a_context_or_a_request_body(text: str):
    draft = read(context_as="json", context_json=text)

    expected = json.loads(text or "{}")
    assert draft.problems == []
    assert draft.context == (expected["context"] if expected.keys() == {"context"} else expected)


def test_read_context_draft__empty_lines_and_values__are_not_sent():
    columns = {
        "attribute_name": ["plan", "role", ""],
        "attribute_type": ["text"] * 3,
        "attribute_value": ["", "  ", ""],
    }

    draft = read(targeting_key="", **columns)

    assert draft.context == {}
    assert draft.problems == []
    assert [line.is_declared for line in draft.lines] == [True, False]


def test_snapshots__store__is_left_alone_by_the_playground(world: World, flag: Flag):
    ask(signed_in(world.vera), flag.key)

    assert not snapshots.store.is_loaded
