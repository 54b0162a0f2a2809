"""Governance as people meet it: what a change needs, what waits, what goes at once, and the way back."""

import dataclasses
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone

from flags.models import Environment, FlagConfig
from flags.permissions import Role
from flags.services.teams import add_member, create_team
from rollouts import tasks
from rollouts.models import BreakGlassUse, ChangeRequest, ImpactRun
from rollouts.policies import Requirement
from rollouts.policies.presets import PRESETS
from rollouts.policies.requirements import TeamDemand
from rollouts.transitions import RequestState
from tests.factories import NOW, World, actor_of, make_served_world, percent_document
from tests.journeys.visits import Visit
from tests.rollouts.calendars import freeze
from tests.rollouts.support import Bench, state_of
from tests.rollouts.test_promotion import serve
from tests.rollouts.test_rule_service import put

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
Visitor = Callable[[Any], Visit]


@pytest.fixture
def world() -> World:
    """Production serves the checkout to a tenth."""
    return make_served_world(10)


@pytest.fixture
def bench(world: World) -> Bench:
    return Bench(world, world.first_flag)


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


def share(world: World, environment: Environment | None = None) -> int:
    """The percentage that an environment serves; 0 while the flag is switched off."""
    config = FlagConfig.objects.get(flag=world.first_flag, environment=environment or world.production)
    return config.document["rules"][0]["serve"]["split"][0]["weight"] // 1000 if config.document["enabled"] else 0


def edit(one: Visit, world: World, percent: int) -> None:
    """Choose another share in the editor of production."""
    one.open("flags_config_edit", world.first_flag.pk, world.production.pk)
    one.press(f"{percent} %")
    one.read(f"10 % → {percent} %")


def propose(one: Visit, world: World, percent: int, *also: Environment) -> None:
    """Ask for another share of production, for other environments as well where they are named."""
    edit(one, world, percent)
    one.press("Propose change")
    one.page.get_by_label("Why?").fill("Two quiet weeks")
    for environment in also:
        one.page.get_by_label(environment.name).check()
    one.press("Create the request")
    one.read("Who will decide")


def submit(one: Visit) -> None:
    """Ask for approval of the draft that is open."""
    one.press("Submit for review")
    one.read("submitted it for review")


def approve(one: Visit, request: ChangeRequest) -> None:
    """Open a request and approve it."""
    one.open("rollouts_changerequest_change", request.pk)
    one.press("Approve…")
    one.press("Approve for Production")


def two_teams_for_big_steps(world: World) -> None:
    """A rule of the project: a step of 25 points takes one of Security and one of Checkout."""
    demands = []
    for name, person in (("Security", world.abel), ("Checkout", world.anna)):
        team = create_team(world.project.pk, actor=actor_of(world.ada), key=name.lower(), name=name, now=NOW)
        add_member(team.pk, person.pk, actor=actor_of(world.ada), reason="Test", now=NOW)
        demands.append(TeamDemand(str(team.pk), 1))
    big_steps = next(rule for rule in PRESETS if rule.key == "big-steps")
    put(world, dataclasses.replace(big_steps, requirement=Requirement(approvals=2, teams=tuple(demands))))


def test_risky_change__takes_one_of_each_team__and_says_so_before_it_is_submitted(world: World, visit: Visitor) -> None:
    two_teams_for_big_steps(world)
    rita, abel, anna = visit(world.rita), visit(world.abel), visit(world.anna)

    propose(rita, world, 50)
    rules = rita.page.locator("#policies")
    told = rules.inner_text()
    submit(rita)
    request = ChangeRequest.objects.get()
    approve(abel, request)
    abel.read("Needs 1 more approval")
    after_one = abel.page.locator("#policies").inner_text()
    first = (state_of(request), share(world))
    approve(anna, request)
    anna.read("Live in Production since")

    assert "Big steps need two people" in told
    assert "not met yet" in told
    assert "1 from Security. Can approve: Abel Test." in told
    assert "1 from Checkout. Can approve: Anna Test." in told
    assert "Abel Test approved." in after_one
    assert first == (RequestState.IN_REVIEW, 10)
    assert (state_of(request), share(world)) == (RequestState.APPLIED, 50)


def test_freeze__widening_waits_for_its_end__switching_off_does_not(bench: Bench, visit: Visitor) -> None:
    world, now = bench.world, timezone.now()
    freeze(world, now - timedelta(hours=1), now + timedelta(hours=24), now=now)
    request = bench.submitted(change_set=bench.content(50), now=now)
    abel, rita = visit(world.abel), visit(world.rita)

    abel.open("rollouts_changerequest_change", request.pk)
    warned = abel.read("holds this back").inner_text()
    approve(abel, request)
    abel.read("holds this back")
    held = (state_of(request), share(world))
    rita.open("flags_flag_change", world.first_flag.pk)
    rita.press("Switch off now")
    rita.page.get_by_label("Why?").fill("Payments fail")
    rita.press("Switch off now")
    rita.page.wait_for_url("**/flags/flag/**")

    assert "“Black Friday freeze”" in warned
    assert "until" in warned
    assert held == (RequestState.APPROVED, 10)
    config = FlagConfig.objects.get(flag=world.first_flag, environment=world.production)
    assert config.document["enabled"] is False
    assert config.history.latest("version").history_change_reason == "Payments fail"


