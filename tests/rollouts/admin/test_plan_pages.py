"""The pages of rollout plans: list, page, acts, templates."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from flags.models import FlagConfig, LocalKill, MetricCount, Segment
from flags.services.configs import edit_config
from flags.services.tickets import governed_write
from rollouts.models import PlanTemplate, RolloutPlan
from rollouts.plans.definition import GuardSpec, MetricKind
from rollouts.plans.strategies import ring
from rollouts.plans.transitions import PlanState
from rollouts.services.guarding import refresh_guards
from rollouts.services.incidents import open_incident
from rollouts.services.plans.drafting import create_plan
from rollouts.services.plans.engine import advance_due
from tests.factories import NOW, World, actor_of, percent_document
from tests.rollouts.calendars import freeze
from tests.rollouts.plans.support import PlanBench, definition_of, plan_in, reloaded
from tests.support.admin import HOSTILE, signed_in, text_of

LIST = "admin:rollouts_rolloutplan_changelist"
GUARD = GuardSpec("errors", "Errors at checkout", MetricKind.ERROR_RATE, "checkout-redesign", "on", "off")


@pytest.fixture
def bench(world: World) -> PlanBench:
    """A flag in production and staging, and short ways to roll it out."""
    return PlanBench(world, world.first_flag)


def page_of(plan: RolloutPlan) -> str:
    return reverse("admin:rollouts_rolloutplan_change", args=[plan.pk])


def act_on(plan: RolloutPlan, act: str) -> str:
    return reverse("admin:rollouts_plan_act", args=[plan.pk, act])


def fields_for(plan: RolloutPlan, **more: Any) -> dict[str, Any]:
    """What the page's own dialogs send."""
    return {"digest": plan.digest, "sequence": plan.sequence, "reason": "Because", **more}


def buttons(text: str) -> set[str]:
    """The acts that the page offers."""
    return set(re.findall(r'data-opens="([a-z_]+)"', text))


def measure(bench: PlanBench, plan: RolloutPlan, *, minutes: int, bad: int, skip: range = range(0)) -> None:
    """Telemetry of some minutes from the start on: 40 people a side, `bad` of them with the new variant."""
    begun = plan.stage_entered_at or NOW
    MetricCount.objects.bulk_create(
        MetricCount(
            environment=plan.environment,
            span="minute",
            at=begun + timedelta(minutes=minute),
            metric="errors",
            flag_key="checkout-redesign",
            variant=variant,
            count=people,
            bad=ill,
            units=people,
            bad_units=ill,
        )
        for minute in range(minutes)
        if minute not in skip
        # As many as the first stage's share of 10 % brings.
        for variant, people, ill in (("on", 40, bad), ("off", 360, 9))
    )


# The list


def test_list__plans_in_every_state__each_tab_shows_its_own(bench: PlanBench) -> None:
    bench.proposed()
    plan_in(bench, PlanState.COMPLETED)
    running = bench.approved_and_started()
    client = signed_in(bench.world.vera)

    live, waiting, over = (text_of(client.get(reverse(LIST), {"tab": tab})) for tab in ("live", "waiting", "over"))

    assert page_of(running) in live
    assert "Rolling out" in live
    assert "10 % now" in live
    assert "Waits for approval" in waiting
    assert page_of(running) not in waiting + over
    assert "Completed" in over


@pytest.mark.parametrize(
    ("asked", "is_found"),
    [({"q": "checkout"}, True), ({"q": "#1"}, True), ({"q": "banner"}, False), ({"environment": "no-id"}, False)],
)
def test_list__search_and_environment__narrow_it(bench: PlanBench, asked: dict[str, str], is_found: bool) -> None:
    plan = plan_in(bench, PlanState.RUNNING)

    text = text_of(signed_in(bench.world.vera).get(reverse(LIST), asked))

    assert (page_of(plan) in text) is is_found
    assert ("No plan matches" in text) is not is_found


