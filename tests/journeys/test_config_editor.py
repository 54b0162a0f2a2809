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


WINDOW = {"ends_at": "2999-12-31T23:59:59.5Z"}
BEFORE_RULES: dict[str, Any] = {
    "prerequisites": [{"flag": "parent", "variants": ["on"]}],
    "targets": [
        {"variant": "on", "keys": ["user-1", " kept as it is ", "a,b;c", "<b>&\u00e4\u20ac"]},
        {"variant": "off", "keys": ["user-2"]},
    ],
    "client_visible": True,
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
    rules[0] |= {"starts_at": "2026-11-27T00:00:00Z", "ends_at": "2026-12-01T08:30:15Z"}
    spread = {"bucket_by": "company", "salt": "of its own"}
    rules.append({"id": "spread", "description": "", "condition": None, "serve": {"split": split}, **WINDOW, **spread})
    rules.append({"id": "all", "description": "", "condition": None, "serve": {"split": split}})
    return normalise_config({**percent_document(key, 5), **BEFORE_RULES, "rules": rules, "off_variant": None})


# All of them from inside the page: one by one, asking the browser takes far longer than the editor does. A field may be
# made anew by what an earlier one did, so each is looked for when it is its turn.
TOUCH_EACH = """selector => {
    const keys = [...document.querySelectorAll(selector)].map(field => field.dataset.key);
    for (const key of keys) {
        const field = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
        field.dispatchEvent(new Event("input", {bubbles: true, cancelable: true, composed: true}));
    }
    return keys.length;
}"""

PRESS_EACH = """keys => {
    for (const key of keys) {
        document.querySelector(`[data-key="${CSS.escape(key)}"]`).click();
    }
}"""


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
    world.serve(world.flag("parent"), world.staging)
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
    editor.key("rules[0].toggle").click()
    editor.page.evaluate(PRESS_EACH, [f"rules[{number}].toggle" for number in range(1, rules)])
    opened = editor.page.locator("[data-slot=rules] [data-key$='.toggle'][aria-expanded=true]").count()
    editor.key("enabled").click()
    editor.key("enabled").click()

    # Typing what is there already must be no change either.
    fields = ":is(input[type=text], .fe-window input, textarea)[data-key]:not([data-key$='.new'])"
    touched = editor.page.evaluate(TOUCH_EACH, f":is([data-slot=rules], [data-slot=targets]) {fields}")

    assert opened == rules
    assert touched > 2 * len(OPERATORS)
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


def test_editor__reason_of_spaces__is_refused_in_words_that_stay_until_something_is_typed(editor: Editor) -> None:
    page = editor.page
    page.locator("#fe-quick-share").fill("25")
    page.get_by_text("33.333 % → 25 %").first.wait_for()
    page.locator("[data-main-action]").click()
    why = page.get_by_label("Why?")
    why.fill("   ")
    page.locator("[data-confirm]").click()

    said = page.locator("#config-review .fe-problem")
    # Leaving a field has the messages drawn anew a moment later.
    page.evaluate("() => new Promise(done => setTimeout(done, 200))")
    assert said.inner_text() == "Say why, in a few words."
    assert why.get_attribute("aria-invalid") == "true"
    assert why.get_attribute("aria-describedby") == said.get_attribute("id")
    why.fill("A quarter first")
    said.wait_for(state="detached")
    assert why.get_attribute("aria-invalid") is None


def changes(*sentences: str, path: str = "enabled") -> list[dict[str, str]]:
    return [{"path": path, "sentence": sentence} for sentence in sentences]


FIRST = changes("First configuration here. Switched on: on for everyone.", path="")
SMILES = "\U0001f600"
TITLES = [
    ("Express", [*FIRST, *changes("a", "b", "c", path="x")], "Express: first configuration here, and 3 more changes"),
    ("Express", changes("Switched on"), "Express: switched on"),
    ("Express", changes("Rule 2 “Beta. Two”: on → off", "x"), "Express: on → off, and 1 more change"),
    ("Express", [], "Express: settings"),
    ("Express", changes("one two " * 30), f"Express: {'one two ' * 12}one…"),
    (SMILES * 120, changes("x" * 120, "y"), f"{SMILES * 49}…: {'x' * 38}…, and 1 more change"),
]


def test_titles__suggested__are_one_line_of_bounded_length(editor: Editor) -> None:
    suggested = """async ([name, found]) =>
        (await import("/static/flagsite/editor/titles.js")).suggestedTitle(name, found)"""

    for name, found, title in TITLES:
        assert editor.page.evaluate(suggested, [name, found]) == title
        assert len(title) <= 110


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
    editor.page.locator("details.fe-details summary", has_text="Variants").click()
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
    editor.page.locator("details.fe-details summary", has_text="Variants").click()
    editor.key("variants[0].name").fill("new")
    editor.page.keyboard.press("Tab")

    document = editor.document()
    assert document["variants"][0]["name"] == "new"
    assert document["targets"][0]["variant"] == "new"
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


def test_editor__targets_pasted__are_counted_and_a_key_gets_one_variant(editor: Editor) -> None:
    page = editor.page
    page.get_by_text("Individual targets").click()
    paste = "(area, text) => { const data = new DataTransfer(); data.setData('text', text); "
    paste += "area.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, cancelable: true })); }"

    editor.key("targets.off").evaluate("area => area.setSelectionRange(area.value.length, area.value.length)")
    editor.key("targets.off").evaluate(paste, "user-3, user-4; user-1")

    page.get_by_text("user-1 is also named for on").wait_for()
    assert page.locator(".fe-target-count").all_inner_texts() == ["4 keys", "4 keys"]
    page.get_by_role("button", name="Keep only here").last.click()
    assert editor.document()["targets"] == [
        {"variant": "on", "keys": [" kept as it is ", "a,b;c", "<b>&\u00e4\u20ac"]},
        {"variant": "off", "keys": ["user-2", "user-3", "user-4", "user-1"]},
    ]
    editor.key("targets.on.remove").click()
    editor.key("targets.off.remove").click()
    assert "targets" not in editor.document()


def test_editor__prerequisite_removed_and_chosen_again__leaves_the_document_as_it_was(editor: Editor) -> None:
    editor.page.get_by_text("Needs other flags").click()
    before = editor.document()

    editor.key("prerequisites[0].remove").click()
    assert "prerequisites" not in editor.document()
    editor.key("prerequisites.add").click()
    editor.key("prerequisites[0].flag").select_option("parent")

    assert editor.document() == before
    editor.page.get_by_text("Staging now: ").wait_for()


def test_editor__one_variant_instead_of_a_split__drops_what_only_a_split_has(editor: Editor) -> None:
    number = len(full_document(editor.flag.key)["rules"]) - 2
    before = editor.document()["rules"][number]
    editor.key(f"rules[{number}].toggle").click()

    editor.key(f"rules[{number}].serve.kind.variant").check()
    assert not editor.document()["rules"][number].keys() & {"salt", "bucket_by"}
    editor.key(f"rules[{number}].serve.kind.split").check()

    rule = editor.document()["rules"][number]
    assert (rule["salt"], rule["bucket_by"]) == (before["salt"], before["bucket_by"])
    editor.key(f"rules[{number}].bucket_by").fill("team")
    editor.page.get_by_text("This assigns people anew").wait_for()


TIMES = [
    ("UTC", "2026-12-01T09:00", "2026-12-01T09:00:00Z", "2026-12-01T09:00"),
    ("Europe/Oslo", "2026-12-01T09:00", "2026-12-01T08:00:00Z", "2026-12-01T09:00"),
    ("Europe/Oslo", "2026-07-01T09:00:30", "2026-07-01T07:00:30Z", "2026-07-01T09:00:30"),
    ("America/St_Johns", "2026-07-01T00:00", "2026-07-01T02:30:00Z", "2026-07-01T00:00"),
    # The clocks skip half past two on this day, and show it twice on the next.
    ("Europe/Oslo", "2026-03-29T02:30", "2026-03-29T01:30:00Z", "2026-03-29T03:30"),
    ("Europe/Oslo", "2026-10-25T02:30", "2026-10-25T01:30:00Z", "2026-10-25T02:30"),
    ("Pacific/Apia", "2026-01-01T00:00", "2025-12-31T11:00:00Z", "2026-01-01T00:00"),
    ("UTC", "", "", ""),
]


def test_times__wall_time_in_any_zone__becomes_the_instant_and_back(editor: Editor) -> None:
    both = """async ([zone, wall]) => {
        const times = await import("/static/flagsite/editor/times.js");
        const instant = times.instantFromWall(wall, zone);
        return [instant, times.wallFromInstant(instant, zone)];
    }"""

    for zone, wall, instant, back in TIMES:
        assert editor.page.evaluate(both, [zone, wall]) == [instant, back], (zone, wall)


@pytest.mark.parametrize("width", [390, 768, 1440])
def test_editor__any_width__fits_without_scrolling_sideways(editor: Editor, width: int) -> None:
    editor.page.set_viewport_size({"width": width, "height": 844})
    for fold in editor.page.locator("details.fe-details").all():
        fold.evaluate("fold => { fold.open = true; }")
    for number in (0, 2, 28, 31):
        editor.key(f"rules[{number}].toggle").click()

    assert editor.page.evaluate("document.documentElement.scrollWidth") <= width
    action = editor.page.locator("[data-main-action]").bounding_box()
    assert action is not None
    assert action["y"] + action["height"] <= 844


def test_proposal__prerequisite_target_and_window__reads_as_sentences_in_the_request(
    world: World, page: "Page", live_server: Any
) -> None:
    flag, parent = world.flag("express"), world.flag("parent", name="Parent")
    for item in (flag, parent):
        world.serve(item, world.production, percent_document(item.key, 10))
    editor = Editor(page, live_server.url, flag, world.production, world)

    page.get_by_text("Needs other flags").click()
    editor.key("prerequisites.add").click()
    editor.key("prerequisites[0].flag").select_option("parent")
    page.get_by_text("Individual targets").click()
    editor.key("targets.add.on").click()
    editor.key("targets.on").fill("user-1\nuser-2")
    editor.key("rules.add").click()
    editor.key("rules[0].description").fill("Black Friday")
    editor.key("rules[0].condition.attribute").fill("country")
    editor.key("rules[0].condition.value").fill("NO")
    page.get_by_text("More: only for a time").first.click()
    editor.key("rules[0].starts_at").fill("2026-11-27T08:00")
    page.locator("[data-slot=changes]").get_by_text("user-1").wait_for()
    page.locator("[data-main-action]").click()
    page.get_by_label("Why?").fill("Ready for the weekend")
    page.locator("[data-confirm]").click()
    page.wait_for_url("**/changerequest/**")

    text = page.locator(".rq-sentences").inner_text()
    for sentence in (
        "Prerequisite added: parent must serve “on”",
        "“user-1”, “user-2”",
        "from 2026-11-27 08:00 UTC",
    ):
        assert sentence in text
    assert editor.complaints == []
