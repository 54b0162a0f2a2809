"""The editor of rollout plans: from fields to a draft and back, and the preview beside it."""

from dataclasses import replace
from typing import Any

import pytest
from django.urls import reverse

from rollouts.admin.plans.posted import arms_of, definition_from, fields_of_definition
from rollouts.admin.plans.shapes import usual_fields
from rollouts.admin.plans.stage_rows import with_row, without_row
from rollouts.admin.plans.typed import Typed, duration_fields, percent_text
from rollouts.models import RolloutPlan
from rollouts.plans.codec import from_json
from rollouts.plans.definition import Check, CheckKind, GuardAction, MetricKind, Patch, Stage, Strategy
from rollouts.plans.transitions import PlanState
from rollouts.services.guard_metrics import MetricFields, add_metric
from tests.factories import NOW, World, actor_of, percent_document
from tests.rollouts.calendars import freeze
from tests.rollouts.plans.support import PlanBench, definition_of, plan_in, reloaded
from tests.support.admin import HOSTILE, signed_in, text_of

ADD = "admin:rollouts_rolloutplan_add"
FLAG = {"flags": "1", "flag-0": "checkout-redesign", "variant-0": "on", "against-0": "off"}


@pytest.fixture
def bench(world: World) -> PlanBench:
    """A flag in production and staging, and short ways to roll it out."""
    return PlanBench(world, world.first_flag)


def form(**changed: str) -> dict[str, str]:
    """What the form of a new plan sends; names with `__` for the dashes."""
    more = {name.replace("__", "-"): value for name, value in changed.items()}
    return {**usual_fields(), **FLAG, "title": "Checkout for everybody", "do": "save", **more}


def rows(*shares: str, **more: str) -> dict[str, str]:
    """Stages of one's own with these shares, thirty minutes each."""
    found = {"strategy": "custom", "rows": str(len(shares))}
    for number, share in enumerate(shares):
        prefix = f"row-{number}"
        found |= {f"{prefix}-kind": "share", f"{prefix}-share": share, f"{prefix}-soak": "30"}
        found |= {f"{prefix}-soak-unit": "minutes"}
    return {**found, **{name.replace("__", "-"): value for name, value in more.items()}}


def add_url(bench: PlanBench, *, protected: bool = False) -> str:
    environment = bench.production if protected else bench.staging
    return f"{reverse(ADD)}?environment={environment.pk}"


def post(bench: PlanBench, fields: dict[str, str], *, protected: bool = False) -> Any:
    return signed_in(bench.world.rita).post(add_url(bench, protected=protected), fields, follow=True)


# Fields, without a database


@pytest.mark.parametrize(
    ("text", "weight"),
    [("25", 25_000), ("0.5", 500), ("0,5 %", 500), ("33.333", 33_333), ("100", 100_000), ("", 0), ("0", 0)],
)
def test_share__as_people_type_it__is_a_weight(text: str, weight: int) -> None:
    typed = Typed({"share": text})

    assert typed.share("share", "the share") == weight
    assert not typed.problems


@pytest.mark.parametrize("text", ["101", "-1", "a lot", "1e3", "0.0001", "١٠", "25 25", "NaN"])
def test_share__that_is_none__is_named_and_counts_as_nobody(text: str) -> None:
    typed = Typed({"share": text})

    assert typed.share("share", "the share") == 0
    assert "percentage from 0 to 100" in typed.problems["share"]


@pytest.mark.parametrize("weight", [0, 1, 500, 1_000, 2_500, 33_333, 100_000])
def test_share__shown_and_read_again__is_the_same(weight: int) -> None:
    assert Typed({"share": percent_text(weight)}).share("share", "the share") == weight