def test_list__outsider__sees_no_plan_and_no_button(bench: PlanBench) -> None:
    plan = plan_in(bench, PlanState.RUNNING)
    client = signed_in(bench.world.otto)

    text = text_of(client.get(reverse(LIST)))

    assert plan.title not in text
    assert "New plan" not in text
    assert client.get(page_of(plan)).status_code == 404
    assert client.get(reverse("admin:rollouts_plan_live", args=[plan.pk])).status_code == 404


def test_list__many_plans__constant_number_of_queries(bench: PlanBench, django_assert_max_num_queries: Any) -> None:
    for _ in range(6):
        bench.plan(guards=(GUARD,))
    client = signed_in(bench.world.vera)
    client.get(reverse(LIST))

    with django_assert_max_num_queries(18):
        client.get(reverse(LIST), {"tab": "waiting"})


# The page


def test_page__running__says_what_is_served_what_comes_next_and_when(bench: PlanBench) -> None:
    plan = bench.started(gates={1: {"approvals": 1}})

    text = text_of(signed_in(bench.world.rita).get(page_of(plan)))

    assert "Next comes “50 %”, at the earliest" in text
    assert "Served for 0 of 30 minutes" in text
    assert "10\u00a0%" in text
    assert "of all people get “on” of checkout-redesign now" in text
    assert "1 approval to leave this stage" in text
    assert "Abel Test" in text
    assert 'aria-current="step"' in text


def test_page__freeze_before_the_next_stage__says_that_it_comes_after_it(bench: PlanBench) -> None:
    plan = bench.started()
    now = timezone.now()
    with governed_write(plan.environment_id):
        RolloutPlan.objects.filter(pk=plan.pk).update(stage_entered_at=now)
    freeze(bench.world, now - timedelta(hours=1), now + timedelta(hours=30), environments=[bench.staging])

    text = text_of(signed_in(bench.world.rita).get(page_of(plan)))

    assert "Until then a freeze of the calendar is in the way." in text


def test_page__served_share__is_read_from_the_flag_and_not_from_the_plan(bench: PlanBench) -> None:
    plan = bench.started()
    edit_config(
        bench.flag.pk,
        plan.environment_id,
        actor=actor_of(bench.world.rita),
        document=percent_document(bench.flag.key, 3),
        base_version=FlagConfig.objects.get(flag=bench.flag, environment=plan.environment_id).version,
        now=NOW,
        reason="Less",
    )

    text = text_of(signed_in(bench.world.rita).get(page_of(plan)))

    assert "Somebody else changed" in text
    assert "3\u00a0%" in text
    assert "of all people get “on” of checkout-redesign now" in text


@pytest.mark.parametrize(
    ("state", "who", "offered"),
    [
        (PlanState.DRAFT, "rita", {"start", "abort"}),
        (PlanState.DRAFT, "abel", set()),
        (PlanState.PROPOSED, "rita", {"recall", "abort"}),
        (PlanState.RUNNING, "rita", {"pause", "roll_back", "abort"}),
        (PlanState.RUNNING, "rolf", {"pause", "roll_back", "abort"}),
        (PlanState.RUNNING, "vera", set()),
        (PlanState.PAUSED, "rita", {"resume", "roll_back", "abort", "copy"}),
        (PlanState.ROLLED_BACK, "rita", {"abort", "copy"}),
        (PlanState.ROLLED_BACK, "rolf", {"resume", "abort"}),
        (PlanState.COMPLETED, "rita", {"roll_back", "copy"}),
        (PlanState.ABORTED, "rita", {"copy"}),
    ],
)
def test_page__buttons__are_what_the_person_may_do_now(
    bench: PlanBench, state: PlanState, who: str, offered: set[str]
) -> None:
    plan = plan_in(bench, state)

    text = text_of(signed_in(getattr(bench.world, who)).get(page_of(plan)))

    assert buttons(text) == offered
    for act in offered:
        assert f'id="dialog-{act}"' in text


