"""The rule builder in a real browser: it changes nothing it was not asked to change, and works from the keyboard."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from django.urls import reverse

from flags.documents import normalise_config
from flags.evaluation.conditions import OPERATORS
from flags.models import Environment, Flag, FlagConfig
from flags.services.configs import edit_segment
from tests.factories import NOW, World, actor_of, make_world, percent_document
from tests.support.admin import signed_in

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

VALUES: dict[str, Any] = {
    "in": ["pro", 5, "x y", 2.5],
    "not_in": ["", "0"],
    "equals": True,
    "not_equals": 7,
    "number_equals": 0.1,
    "less_than": -3,
    "before": "2026-11-21T08:00:00Z",
    "after": "2026-11-21T09:00:00+01:00",
    "version_equals": "2.10.0",
}


def value_of(operator: str) -> Any:
    if operator in VALUES:
        return VALUES[operator]
    if operator.startswith("is_"):
        return None
    if operator.startswith("version_"):
        return "1.2.3"
    return 18 if operator.startswith(("less_", "greater_")) else "text <b>&\u00e4"


def every_operator() -> list[dict[str, Any]]:
    leaves = [{"attribute": f"a{n}", "operator": o, "value": value_of(o)} for n, o in enumerate(OPERATORS)]
    wrapped: list[dict[str, Any]] = [
        {"not": leaves[0]},
        {"not": {"not": leaves[1]}},
        {"and": [leaves[2]]},
        {"or": [{"not": {"and": [leaves[3], {"segment": "beta"}]}}, {"segment": "beta"}]},
        {"not": {"segment": "beta"}},
    ]
    return [*leaves, *wrapped]


def full_document(key: str) -> dict[str, Any]:
    split = [{"variant": "on", "weight": 33_333}, {"variant": "off", "weight": 66_667}]
    rules: list[dict[str, Any]] = [
        {"id": f"r{n}", "description": f"Rule {n}", "condition": condition, "serve": {"variant": "on"}}
        for n, condition in enumerate(every_operator())
    ]
    rules.append({"id": "all", "description": "", "condition": None, "serve": {"split": split}})
    return normalise_config({**percent_document(key, 5), "rules": rules, "off_variant": None})


class Editor:
    """The editor of one flag in one environment, opened by Rita."""

    def __init__(self, page: "Page", address: str, flag: Flag, environment: Environment, world: World) -> None:
        self.page, self.flag, self.environment = page, flag, environment
        self.complaints: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: dialog.accept())
        cookie = signed_in(world.rita).cookies["sessionid"].value
        page.context.add_cookies([{"name": "sessionid", "value": cookie, "url": address}])
        page.goto(address + reverse("admin:flags_config_edit", args=[flag.pk, environment.pk]))
        page.locator(".fe-ready").wait_for()

    def document(self) -> Any:
        """What the form would send."""
        return json.loads(self.page.locator("[name=document]").input_value())

    def key(self, name: str) -> Any:
        """A control by its stable name."""
        return self.page.locator(f'[data-key="{name}"]')


@pytest.fixture
def world() -> World:
    return make_world()


@pytest.fixture
def editor(world: World, page: "Page", live_server: Any) -> Iterator[Editor]:
    flag = world.flag()
    condition = {"schema": 1, "condition": {"attribute": "beta", "operator": "is_true", "value": None}}
    edit_segment(
        world.staging.pk,
        actor=actor_of(world.rita),
        key="beta",
        name="Beta",
        document=condition,
        base_version=0,
        reason="Test",
        now=NOW,
    )
    world.serve(flag, world.staging, full_document(flag.key))
    editor = Editor(page, live_server.url, flag, world.staging, world)
    yield editor
    assert editor.complaints == []


def test_editor__every_operator_opened_and_touched__document_is_unchanged(editor: Editor) -> None:
    rules = len(full_document(editor.flag.key)["rules"])
    for number in range(rules):
        editor.key(f"rules[{number}].toggle").click()
    editor.key("enabled").click()
    editor.key("enabled").click()

    # Typing what is there already must be no change either.
    for field in editor.page.locator("[data-slot=rules] :is(input[type=text], textarea)[data-key]").all():
        if not str(field.get_attribute("data-key")).endswith(".new"):
            field.dispatch_event("input")

    assert editor.document() == full_document(editor.flag.key)
    assert editor.page.locator("[data-main-action]").is_disabled()


def test_editor__a_quarter_by_the_quick_control__is_reviewed_and_saved(editor: Editor) -> None:
    page = editor.page

    page.locator("#fe-quick-share").fill("25")
    page.get_by_text("33.333 % → 25 %").first.wait_for()
    page.locator("[data-main-action]").click()
    page.get_by_label("Why?").fill("A quarter first")
    page.locator("[data-confirm]").click()
    page.wait_for_url("**/flags/flag/**")

    config = FlagConfig.objects.get(flag=editor.flag, environment=editor.environment)
    weights = [part["weight"] for part in config.document["rules"][-1]["serve"]["split"]]
    assert weights == [25_000, 75_000]
    assert len(config.document["rules"]) == len(full_document(editor.flag.key)["rules"])
    assert config.history.latest("version").history_change_reason == "A quarter first"


def test_editor__rule_made_with_the_keyboard_alone__is_there(editor: Editor) -> None:
    page = editor.page
    before = len(editor.document()["rules"])

    editor.key("rules.add").focus()
    page.keyboard.press("Enter")
    page.keyboard.type("Gold customers")
    editor.key(f"rules[{before - 1}].condition.attribute").focus()
    page.keyboard.type("plan")
    page.keyboard.press("Tab")
    page.keyboard.type("is one of")
    page.keyboard.press("Tab")
    page.keyboard.type("gold")
    page.keyboard.press("Enter")
    page.keyboard.type("silver,")
    page.keyboard.press("Alt+ArrowUp")

    rule = editor.document()["rules"][before - 2]
    assert rule["description"] == "Gold customers"
    assert rule["condition"] == {"attribute": "plan", "operator": "in", "value": ["gold", "silver"]}
    assert len(editor.document()["rules"]) == before + 1
    assert page.evaluate("document.activeElement.dataset.key").startswith(f"rules[{before - 2}]")


def test_editor__shares_that_do_not_add_up__are_marked_and_put_right(editor: Editor) -> None:
    page = editor.page
    last = len(editor.document()["rules"]) - 1
    editor.page.locator("details.fe-details summary").click()
    editor.key("variants.add").click()
    editor.key("variants[2].name").fill("maybe")
    page.keyboard.press("Tab")
    editor.key(f"rules[{last}].toggle").click()
    editor.key(f"rules[{last}].serve.addShare").click()
    editor.key(f"rules[{last}].serve.split[0].weight").fill("20,5")

    page.get_by_text("is missing").wait_for()
    page.locator("[data-main-action]").click()
    assert page.locator("#config-review").is_hidden()
    page.get_by_role("button", name="Give the rest to maybe").click()

    split = editor.document()["rules"][last]["serve"]["split"]
    assert [part["weight"] for part in split] == [20_500, 66_667, 12_833]
    page.get_by_text("Adds up to 100 %.").wait_for()


def test_editor__json_edited__builder_follows_and_bad_text_is_not_sent(editor: Editor) -> None:
    page, document = editor.page, editor.document()
    page.get_by_role("tab", name="JSON").click()
    area = page.locator("[name=document]")

    area.fill(json.dumps({**document, "rules": [], "enabled": False}))
    page.get_by_role("tab", name="Builder").click()
    assert page.get_by_text("Switched off").first.is_visible()
    page.get_by_role("tab", name="JSON").click()
    area.fill("{ not json")
    page.locator("[data-main-action]").click()

    assert area.input_value() == "{ not json"
    assert page.locator("#config-review").is_hidden()
    assert page.get_by_text("This is not valid JSON").first.is_visible()


def test_editor__variant_renamed__every_rule_follows(editor: Editor) -> None:
    editor.page.locator("details.fe-details summary").click()
    editor.key("variants[0].name").fill("new")
    editor.page.keyboard.press("Tab")

    document = editor.document()
    assert document["variants"][0]["name"] == "new"
    assert document["rules"][0]["serve"] == {"variant": "new"}
    assert document["rules"][-1]["serve"]["split"][0]["variant"] == "new"

    editor.key("variants[0].name").fill("off")
    editor.page.keyboard.press("Tab")
    assert [variant["name"] for variant in editor.document()["variants"]] == ["new", "off"]


def test_editor__what_off_means__is_chosen_in_words(editor: Editor) -> None:
    editor.page.get_by_label("Serve the variant").first.check()
    assert editor.document()["off_variant"] == "off"

    editor.page.get_by_label("Leave it to the application").first.check()
    assert editor.document()["off_variant"] is None
    assert editor.document()["rules"] == full_document(editor.flag.key)["rules"]


@pytest.mark.parametrize("width", [390, 768, 1440])
def test_editor__any_width__fits_without_scrolling_sideways(editor: Editor, width: int) -> None:
    editor.page.set_viewport_size({"width": width, "height": 844})
    for number in (2, 28, 31):
        editor.key(f"rules[{number}].toggle").click()

    assert editor.page.evaluate("document.documentElement.scrollWidth") <= width
    action = editor.page.locator("[data-main-action]").bounding_box()
    assert action is not None
    assert action["y"] + action["height"] <= 844
