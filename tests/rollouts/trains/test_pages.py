"""Pages of release trains, the dashboard of an environment, and the panel of a plan on its request."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from flags.permissions import Role
from rollouts.models import ReleaseTrain, TrainMember
from rollouts.plans.definition import GuardAction, GuardSpec, MetricKind
from rollouts.services.plans import acting
from tests.factories import NOW, actor_of
from tests.rollouts.plans.support import definition_of, reloaded, stages_of
from tests.rollouts.trains.support import TrainBench, train_again, where

pytestmark = pytest.mark.django_db


def _client(person: Any) -> Client:
    client = Client()
    client.force_login(person)
    return client


def _page(train: ReleaseTrain) -> str:
    return reverse("admin:rollouts_releasetrain_change", args=[train.pk])


def _act(train: ReleaseTrain, act: str) -> str:
    return reverse("admin:rollouts_train_act", args=[train.pk, act])


def test_train__is_put_together_started_and_taken_back_through_its_pages(bench: TrainBench) -> None:
    one, other = bench.plan_for("one"), bench.plan_for("other")
    client = _client(bench.world.rita)
    add = reverse("admin:rollouts_releasetrain_add", args=[bench.world.project.pk])
    form = {"title": "Autumn", "reason": "Together", f"order-{one.pk}": "2", f"order-{other.pk}": "1"}

    assert f"order-{one.pk}" in client.get(add).content.decode()
    assert client.post(add, {"title": "Autumn", f"order-{one.pk}": "1"}).status_code == 400
    assert client.post(add, form | {f"opens-{other.pk}": "1"}).status_code == 302
    train = ReleaseTrain.objects.get()
    assert [member.plan for member in TrainMember.objects.order_by("position")] == [other, one]
    shown = _shown(client, train, "start")
    stale = client.post(_act(train, "start"), shown | {"seen": "99"})
    assert (stale.status_code, train_again(train).state) == (409, "draft")
    assert client.post(_act(train, "start"), shown).status_code == 302
    assert where(other, one) == [("running", 1), ("running", 1)]
    page = client.get(_page(train)).content.decode()
    assert "The next plan starts once this one reached “10 %”." in page
    seen = train_again(train).lock_version
    refused = client.post(_act(train, "roll_back"), {"seen": seen})
    assert (refused.status_code, train_again(train).state) == (400, "running")
    assert 'id="dialog-roll_back" aria-labelledby="roll_back-title" data-open' in refused.content.decode()
    assert client.post(_act(train, "roll_back"), {"seen": seen, "reason": "Wrong prices"}).status_code == 302
    assert where(other, one) == [("rolled_back", 0), ("rolled_back", 0)]
    assert "Wrong prices" in client.get(_page(train)).content.decode()
    assert "Autumn" in client.get(reverse("admin:rollouts_releasetrain_changelist")).content.decode()


def _shown(client: Client, train: ReleaseTrain, act: str) -> dict[str, str]:
    """What the form of an act sends along."""
    page = client.get(_page(train)).content.decode()
    form = page[page.index(f'action="{_act(train, act)}"') :]
    return dict(re.findall(r'type="hidden" name="(seen|digest)" value="(\w+)"', form[: form.index("</form>")]))


def test_start__of_a_plan_that_was_changed_while_the_page_was_open__is_refused(bench: TrainBench) -> None:
    one, other = bench.plan_for("one"), bench.plan_for("other")
    train, client = bench.train(one, other), _client(bench.world.rita)
    shown = _shown(client, train, "start")
    bench.edited(other, definition_of("other", stages=stages_of("other", shares=((100_000, 30),))))

    refused = client.post(_act(train, "start"), shown)

    assert refused.status_code == 409
    assert "A plan of the train “Autumn” was changed since the page was opened" in refused.content.decode()
    assert where(one, other) == [("draft", 0), ("draft", 0)]
    assert client.post(_act(train, "start"), _shown(client, train, "start")).status_code == 302


def test_rolling_everything_back__asks_once_more_and_says_what_goes_in_which_order(bench: TrainBench) -> None:
    one, other = bench.plan_for("one"), bench.plan_for("other")
    train = bench.started_train(one, other, opens_at={one: 1})

    page = _client(bench.world.rita).get(_page(train)).content.decode()

    dialog = page[page.index('<dialog class="fe-dialog rq-dialog" id="dialog-roll_back"') :]
    dialog = dialog[: dialog.index("</dialog>")]
    assert re.findall(r"<li>(.*?), now at stage 1</li>", dialog) == [
        f"{plan.label} in Staging" for plan in (other, one)
    ]
    assert 'name="reason" rows="3" maxlength="4000" required' in dialog
    # The page itself sends nothing: its buttons open dialogs.
    assert page.count(_act(train, "roll_back")) == 1
    assert 'type="button" class="fs-button fs-button-danger" data-opens="roll_back"' in page


def test_train_pages__are_closed_to_whoever_does_not_look_and_change_nothing_on_get(
    bench: TrainBench,
) -> None:
    train = bench.train(bench.plan_for("one"), bench.plan_for("other"))
    edit = reverse("admin:rollouts_releasetrain_edit", args=[train.pk])

    for address in (_page(train), edit):
        assert _client(bench.world.otto).get(address).status_code in (403, 404)
        assert _client(bench.world.rita).get(address).status_code == 200
    assert _client(bench.world.rita).get(_act(train, "start")).status_code == 405
    assert _client(bench.world.rita).post(_act(train, "explode")).status_code == 404
    assert _client(bench.world.vera).post(_act(train, "start"), {"seen": train.lock_version}).status_code == 403
    assert train_again(train).state == "draft"


def test_train_that_waits__says_for_what(bench: TrainBench) -> None:
    one, other = bench.plan_for("one"), bench.plan_for("other")
    train = bench.started_train(one, other)

    page = _client(bench.world.rita).get(_page(train)).content.decode()

    assert "comes first in the release train “Autumn”: it has to be completed." in page
    assert "dialog-start" not in page


def test_dashboard__shows_everything_that_rolls__in_a_constant_number_of_queries(
    bench: TrainBench,
) -> None:
    client = _client(bench.world.rita)
    address = reverse("admin:rollouts_environment_dashboard", args=[bench.staging.pk])
    one = bench.started()
    client.get(address)
    with CaptureQueriesContext(connection) as few:
        client.get(address)
    bench.started_train(bench.plan_for("other"), bench.plan_for("third"))
    paused = bench.plan_for("fourth")
    paused = acting.start_plan(paused.pk, actor=actor_of(bench.world.rita), now=NOW, digest=paused.digest)
    acting.pause_plan(paused.pk, actor=actor_of(bench.world.rita), now=NOW, sequence=reloaded(paused).sequence)

    with CaptureQueriesContext(connection) as many:
        page = client.get(address).content.decode()

    assert len(many) <= len(few)
    assert page.index(f"#{paused.number}") < page.index(f"#{one.number}")
    assert "Autumn" in page
    assert _client(bench.world.otto).get(address).status_code in (403, 404)


def test_request_page__shows_stages_gates_and_guards_that_are_consented_to(bench: TrainBench) -> None:
    guard = GuardSpec(
        "errors",
        "Checkout errors",
        MetricKind.ERROR_RATE,
        "checkout-redesign",
        "on",
        "off",
        on_missing=GuardAction.PAUSE,
    )
    bench.world.grant(bench.world.rita, bench.production, Role.EDITOR)
    plan = bench.proposed(guards=(guard,), gates={2: {"approvals": 2}})
    bench.train(plan, bench.plan_for("other"))
    assert plan.request is not None

    page = (
        _client(bench.world.abel)
        .get(reverse("admin:rollouts_changerequest_change", args=[plan.request.pk]))
        .content.decode()
    )

    assert "It gets there stage by stage" in page
    assert "after 30 minutes, 2 approvals" in page
    assert "Checkout errors, more than 10% worse with “on” than with “off”: the plan rolls itself back." in page
    assert reverse("admin:rollouts_rolloutplan_change", args=[plan.pk]) in page


def test_flag_page__names_the_plan_that_is_at_work(bench: TrainBench) -> None:
    plan = bench.started()

    page = _client(bench.world.rita).get(reverse("admin:flags_flag_change", args=[bench.flag.pk])).content.decode()

    assert reverse("admin:rollouts_rolloutplan_change", args=[plan.pk]) in page
    assert "serves 10" in page