def test_break_glass__is_live_at_once__and_somebody_else_reviews_it(world: World, visit: Visitor) -> None:
    world.grant(world.rolf, world.production, Role.EDITOR, Role.RELEASE_MANAGER, Role.BREAK_GLASS)
    rolf, abel = visit(world.rolf), visit(world.abel)

    edit(rolf, world, 100)
    rolf.press("Break glass…")
    rolf.page.get_by_label("Type “Production” to confirm").fill("Production")
    rolf.page.get_by_label("What is the emergency?").fill("The old checkout charges twice")
    rolf.press("Break glass and apply")
    rolf.read("Somebody else reviews it afterwards.")
    use = BreakGlassUse.objects.get()
    live = share(world)
    rolf.open("rollouts_breakglassuse_change", use.pk)
    rolf.read("You broke the glass yourself, so somebody else reviews it.")
    own = rolf.is_offered("Save the review")
    abel.open("index")
    abel.read("One thing to do")
    abel.read("Not reviewed")
    abel.press("Review a break-glass in Production")
    abel.read("The old checkout charges twice")
    abel.page.get_by_label("Justified", exact=True).check()
    abel.page.get_by_label("Why?").fill("It could not wait")
    abel.press("Save the review")
    abel.read("called it justified")
    abel.open("index")

    use.refresh_from_db()
    assert (live, own) == (100, False)
    assert (use.outcome, use.reviewer) == ("justified", world.abel)
    assert not abel.is_offered("Review a break-glass in Production")


def test_promotion__from_staging__arrives_as_a_request_that_says_where_it_comes_from(
    world: World, visit: Visitor
) -> None:
    serve(world, world.staging, percent_document(world.first_flag.key, 30))
    rita, abel = visit(world.rita), visit(world.abel)

    rita.open(
        "rollouts_intendeddifference_changelist", query=f"?project={world.project.key}&from=staging&to=production"
    )
    rita.press("Promote Checkout redesign to Production")
    rita.read("10 % → 30 %")
    rita.page.get_by_label("Why now?").fill("Staging is happy")
    rita.press("Draft a change request")
    rita.read("Where this comes from")
    source = rita.page.locator("#source").inner_text()
    before = share(world)
    submit(rita)
    approve(abel, ChangeRequest.objects.get())
    abel.read("Live in Production since")

    assert "Staging" in source
    assert "checkout-redesign, version" in source
    assert (before, share(world)) == (10, 30)


def test_restore__to_yesterday__shows_what_changes_and_checks_what_is_served(bench: Bench, visit: Visitor) -> None:
    world, now = bench.world, timezone.now()
    bench.approve(bench.submitted(change_set=bench.content(60), now=now), now=now)
    rolf = visit(world.rolf)

    widened = share(world)
    rolf.open("flags_environment_change", world.production.pk)
    rolf.press("Restore…")
    rolf.press("Yesterday at this time")
    rolf.read("1 thing changes")
    preview = rolf.page.locator("form.fs-stack").inner_text()
    rolf.page.get_by_label("Why?").fill("Yesterday it worked")
    rolf.press("Go back now")
    told = rolf.read("back in Production").inner_text()

    assert "this takes effect at once, without approval, and what is served is checked" in preview
    assert "The share of “on” goes from 60 % to 10 %." in preview
    assert "Checked" in told
    assert (widened, share(world)) == (60, 10)


def test_who_will_flip__is_counted_for_the_reviewer(bench: Bench, visit: Visitor) -> None:
    request = bench.submitted(change_set=bench.content(60), now=timezone.now())
    abel = visit(bench.world.abel)

    abel.open("rollouts_changerequest_change", request.pk)
    abel.press("Count them")
    abel.page.locator("#impact progress").wait_for()
    tasks.run_waiting_impacts()
    headline = abel.read("gain checkout-redesign; nobody loses it.").inner_text()
    table = abel.page.locator("#impact .im-table")
    abel.page.get_by_text("As a table").click()
    rows = table.inner_text()

    result = ImpactRun.objects.get().result
    assert result is not None
    assert 45 <= int(headline.split(" %")[0]) <= 55
    assert f"{result['flipped']:,}" in rows


def test_two_environments__one_proposal__approved_once_and_live_in_both(world: World, visit: Visitor) -> None:
    serve(world, world.staging, percent_document(world.first_flag.key, 10))
    rita, abel = visit(world.rita), visit(world.abel)

    propose(rita, world, 25, world.staging)
    rita.read("One proposal, 2 environments")
    rita.press("Submit all 2 for review")
    rita.read("submitted it for review")
    abel.open("rollouts_changerequest_change", ChangeRequest.objects.get(environment=world.production).pk)
    before = (share(world, world.staging), share(world))
    abel.press("Approve for Staging and Production")
    abel.read("Live in Production since")

    assert before == (10, 10)
    assert (share(world, world.staging), share(world)) == (25, 25)
    assert set(ChangeRequest.objects.values_list("state", flat=True)) == {"applied"}