@pytest.mark.parametrize("minutes", [0, 1, 59, 60, 90, 1_440, 1_500, 2_880])
def test_duration__shown_and_read_again__is_the_same(minutes: int) -> None:
    assert Typed(duration_fields("soak", minutes)).minutes("soak", "the time") == minutes


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"flag-0": ""}, "flag-0"),
        ({"variant-0": ""}, "variant-0"),
        ({"against-0": "on"}, "against-0"),
        ({"flags": "2", "flag-1": "checkout-redesign", "variant-1": "on"}, "flag-1"),
    ],
)
def test_flags__that_cannot_be__are_named(changed: dict[str, str], field: str) -> None:
    typed = Typed({**FLAG, **changed})

    arms_of(typed)

    assert field in typed.problems


@pytest.mark.parametrize(
    ("strategy", "more", "shares"),
    [
        ("exponential", {}, [1_000, 5_000, 10_000, 25_000, 50_000, 100_000]),
        ("linear", {"linear-steps": "4"}, [25_000, 50_000, 75_000, 100_000]),
        ("linear", {"linear-steps": "2", "linear-start": "50"}, [75_000, 100_000]),
        ("canary", {"canary-weight": "2.5"}, [2_500, 100_000]),
        ("exponential", {"care-hold-back": "5"}, [1_000, 5_000, 10_000, 25_000, 50_000, 95_000]),
        ("blue_green", {}, [100_000]),
    ],
)
def test_definition__of_each_strategy__has_its_shares(strategy: str, more: dict[str, str], shares: list[int]) -> None:
    definition = definition_from(Typed({**form(), **more, "strategy": strategy}), [])

    assert definition is not None
    assert [stage.patches[0].weight for stage in definition.stages] == shares
    assert definition.strategy == strategy


def test_definition__rings__one_stage_per_segment_then_everybody() -> None:
    typed = Typed({**form(), "strategy": "ring", "ring-segments-0": "staff", "ring-segments-1": "beta"})

    definition = definition_from(typed, [])

    assert definition is not None
    assert [stage.patches[0].segment for stage in definition.stages] == ["staff", "beta", None]


def test_definition__several_flags__go_in_step() -> None:
    more = {"flags": "2", "flag-1": "hero-banner", "variant-1": "new", "against-1": "old", "strategy": "canary"}

    definition = definition_from(Typed({**form(), **more}), [])

    assert definition is not None
    assert definition.flags == ("checkout-redesign", "hero-banner")
    assert [[patch.weight for patch in stage.patches] for stage in definition.stages] == [[5_000] * 2, [100_000] * 2]


@pytest.mark.parametrize(
    ("strategy", "changed", "field"),
    [
        ("linear", {"linear-steps": "0"}, "linear-steps"),
        ("linear", {"linear-steps": "999"}, "linear-steps"),
        ("exponential", {"exponential-minutes": "soon"}, "exponential-minutes"),
        ("ring", {}, "ring-segments-0"),
        ("canary", {"canary-weight": "lots"}, "canary-weight"),
        ("custom", rows("10", "many"), "row-1-share"),
        ("custom", rows("10", ""), "row-1-share"),
        ("custom", rows("10", row__0__kind="segment"), "row-0-segment"),
        ("custom", rows("10") | {"row-0-not-before": "tomorrow"}, "row-0-not-before"),
        ("custom", rows("10", row__0__check__kind="prometheus", row__0__check__threshold="x"), "row-0-check-threshold"),
    ],
)
def test_definition__bad_input__is_named_by_its_field(strategy: str, changed: dict[str, str], field: str) -> None:
    typed = Typed({**form(), **changed, "strategy": strategy})

    assert definition_from(typed, []) is None
    assert field in typed.problems


@pytest.mark.parametrize("strategy", ["exponential", "linear", "canary", "ring", "blue_green"])
def test_definition__shown_as_rows_and_read_again__is_the_same(strategy: str) -> None:
    care = {"care-monitored": "1", "care-approvals": "2", "care-sample": "50", "ring-segments-0": "staff"}
    definition = definition_from(Typed({**form(), **care, "strategy": strategy, "may_skip": "1"}), [])
    assert definition is not None

    again = definition_from(Typed(fields_of_definition(definition)), [], definition)

    assert again == definition


