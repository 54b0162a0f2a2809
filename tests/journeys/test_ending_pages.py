"""The end of a flag as people meet it: planned from its page, approved by another, given more time, and taken back."""

import json
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone

from flags.api import door
from flags.documents import initial_document
from flags.permissions import Role
from flags.services.tokens import issue_token
from flags.snapshots import store
from rollouts.models import DeprecationTimeline
from rollouts.selectors.timelines.ground import definition_of
from rollouts.services.timelines.engine import advance_due
from tests.factories import World, actor_of, make_served_world
from tests.journeys.visits import Visit
from tests.rollouts.timelines.support import TimelineBench, reloaded

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
Visitor = Callable[[Any], Visit]

DAY = timedelta(days=1)
TIMELINE, REQUEST = "rollouts_deprecationtimeline_change", "rollouts_changerequest_change"


class Clock:
    """The clock of server and engine. It stands still until a test moves it."""

    def __init__(self) -> None:
        self.instant = datetime.now(UTC).replace(second=0, microsecond=0)

    def __call__(self) -> datetime:
        return self.instant

    def now(self, _zone: Any) -> datetime:
        """The same, for who asks the class `datetime`."""
        return self.instant

    def move_to(self, instant: datetime) -> None:
        """It is that late; the engine looks."""
        self.instant = instant
        advance_due(instant)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """What everybody takes for now."""
    clock = Clock()
    monkeypatch.setattr(timezone, "now", clock)
    monkeypatch.setattr(door, "datetime", clock)
    return clock


@pytest.fixture
def world() -> World:
    """Production serves the new checkout to everybody; Rolf may take back what happens there."""
    world = make_served_world()
    document = {**initial_document(world.first_flag.key, "boolean"), "enabled": True, "default_variant": "on"}
    world.serve(world.first_flag, world.production, document)
    world.grant(world.rolf, world.production, Role.EDITOR, Role.RELEASE_MANAGER)
    return world


@pytest.fixture
def visit(browser: "Browser", live_server: Any) -> Iterator[Visitor]:
    """Open a browser for somebody, once whoever came before has closed theirs: nobody stays signed in for weeks."""
    visits: list[Visit] = []

    def come(person: Any) -> Visit:
        while visits:
            visits.pop().leave()
        visits.append(Visit(browser, live_server.url, person))
        return visits[-1]

    yield come
    while visits:
        visits.pop().leave()