@pytest.mark.parametrize("moved", ["nothing", "its flag", "a segment of its stages", "another segment"])
def test_page__draft__is_brought_up_to_date_only_where_something_moved(bench: PlanBench, moved: str) -> None:
    within = {"schema": 1, "condition": {"attribute": "plan", "operator": "equals", "value": "beta"}}
    fields = {"environment": bench.staging, "version": 1, "document": within, "updated_at": NOW}
    with governed_write(bench.staging.pk):
        Segment.objects.bulk_create(Segment(key=key, name=key, **fields) for key in ("beta", "other"))
    stages = ring("checkout-redesign", variant="on", against="off", segments=["beta"], minutes=5)
    plan = bench.plan(environment=bench.staging, stages=stages)
    if moved == "its flag":
        bench.world.serve(bench.flag, bench.staging, {**bench.served(), "salt": "other/"})
    elif moved != "nothing":
        with governed_write(bench.staging.pk):
            Segment.objects.filter(key="other" if moved == "another segment" else "beta").update(version=2)

    text = text_of(signed_in(bench.world.rita).get(page_of(plan)))

    assert ("rebase" in buttons(text)) is (moved in {"its flag", "a segment of its stages"})
    assert ("Bring up to date" in text) is ("rebase" in buttons(text))


def test_page__role_is_missing__says_why_there_is_no_button(bench: PlanBench) -> None:
    plan = plan_in(bench, PlanState.RUNNING)

    text = text_of(signed_in(bench.world.vera).get(page_of(plan)))

    assert "Why you have no other buttons" in text
    assert "This takes the role editor or release manager in Staging" in text


def test_page__what_people_wrote__is_shown_as_text(bench: PlanBench) -> None:
    plan = create_plan(
        bench.staging.pk,
        actor=actor_of(bench.world.rita),
        now=NOW,
        title=HOSTILE,
        reason=HOSTILE,
        definition=definition_of(),
    )
    client = signed_in(bench.world.rita)

    pages = [
        page_of(plan),
        reverse("admin:rollouts_rolloutplan_edit", args=[plan.pk]),
        f"{reverse(LIST)}?tab=waiting",
    ]
    text = "".join(text_of(client.get(page)) for page in pages)

    assert text.count("{{ 7*7 }}") >= len(pages)
    assert "<script>alert(1)" not in text
    assert "<img src=x" not in text


def test_page__guard_with_data__chart_by_variant_with_gap_and_table(bench: PlanBench) -> None:
    plan = bench.started(guards=(GUARD,), gates={1: {"is_monitored": True, "soak_minutes": 60}})
    measure(bench, plan, minutes=40, bad=1, skip=range(10, 20))
    refresh_guards([plan.pk], now=NOW + timedelta(minutes=42))

    text = text_of(signed_in(bench.world.rita).get(page_of(plan)))

    assert "Errors at checkout" in text
    assert '<path class="pl-line-treatment"' in text
    assert '<path class="pl-line-control"' in text
    assert "limit: 1.1 times “off”" in text
    assert 'class="pl-gap"' in text
    assert "no data" in text
    assert "Show the numbers" in text
    assert "<title id=" in text
    assert "<desc id=" in text


def test_page__proposed_long_before_it_started__chart_begins_with_the_start(bench: PlanBench) -> None:
    before = NOW - timedelta(days=1)
    plan = bench.proposed(guards=(GUARD,), gates={1: {"is_monitored": True}}, now=before, apply_at=None)
    assert plan.request is not None
    bench.approve(plan.request, now=NOW)
    measure(bench, reloaded(plan), minutes=20, bad=1)
    refresh_guards([plan.pk], now=NOW + timedelta(minutes=22))

    text = text_of(signed_in(bench.world.rita).get(page_of(plan)))

    assert '<path class="pl-line-treatment"' in text
    assert 'class="pl-gap"' not in text


def test_page__guard_without_data__says_so_and_draws_nothing(bench: PlanBench) -> None:
    plan = bench.started(guards=(GUARD,), gates={1: {"is_monitored": True}})
    refresh_guards([plan.pk], now=NOW + timedelta(minutes=3))

    text = text_of(signed_in(bench.world.rita).get(page_of(plan)))

    assert "There is nothing to draw yet" in text
    assert "<svg class" not in text
    assert "Collecting" in text