def test_definition__what_rows_cannot_say__is_kept() -> None:
    values = Stage("Prices", (Patch("checkout-redesign", default_variant="on"),))
    checks = tuple(Check(name, CheckKind.HTTP, url="https://status.example.test") for name in ("one", "two"))
    definition = definition_of()
    first = replace(definition.stages[0], gates=replace(definition.stages[0].gates, checks=checks))
    definition = replace(definition, stages=(first, values, *definition.stages[1:]))

    again = definition_from(Typed(fields_of_definition(definition)), [], definition)

    assert again is not None
    assert again.stages[1].patches == values.patches
    assert again.stages[0].gates.checks == checks


def test_rows__one_removed_and_one_added__the_others_stay() -> None:
    fields = rows("10", "20", "30")

    left = without_row(fields, 1)
    more = with_row(left)

    assert [left[f"row-{number}-share"] for number in range(2)] == ["10", "30"]
    assert left["rows"] == "2"
    assert more["rows"] == "3"
    assert more["row-2-soak"] == "30"
    assert "row-2-share" not in more


# The pages


def test_add__without_environment__asks_for_those_where_the_person_plans(bench: PlanBench) -> None:
    shown = text_of(signed_in(bench.world.rita).get(reverse(ADD)))
    nothing = text_of(signed_in(bench.world.vera).get(reverse(ADD)))

    assert f"?environment={bench.staging.pk}" in shown
    assert "You plan nowhere yet" in nothing


def test_add__from_a_flag__is_filled_in_and_previewed(bench: PlanBench) -> None:
    text = text_of(signed_in(bench.world.rita).get(f"{add_url(bench)}&flag={bench.flag.pk}"))

    assert "Checkout redesign for everybody" in text
    assert "done" in text
    assert "at the earliest" in text
    assert "<option selected>on</option>" in text


@pytest.mark.parametrize("protected", [False, True])
def test_add__saved__is_a_draft_and_nothing_is_served(bench: PlanBench, protected: bool) -> None:
    response = post(bench, form(strategy="linear", linear__steps="4", reason="Stable"), protected=protected)

    plan = RolloutPlan.objects.get()
    assert plan.current_state is PlanState.DRAFT
    assert len(plan.definition["stages"]) == 4
    assert plan.definition["strategy"] == Strategy.LINEAR
    assert ("propose it" if protected else "start it") in text_of(response)
    assert bench.share_of(plan) == 0


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"title": ""}, "Give the plan a title"),
        ({"flag-0": ""}, "Choose the flag to roll out."),
        ({"against-0": "on"}, "Choose another variant than the one that grows."),
        (rows("10", "much more", "100"), "as a percentage from 0 to 100"),
        (rows(), "stage"),
        (rows("10", row__0__monitored="1"), "guard"),
    ],
)
def test_add__bad_input__loses_nothing(bench: PlanBench, changed: dict[str, str], words: str) -> None:
    response = post(bench, {**form(reason="Typed with care"), **changed})

    text = text_of(response)
    assert response.status_code in {400, 422}
    assert words in text
    assert "Typed with care" in text
    assert not RolloutPlan.objects.exists()
    for name, value in changed.items():
        if name.endswith("-share"):
            assert f'value="{value}"' in text


def test_add__takes_something_away__is_saved_once_that_is_confirmed(bench: PlanBench) -> None:
    fields = {**form(), **rows("50", "20", "100")}

    asked = post(bench, fields)
    saved = post(bench, {**fields, "is_confirmed": "1"})

    assert "On its way it takes something away" in text_of(asked)
    assert "That is meant" in text_of(asked)
    assert "The draft is saved" in text_of(saved)
    assert RolloutPlan.objects.count() == 1