@pytest.fixture
def evaluate(world: World, live_server: Any, clock: Clock) -> Callable[[], tuple[dict[str, Any], Any]]:
    """Ask for the flag in production as a service does: the answer and its headers."""
    issued = issue_token(
        world.production.pk,
        actor=actor_of(world.ada),
        name="checkout",
        scope="evaluate",
        expires_at=None,
        now=clock(),
    )

    def ask() -> tuple[dict[str, Any], Any]:
        store.reset()
        request = urllib.request.Request(  # noqa: S310 - our own address
            f"{live_server.url}/ofrep/v1/evaluate/flags/checkout-redesign",
            data=json.dumps({"context": {"targetingKey": "anybody"}}).encode(),
            headers={"X-API-Key": issued.secret, "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
            return json.load(response), response.headers

    return ask


def plan_the_end(one: Visit, world: World, clock: Clock) -> DeprecationTimeline:
    """From the page of the flag: six weeks, beginning the day after tomorrow, in production; proposed."""
    one.open("flags_flag_change", world.first_flag.pk)
    one.press("Plan the end")
    one.read("What ends, and where")
    page = one.page
    for place in (world.development, world.staging):
        page.locator(f"[name=environment-{place.pk}]").uncheck()
    page.get_by_label("People get in the end").select_option("off")
    page.get_by_label("Why?").fill("Everybody has the new checkout, the old one is gone")
    page.get_by_label("Announced on").fill((clock() + 2 * DAY).date().isoformat())
    one.press("Set the dates")
    page.locator("#preview .en-preview li").nth(6).wait_for()
    one.press("Propose")
    one.read("Waits for")
    return DeprecationTimeline.objects.get()


def test_ending__planned_approved_and_given_more_time__services_hear_of_it_and_get_everything_back(
    world: World, visit: Visitor, clock: Clock, evaluate: Callable[[], tuple[dict[str, Any], Any]], screenshots: Any
) -> None:
    timeline = plan_the_end(visit(world.rita), world, clock)
    abel = visit(world.abel)
    abel.open(TIMELINE, timeline.pk)
    abel.press("Open the request")
    abel.press("Approve…")
    abel.press("Approve for Production")
    abel.read("Approved; the timeline began on")
    before, headers = evaluate()
    announced_at, warned_at, brownout_at = (milestone.at for milestone in definition_of(timeline).milestones[:3])
    clock.move_to(announced_at)
    clock.move_to(warned_at)
    warned, told = evaluate()

    rolf = visit(world.rolf)
    rolf.open(TIMELINE, timeline.pk)
    rolf.page.screenshot(path=str(screenshots / "ending-warned.png"), full_page=True)
    rolf.press("Postpone…")
    dialog = rolf.page.get_by_role("dialog")
    present = dialog.get_by_label("Comes on").input_value()
    dialog.get_by_label("Which milestone").select_option(index=1)
    assert present == f"{brownout_at:%Y-%m-%dT%H:%M}" < dialog.get_by_label("Comes on").input_value()
    dialog.get_by_label("Which milestone").select_option(index=0)
    dialog.get_by_label("Comes on").fill((brownout_at + 7 * DAY).strftime("%Y-%m-%dT%H:%M"))
    dialog.get_by_label("Why?").fill("The warehouse needs another week")
    dialog.get_by_role("button", name="Postpone").click()
    rolf.read("The warehouse needs another week")
    clock.move_to(brownout_at)
    left_alone, _ = evaluate()
    clock.move_to(brownout_at + 7 * DAY)
    withdrawn, _ = evaluate()
    rolf = visit(world.rolf)
    rolf.open("flags_flag_change", world.first_flag.pk)
    rolf.read("Brownout until")
    rolf.page.screenshot(path=str(screenshots / "ending-flag-brownout.png"), full_page=True)
    clock.move_to(clock() + timedelta(minutes=10))
    over, _ = evaluate()
    clock.move_to(brownout_at + 14 * DAY)

    rolf = visit(world.rolf)
    rolf.open(TIMELINE, timeline.pk)
    rolf.page.screenshot(path=str(screenshots / "ending-quarter.png"), full_page=True)
    rolf.press("Undo…")
    dialog = rolf.page.get_by_role("dialog")
    dialog.get_by_label("Why?").fill("A partner still asks for it")
    dialog.locator("button[type=submit]").click()
    rolf.read("A partner still asks for it")
    rolf.page.screenshot(path=str(screenshots / "ending-undone.png"), full_page=True)
    given_back, _ = evaluate()

    assert (before["value"], headers["Deprecation"]) == (True, None)
    assert (warned["value"], told["Deprecation"]) == (True, f"@{int(warned_at.timestamp())}")
    assert [answer["value"] for answer in (left_alone, withdrawn, over, given_back)] == [True, False, True, True]
    assert withdrawn["metadata"]["withdrawn"] is True
    assert reloaded(timeline).state == "undone"


STICKS_OUT = """box => {
    const right = box.getBoundingClientRect().right
    return Math.max(...[...box.querySelectorAll("*")].map(one => one.getBoundingClientRect().right)) - right
}"""


def test_ending__beside_the_navigation__every_field_and_milestone_is_in_sight(
    world: World, visit: Visitor, clock: Clock
) -> None:
    rita = visit(world.rita)
    rita.open("flags_flag_change", world.first_flag.pk)
    rita.press("Plan the end")
    rita.read("What ends, and where")
    for width in (1280, 1340, 1440, 390):
        rita.page.set_viewport_size({"width": width, "height": 900})
        assert rita.page.locator("#milestones").evaluate(STICKS_OUT) <= 0, f"at {width} pixels"

    request = TimelineBench(world, world.first_flag).proposed(now=clock(), starts=clock()).request
    assert request is not None
    abel = visit(world.abel)
    abel.page.set_viewport_size({"width": 1280, "height": 900})
    abel.open(REQUEST, request.pk)
    assert abel.page.locator("ol.en-strip").evaluate(STICKS_OUT) <= 0