def test_page__rolled_back_by_itself__tells_the_whole_story(bench: PlanBench) -> None:
    plan = bench.started(guards=(GUARD,), gates={1: {"is_monitored": True, "soak_minutes": 60}})
    measure(bench, plan, minutes=30, bad=20)
    advance_due(NOW + timedelta(minutes=32))
    assert reloaded(plan).current_state is PlanState.ROLLED_BACK

    text = text_of(signed_in(bench.world.rita).get(page_of(plan)))

    assert "It took itself back" in text
    assert "how it was before" in text
    assert "Told by mail" in text
    assert "Rita Test" in text
    assert "Regression" in text or "Broken" in text
    assert 'class="pl-line-treatment"' in text
    assert "somebody to look, then resume or end it" in text


def test_page__held__says_what_stands_in_the_way(bench: PlanBench) -> None:
    plan = bench.started()
    with governed_write(plan.environment_id):
        RolloutPlan.objects.filter(pk=plan.pk).update(
            blocked_code="incident_open", blocked_detail={"message": "The incident “Payments” is open in Staging."}
        )

    text = text_of(signed_in(bench.world.rita).get(page_of(plan)))

    assert "Held: nothing goes on until this is out of the way" in text
    assert text.count("The incident “Payments” is open in Staging.") == 1
    assert "Held at “10 %”" in text.replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ("incident", "The incident “Payments fail” is open in Staging. No plan starts there before it is closed."),
        ("kill list", "No plan starts with it before the kill list is lifted."),
        ("freeze", "“Black Friday freeze” freezes Staging until "),
        ("nothing", ""),
    ],
)
def test_draft__something_in_the_way_of_a_start__is_said_before_the_press(
    bench: PlanBench, about: str, words: str
) -> None:
    plan, today = bench.plan(environment=bench.staging), timezone.now()
    client = signed_in(bench.world.rita)
    match about:
        case "incident":
            told: dict[str, Any] = {"title": "Payments fail", "severity": "major", "link": "", "now": NOW}
            ada = actor_of(bench.world.ada)
            open_incident(bench.world.project.pk, environment_id=bench.staging.pk, actor=ada, **told)
        case "kill list":
            place: dict[str, Any] = {"environment": bench.staging, "flag_key": bench.flag.key, "variant": "off"}
            LocalKill.objects.create(**place, host="web-1", since=NOW, noticed_at=NOW)
        case "freeze":
            freeze(bench.world, today - timedelta(days=1), today + timedelta(days=1), environments=[bench.staging])

    page = text_of(client.get(page_of(plan)))
    preview = text_of(client.get(reverse("admin:rollouts_rolloutplan_edit", args=[plan.pk])))

    for text in (page, preview):
        assert ("In the way of a start now" in text) is bool(words)
        assert words in text
    dialog = page.split('id="dialog-start"')[1].split("</dialog>")[0]
    assert words in dialog
    assert ("within seconds" in dialog) is not bool(words)
    assert ("the plan is not started" in dialog) is bool(words)


def test_page__history__newest_first_with_evidence(bench: PlanBench) -> None:
    plan = bench.started()
    advance_due(NOW + timedelta(minutes=31))

    text = text_of(signed_in(bench.world.rita).get(page_of(plan)))

    assert "went on from 10 % to 50 %" in text
    assert text.index("went on from") < text.index("started with") < text.index("drafted the plan")
    assert "Served for 30 of 30 minutes." in text


def test_page__number_of_queries__does_not_grow_with_the_history(
    bench: PlanBench, django_assert_max_num_queries: Any
) -> None:
    plan = bench.started(guards=(GUARD,), gates={1: {"approvals": 1}})
    client = signed_in(bench.world.rita)
    refresh_guards([plan.pk], now=NOW + timedelta(minutes=3))
    for act in ("pause", "resume") * 4:
        client.post(act_on(plan, act), fields_for(reloaded(plan)))
    client.get(page_of(plan))

    with django_assert_max_num_queries(48):
        client.get(page_of(plan))