@pytest.mark.parametrize(
    ("do", "shown", "gone"),
    [
        ("add_stage", 'name="row-2-share"', 'name="row-3-share"'),
        ("remove_stage-0", 'name="row-0-share"', 'name="row-1-share"'),
        ("remove_stage-99", 'name="row-1-share"', 'name="row-2-share"'),
        ("add_flag", 'name="flag-1"', 'name="flag-2"'),
        ("remove_flag-x", 'name="flag-0"', 'name="flag-1"'),
        ("nonsense", 'name="row-1-share"', 'name="row-2-share"'),
    ],
)
def test_buttons__without_scripts__change_rows_and_save_nothing(
    bench: PlanBench, do: str, shown: str, gone: str
) -> None:
    response = post(bench, {**form(), **rows("10", "100"), "do": do})

    text = text_of(response)
    assert response.status_code == 200
    assert shown in text
    assert gone not in text
    assert not RolloutPlan.objects.exists()


def test_checks__several_of_a_stage__are_saved_and_one_more_is_offered(bench: PlanBench) -> None:
    two = {"row-0-check-kind": "http", "row-0-check-url": "https://status.example.test/a"}
    two |= {"row-0-check-2-kind": "http", "row-0-check-2-url": "https://status.example.test/b"}
    fields = {**form(), **rows("10", "100"), **two}

    asked = text_of(post(bench, {**fields, "do": "add_check-0"}))
    definition = definition_from(Typed(fields), [])

    assert 'name="row-0-check-3-kind"' in asked
    assert 'name="row-0-check-4-kind"' not in asked
    assert definition is not None
    assert [check.url[-1] for check in definition.stages[0].gates.checks] == ["a", "b"]


def test_spell_out__stages_of_a_strategy__become_rows(bench: PlanBench) -> None:
    text = text_of(post(bench, form(strategy="canary", canary__weight="2.5", do="spell_out")))

    assert 'value="2.5"' in text
    assert 'id="strategy-custom" value="custom" checked' in text
    assert 'name="shape" value="canary"' in text


def test_preview__freeze_in_between__moves_what_comes_after_it(bench: PlanBench) -> None:
    window = freeze(bench.world, environments=[bench.staging])

    text = text_of(post(bench, form(do="preview", exponential__minutes="3", **{"exponential__minutes-unit": "days"})))

    assert f"Frozen by “{window.title}”" in text


def test_preview__protected_environment__says_how_many_have_to_approve(bench: PlanBench) -> None:
    bench.require(2)

    text = text_of(post(bench, form(do="preview"), protected=True))

    assert "Proposing it asks for 2 approvals" in text


def test_preview__flag_behind_another_one__says_what_it_needs(bench: PlanBench) -> None:
    parent = bench.world.flag("payments")
    behind = [{"flag": parent.key, "variants": ["on"]}]
    document = {**percent_document(bench.flag.key, 0), "rules": [], "prerequisites": behind}
    bench.world.serve(parent, bench.staging)
    bench.world.serve(bench.flag, bench.staging, document)

    text = text_of(post(bench, form(do="preview")))

    assert "checkout-redesign needs" in text
    assert "payments" in text


def test_guards__from_the_catalogue__are_copied_with_what_was_chosen(bench: PlanBench) -> None:
    fields = MetricFields("Errors at checkout", MetricKind.ERROR_RATE)
    add_metric(bench.world.project.pk, "errors", fields, actor=actor_of(bench.world.rita), now=NOW)
    chosen = {"guard-errors": "1", "breach-errors": "pause", "care-monitored": "1"}

    seen = text_of(post(bench, {**form(do="preview"), **chosen}))
    post(bench, {**form(), **chosen})

    guard = from_json(RolloutPlan.objects.get().definition).guards[0]
    assert (guard.metric, guard.treatment, guard.control) == ("errors", "on", "off")
    assert guard.on_breach is GuardAction.PAUSE
    assert "To see x2 it needs about" in seen
    assert "Nothing was counted for this flag in the last day" in seen


