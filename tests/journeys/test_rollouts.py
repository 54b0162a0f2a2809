"""Rollouts as people meet them: a plan that ends well, one that takes itself back, one that stands still."""

import json
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone

from flags.models import FlagConfig
from flags.permissions import Role
from flags.services.tokens import issue_token
from rollouts import tasks
from rollouts.models import ReleaseTrain, RolloutPlan
from rollouts.plans.definition import GuardSpec, MetricKind
from rollouts.plans.patches import share_of
from rollouts.services.guard_metrics import MetricFields, add_metric
from rollouts.services.plans.engine import advance_due
from tests.factories import World, actor_of, make_served_world
from tests.journeys.visits import Visit
from tests.rollouts.plans.support import PlanBench, reloaded, stages_of
from tests.rollouts.trains.support import TrainBench, where

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
Visitor = Callable[[Any], Visit]

MINUTE = timedelta(minutes=1)
PLAN = "rollouts_rolloutplan_change"
GUARD = GuardSpec("errors", "Failed payments", MetricKind.ERROR_RATE, "checkout-redesign", "on", "off")
WATCHED: dict[int, dict[str, Any]] = {1: {"is_monitored": True}, 2: {"is_monitored": True}}


class Clock:
    """The clock of server and engine. It stands still until a test moves it."""

    def __init__(self) -> None:
        self.instant = datetime.now(UTC).replace(second=0, microsecond=0)

    def __call__(self) -> datetime:
        return self.instant


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """What everybody takes for now."""
    clock = Clock()
    monkeypatch.setattr(timezone, "now", clock)
    return clock


@pytest.fixture
def world(clock: Clock) -> World:
    """Production serves the old checkout to everybody; Rolf may propose and start there."""
    world = make_served_world()
    world.grant(world.rolf, world.production, Role.EDITOR, Role.RELEASE_MANAGER)
    fields = MetricFields("Failed payments", MetricKind.ERROR_RATE, description="Customers who could not pay.")
    add_metric(world.project.pk, "errors", fields, actor=actor_of(world.rita), now=clock())
    return world


@pytest.fixture
def bench(world: World) -> PlanBench:
    return PlanBench(world, world.first_flag)


@pytest.fixture
def visit(browser: "Browser", live_server: Any) -> Iterator[Visitor]:
    """Open a browser for somebody; all of them are closed, and had nothing to complain about, in the end."""
    visits: list[Visit] = []

    def come(person: Any) -> Visit:
        visits.append(Visit(browser, live_server.url, person))
        return visits[-1]

    yield come
    for one in visits:
        one.leave()