def test_live__part_of_the_page__has_the_same_regions_and_no_shell(bench: PlanBench) -> None:
    plan = bench.started()
    client = signed_in(bench.world.rita)

    live = text_of(client.get(reverse("admin:rollouts_plan_live", args=[plan.pk])))
    page = text_of(client.get(page_of(plan)))

    def regions(text: str) -> set[str]:
        return set(re.findall(r'id="(plan-[a-z]+)" data-live', text))

    assert regions(live) == regions(page)
    assert f'data-sequence="{plan.sequence}"' in live
    assert "<html" not in live
    assert "nav-sidebar" not in live


# The acts


def test_act__each_way_through_a_plan__lands_on_the_page_with_a_sentence(bench: PlanBench) -> None:
    plan = bench.plan(environment=bench.staging)
    client = signed_in(bench.world.rita)
    said = []

    for act, more in (
        ("start", {}),
        ("pause", {}),
        ("resume", {}),
        ("roll_back", {"to_stage": "0"}),
        ("abort", {}),
    ):
        response = client.post(act_on(plan, act), fields_for(reloaded(plan), **more), follow=True)
        assert response.status_code == 200
        said.append(text_of(response))

    assert "has started. Staging serves stage 1, “10 %”." in said[0]
    assert "is paused." in said[1]
    assert "goes on." in said[2]
    assert "is rolled back. Staging serves what it served before." in said[3]
    assert "is ended." in said[4]
    assert reloaded(plan).current_state is PlanState.ABORTED


def test_act__propose_and_recall__make_a_request_and_end_it(bench: PlanBench) -> None:
    plan = bench.plan()
    client = signed_in(bench.world.rita)

    proposed = text_of(client.post(act_on(plan, "propose"), fields_for(plan), follow=True))
    recalled = text_of(client.post(act_on(plan, "recall"), fields_for(reloaded(plan)), follow=True))

    assert "is proposed as change request #" in proposed
    assert "Open the request" in proposed
    assert "is a draft again" in recalled


def test_act__stage_approval__counts_and_says_what_is_missing(bench: PlanBench) -> None:
    plan = bench.started(gates={1: {"approvals": 2}})

    text = text_of(signed_in(bench.world.abel).post(act_on(plan, "approve_stage"), fields_for(plan), follow=True))

    assert "You approved leaving “10 %”. 1 more approval is needed." in text
    assert "Anna Test" in text


def test_act__page_is_out_of_date__refused_with_a_sentence_and_without_a_dialog(bench: PlanBench) -> None:
    plan = bench.started()
    client, seen = signed_in(bench.world.rita), fields_for(plan)
    client.post(act_on(plan, "pause"), seen)

    response = client.post(act_on(plan, "abort"), seen)

    assert response.status_code == 409
    assert "has moved on since the page was opened" in text_of(response)
    assert "data-open>" not in text_of(response)
    assert reloaded(plan).current_state is PlanState.PAUSED


def test_act__reason_is_missing__dialog_opens_again_with_what_was_chosen(bench: PlanBench) -> None:
    plan = bench.started()

    response = signed_in(bench.world.rita).post(
        act_on(plan, "roll_back"), fields_for(plan, reason=" ", to_stage="1"), follow=True
    )

    text = text_of(response)
    assert response.status_code == 400
    assert 'id="dialog-roll_back" aria-labelledby="roll_back-title" data-open' in text
    assert '<option value="1" selected>' in text
    assert reloaded(plan).current_state is PlanState.RUNNING


@pytest.mark.parametrize("stage", ["", "x", "7", "-1", "99999999999999999999"])
def test_act__stage_that_is_none__refused_with_a_sentence(bench: PlanBench, stage: str) -> None:
    plan = bench.started()

    response = signed_in(bench.world.rita).post(act_on(plan, "roll_back"), fields_for(plan, to_stage=stage))

    assert response.status_code == 400
    assert "Choose" in text_of(response)
    assert reloaded(plan).stage == 1