def test_guards__several_flags__watch_the_one_that_was_chosen(bench: PlanBench) -> None:
    banner = bench.world.flag("hero-banner")
    bench.world.serve(banner, bench.staging, {**percent_document(banner.key, 0), "rules": []})
    for name in ("Errors", "Latency"):
        fields = MetricFields(name, MetricKind.ERROR_RATE)
        add_metric(bench.world.project.pk, name.lower(), fields, actor=actor_of(bench.world.rita), now=NOW)
    both = {"flags": "2", "flag-1": banner.key, "variant-1": "off", "against-1": "on"}
    chosen = {"guard-errors": "1", "guard-latency": "1", "watch-latency": banner.key}

    post(bench, {**form(), **both, **chosen, "strategy": "canary", "is_confirmed": "1"})

    plan = RolloutPlan.objects.get()
    definition = from_json(plan.definition)
    arms = {guard.metric: (guard.flag_key, guard.treatment, guard.control) for guard in definition.guards}
    assert arms == {"errors": ("checkout-redesign", "on", "off"), "latency": (banner.key, "off", "on")}
    again = text_of(signed_in(bench.world.rita).get(reverse("admin:rollouts_rolloutplan_edit", args=[plan.pk])))
    assert '<select name="watch-latency">' in again
    assert fields_of_definition(definition)["watch-latency"] == banner.key


def test_edit__draft__shows_its_stages_and_saves_changes(bench: PlanBench) -> None:
    plan = bench.plan(environment=bench.staging)
    client, url = signed_in(bench.world.rita), reverse("admin:rollouts_rolloutplan_edit", args=[plan.pk])
    shown = text_of(client.get(url))
    fields = {**fields_of_definition(from_json(plan.definition)), "title": "Slower", "digest": plan.digest}

    response = client.post(url, {**fields, "row-0-share": "5", "row-0-name": "5 %", "do": "save"}, follow=True)

    saved = reloaded(plan)
    assert 'value="10"' in shown
    assert response.status_code == 200
    assert saved.title == "Slower"
    assert from_json(saved.definition).stages[0].patches[0].weight == 5_000


def test_edit__somebody_else_was_faster__nothing_is_lost_or_overwritten(bench: PlanBench) -> None:
    plan = bench.plan(environment=bench.staging)
    url = reverse("admin:rollouts_rolloutplan_edit", args=[plan.pk])
    fields = {**fields_of_definition(from_json(plan.definition)), "title": "Mine", "digest": "0" * 64, "do": "save"}

    response = signed_in(bench.world.rita).post(url, fields)

    assert response.status_code == 409
    assert "was changed since the page was opened" in text_of(response)
    assert 'value="Mine"' in text_of(response)
    assert reloaded(plan).title == plan.title


def test_edit__started_plan__goes_back_to_its_page_with_a_sentence(bench: PlanBench) -> None:
    plan = plan_in(bench, PlanState.RUNNING)
    url = reverse("admin:rollouts_rolloutplan_edit", args=[plan.pk])

    response = signed_in(bench.world.rita).get(url, follow=True)

    assert response.redirect_chain
    assert "cannot be edited" in text_of(response)


@pytest.mark.parametrize(("who", "status"), [("vera", 403), ("abel", 403), ("ada", 403), ("otto", 404)])
def test_editor__without_the_role__is_shut(bench: PlanBench, who: str, status: int) -> None:
    plan = bench.plan(environment=bench.staging)
    client = signed_in(getattr(bench.world, who))
    edit = reverse("admin:rollouts_rolloutplan_edit", args=[plan.pk])

    assert client.get(add_url(bench)).status_code == status
    assert client.post(add_url(bench), form()).status_code == status
    assert client.post(edit, form()).status_code == status
    assert RolloutPlan.objects.count() == 1


@pytest.mark.parametrize("rubbish", ["9" * 30, "-1", "x", HOSTILE, "\x00", "１２"])
def test_editor__rubbish_in_every_counter__is_no_error(bench: PlanBench, rubbish: str) -> None:
    fields = {**form(do="preview"), "rows": rubbish, "flags": rubbish, "strategy": rubbish, "row-0-from": rubbish}

    response = post(bench, {**fields, "template": rubbish, "care-sample": rubbish})

    assert response.status_code == 200
    assert "<script>alert(1)" not in text_of(response)