class Service:
    """A checkout that reports once a minute how people with each variant fared, by the API like any other."""

    def __init__(self, world: World, address: str, clock: Clock) -> None:
        issued = issue_token(
            world.production.pk,
            actor=actor_of(world.ada),
            name="checkout",
            scope="telemetry",
            expires_at=None,
            now=clock(),
        )
        self.world, self.address, self.clock, self.secret = world, address, clock, issued.secret

    def minutes(self, count: int, *, bad: int) -> None:
        """Let so many minutes pass; of a hundred with the new variant `bad` fail, else one. The engine looks each."""
        for _ in range(count):
            self._report(bad)
            self.clock.instant += MINUTE
            advance_due(self.clock() + timedelta(seconds=20))

    def _report(self, bad: int) -> None:
        weight = weight_in(self.world)
        rows = [
            self._row(variant, 10_000 * part // 100_000, ill)
            for variant, part, ill in (("on", weight, bad), ("off", 100_000 - weight, 1))
            if part
        ]
        body = {
            "batch_id": uuid.uuid4().hex,
            "service": "checkout",
            "version": "2.4",
            "evaluations": [],
            "metrics": rows,
        }
        request = urllib.request.Request(  # noqa: S310 - our own address
            f"{self.address}/api/v1/telemetry",
            data=json.dumps(body).encode(),
            headers={"X-API-Key": self.secret, "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
            answer = json.load(response)
        assert (answer["accepted"], answer["rejected"]) == (len(rows), 0), answer

    def _row(self, variant: str, units: int, bad: int) -> dict[str, Any]:
        counts = {"count": units, "units": units, "bad": units * bad // 100, "bad_units": units * bad // 100}
        minute = self.clock().isoformat()
        return {"metric": "errors", "flag": "checkout-redesign", "variant": variant, "minute": minute, **counts}


@pytest.fixture
def service(world: World, live_server: Any, clock: Clock) -> Service:
    return Service(world, live_server.url, clock)


def weight_in(world: World) -> int:
    """The share of “on” that production serves, of 100,000."""
    config = FlagConfig.objects.get(flag=world.first_flag, environment=world.production)
    return share_of(config.document, "on")


def begun(bench: PlanBench, clock: Clock) -> RolloutPlan:
    """A watched plan at its first stage in production: a fifth, a half, everybody."""
    stages = stages_of(shares=((20_000, 5), (50_000, 5), (100_000, 5)), gates=WATCHED)
    return bench.approved_and_started(stages=stages, guards=(GUARD,), now=clock())


def write_a_canary(one: Visit, world: World) -> None:
    """Fill the editor in: a fifth for five minutes, then everybody, watched for failed payments."""
    one.open("rollouts_rolloutplan_add", query=f"?environment={world.production.pk}")
    page = one.page
    page.get_by_label("Flag", exact=True).select_option("checkout-redesign")
    page.get_by_label("People get").wait_for()
    page.get_by_label("Title").fill("Checkout redesign, canary first")
    page.get_by_label("Why?").fill("Two good weeks in staging")
    page.locator("#strategy-canary").check()
    page.locator("#canary-weight").fill("20")
    page.locator("#canary-minutes").fill("5")
    page.locator("[name=canary-minutes-unit]").select_option("minutes")
    page.get_by_label("Guards have to agree").check()
    page.get_by_label("Failed payments").check()


def test_canary__healthy__is_approved_by_another_person_and_reaches_everybody(
    world: World, visit: Visitor, service: Service, clock: Clock
) -> None:
    rolf, abel = visit(world.rolf), visit(world.abel)

    write_a_canary(rolf, world)
    rolf.page.locator("#plan-preview .pl-timeline li").nth(1).wait_for()
    rolf.press("Save the draft")
    rolf.press("Propose…")
    rolf.press("Propose for Production")
    rolf.read("Waits for")
    before = weight_in(world)
    plan = RolloutPlan.objects.get()
    abel.open(PLAN, plan.pk)
    abel.press("Open the request")
    abel.press("Approve…")
    abel.press("Approve for Production")
    abel.read("Live in Production since")
    began = weight_in(world)
    service.minutes(3, bad=1)
    rolf.open(PLAN, plan.pk)
    rolf.read("Next comes “100 %”, at the earliest")
    watching = rolf.page.locator("#plan-guards").inner_text()
    service.minutes(5, bad=1)
    widened = weight_in(world)
    rolf.page.get_by_text("100 %").locator("visible=true").first.wait_for(timeout=15_000)
    service.minutes(8, bad=1)
    rolf.open(PLAN, plan.pk)
    rolf.read("Completed")

    assert (before, began, widened, weight_in(world)) == (0, 20_000, 100_000, 100_000)
    assert "Failed payments" in watching
    assert reloaded(plan).state == "completed"


def test_breach__takes_itself_back__says_why_and_stays_until_somebody_gives_a_reason(
    bench: PlanBench, visit: Visitor, service: Service, clock: Clock
) -> None:
    plan, rolf = begun(bench, clock), visit(bench.world.rolf)

    rolf.open(PLAN, plan.pk)
    rolf.read("Rolling out")
    service.minutes(8, bad=5)
    rolf.open(PLAN, plan.pk)
    rolf.read("It took itself back")
    story = rolf.page.locator("#plan-story")
    told = story.inner_text()
    drawn = story.get_by_role("img", name="Failed payments over time").locator("circle, path").count()
    served = rolf.page.locator(".pl-served").inner_text()
    rolf.page.get_by_role("button", name="Resume…").locator("visible=true").first.click()
    dialog = rolf.page.get_by_role("dialog")
    dialog.get_by_role("button", name="Resume in Production").click()
    is_asked = dialog.get_by_label("Why?").evaluate("field => field.validity.valueMissing")
    after_asking = reloaded(plan).state
    dialog.get_by_label("Why?").fill("The payment service is repaired")
    dialog.get_by_role("button", name="Resume in Production").click()
    rolf.read("The payment service is repaired")

    assert "Failed payments" in told
    assert drawn >= 3
    assert "nobody" in served
    assert (is_asked, after_asking) == (True, "rolled_back")
    assert (reloaded(plan).state, reloaded(plan).automatic_reversals) == ("running", 1)


def test_pause__keeps_the_share_for_as_long_as_it_takes__resume_goes_on(
    bench: PlanBench, visit: Visitor, service: Service, clock: Clock
) -> None:
    plan, rolf = begun(bench, clock), visit(bench.world.rolf)

    service.minutes(2, bad=1)
    rolf.open(PLAN, plan.pk)
    rolf.press("Pause…")
    rolf.page.get_by_role("dialog").get_by_label("Why?").fill("The shop is full")
    rolf.press("Pause")
    rolf.read("The shop is full")
    words = rolf.page.locator("#plan-now").inner_text()
    service.minutes(9, bad=1)
    kept = (reloaded(plan).state, weight_in(bench.world))
    rolf.open(PLAN, plan.pk)
    rolf.press("Resume…")
    rolf.press("Resume in Production")
    rolf.read("Next comes “50 %”")
    service.minutes(6, bad=1)
    rolf.open(PLAN, plan.pk)
    rolf.read("of all people get “on”")

    assert "20 %" in words.replace("\u00a0", " ")
    assert kept == ("paused", 20_000)
    assert (reloaded(plan).state, weight_in(bench.world)) == ("running", 50_000)


def test_train__goes_in_order_of_need__and_comes_back_together(world: World, visit: Visitor, clock: Clock) -> None:
    bench = TrainBench(world, world.first_flag)
    bench.needing("express-pay", "new-basket")
    pay, basket = bench.plan_for("express-pay"), bench.plan_for("new-basket")
    rita = visit(world.rita)

    rita.open("rollouts_releasetrain_add", world.project.pk)
    rita.page.get_by_label("Title").fill("Autumn checkout")
    rita.page.locator(f"#order-{pay.pk}").fill("1")
    rita.page.locator(f"#order-{basket.pk}").fill("2")
    rita.page.locator(f"#opens-{basket.pk}").select_option("1")
    rita.press("Put together")
    rita.read("The next plan starts once")
    lanes = [lane.inner_text() for lane in rita.page.locator(".tr-lane").all()]
    rita.press("Start…")
    rita.press("Start the train")
    rita.read("Under way")
    clock.instant += MINUTE
    tasks.advance_due_plans()
    both = where(basket, pay)
    rita.open(PLAN, basket.pk)
    rita.press("Roll back…")
    rita.page.get_by_role("dialog").get_by_label("Why?").fill("Prices are wrong")
    rita.press("Roll back in Staging")
    rita.read("took it back")
    clock.instant += MINUTE
    tasks.advance_due_plans()
    train = ReleaseTrain.objects.get()
    rita.open("rollouts_releasetrain_change", train.pk)
    told = rita.read("The whole train went back").locator("xpath=ancestor::div[1]").inner_text()

    assert ["new-basket" in lanes[0], "express-pay" in lanes[1]] == [True, True]
    assert both == [("running", 1), ("running", 1)]
    assert where(basket, pay) == [("rolled_back", 0), ("rolled_back", 0)]
    assert f"{basket.number}" in told
    assert [share_of(bench.served(bench.staging, world.flags[key]), "on") for key in ("new-basket", "express-pay")] == [
        0,
        0,
    ]