@pytest.mark.parametrize("who", ["vera", "abel", "ada"])
@pytest.mark.parametrize("act", ["pause", "roll_back", "abort"])
def test_act__without_the_role__403_and_nothing_happens(bench: PlanBench, who: str, act: str) -> None:
    plan = bench.started()

    response = signed_in(getattr(bench.world, who)).post(act_on(plan, act), fields_for(plan, to_stage="0"))

    assert response.status_code == 403
    assert reloaded(plan).sequence == plan.sequence


def test_act__get_and_unknown_ones__change_nothing(bench: PlanBench) -> None:
    plan = bench.started()
    client = signed_in(bench.world.rita)

    assert client.get(act_on(plan, "pause")).status_code == 405
    assert client.post(act_on(plan, "edit"), fields_for(plan)).status_code == 404
    assert client.post(act_on(plan, "advance"), fields_for(plan)).status_code == 404
    assert signed_in(bench.world.otto).post(act_on(plan, "pause"), fields_for(plan)).status_code == 404
    assert reloaded(plan).sequence == plan.sequence


def test_act__forged_without_token__is_refused(bench: PlanBench) -> None:
    plan = bench.started()
    client = Client(enforce_csrf_checks=True)
    client.force_login(bench.world.rita, backend="django.contrib.auth.backends.ModelBackend")

    assert client.post(act_on(plan, "pause"), fields_for(plan)).status_code == 403


def test_act__copy__makes_a_draft_and_goes_there(bench: PlanBench) -> None:
    plan = plan_in(bench, PlanState.ABORTED)

    response = signed_in(bench.world.rita).post(act_on(plan, "copy"), {"is_confirmed": "1"}, follow=True)

    made = RolloutPlan.objects.exclude(pk=plan.pk).get()
    assert made.current_state is PlanState.DRAFT
    assert response.redirect_chain[-1][0] == page_of(made)


# Templates


def test_templates__save_new_version_use_and_retire(bench: PlanBench) -> None:
    plan = bench.plan(environment=bench.staging)
    client = signed_in(bench.world.rita)
    add = f"{reverse('admin:rollouts_plantemplate_add')}?plan={plan.pk}"
    typed = {"name": "Careful", "key": "careful", "description": "For checkout", "kinds": ["release"]}

    client.post(add, typed)
    client.post(add, {**typed, "name": "More careful"})
    listed = text_of(client.get(reverse("admin:rollouts_plantemplate_changelist")))
    newest = PlanTemplate.objects.get(key="careful", version=2)
    query = {"environment": str(bench.staging.pk), "flag": str(bench.flag.pk)}
    offered = text_of(client.get(reverse("admin:rollouts_rolloutplan_add"), query))
    client.post(reverse("admin:rollouts_plantemplate_retire", args=[newest.pk]))
    after = text_of(client.get(reverse("admin:rollouts_plantemplate_changelist")))

    assert "More careful" in listed
    assert "version 2" in listed
    assert f'value="{newest.pk}" selected' in offered
    assert "offered no more" in after
    assert "version 2" not in after


def test_templates__viewer__may_look_and_not_save(bench: PlanBench) -> None:
    plan = bench.plan(environment=bench.staging)
    client = signed_in(bench.world.vera)

    assert client.get(reverse("admin:rollouts_plantemplate_changelist")).status_code == 200
    assert client.get(f"{reverse('admin:rollouts_plantemplate_add')}?plan={plan.pk}").status_code == 403
    assert client.get(f"{reverse('admin:rollouts_plantemplate_add')}?plan=nothing").status_code == 404


def test_desk__request_of_a_plan_that_began__says_that_it_goes_stage_by_stage(bench: PlanBench) -> None:
    bench.approved_and_started()

    text = text_of(signed_in(bench.world.rita).get(reverse("admin:index")))

    assert "Checkout redesign: stage by stage, in the end “On for everyone”" in text.replace("\u00a0", " ")
