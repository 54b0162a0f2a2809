"""What plans and ends of flags are told of each other before they get in each other's way."""

from typing import Any

import pytest
import time_machine
from django.urls import reverse

from rollouts.errors import FlagIsEnding
from rollouts.selectors.timelines.beside import endings_beside, plan_beside, timeline_beside
from rollouts.services.reviewing import reject_change_request
from rollouts.services.timelines import acting, drafting
from tests.factories import actor_of
from tests.rollouts.plans.support import PlanBench
from tests.rollouts.timelines.support import (
    BROWNED_OUT,
    RAMPED_DOWN,
    SUNSET,
    WARNED,
    TimelineBench,
    at_day,
    brought_to,
    reloaded,
)
from tests.support.admin import signed_in, text_of

pytestmark = pytest.mark.django_db

KEY = "checkout-redesign"


@pytest.mark.parametrize(
    ("reached", "day", "words"),
    [
        (WARNED, 8, ["Timeline 1 of checkout-redesign is at work on it in Staging", "once that timeline is over"]),
        (BROWNED_OUT, 14, ["withdrawn from everybody in Staging until its brownout ends", "undo or end that first"]),
        (RAMPED_DOWN, 22, ["withdrawn from 25 % of people in Staging: they get “off”", "undo or end that first"]),
        (SUNSET, 29, ["withdrawn from everybody in Staging: they get “off”"]),
    ],
)
def test_rollout__of_a_flag_on_its_way_out__is_warned(
    bench: TimelineBench, reached: int, day: int, words: list[str]
) -> None:
    assert endings_beside(bench.staging, [KEY], now=at_day(day)) == {}
    brought_to(bench.started(), reached)

    found = endings_beside(bench.staging, [KEY, "another"], now=at_day(day))

    assert list(found) == [KEY]
    assert [part for part in words if part not in found[KEY]] == []
    assert endings_beside(bench.production, [KEY], now=at_day(day)) == {}


def test_rollout__of_a_flag_that_stays_withdrawn_without_a_timeline__is_warned(bench: TimelineBench) -> None:
    ended: dict[str, Any] = {"deprecated_at": "2026-03-09T09:00:00Z", "withdrawal": {"weight": 100_000, "serves": None}}
    bench.world.serve(bench.flag, bench.staging, {**bench.served(), "deprecation": ended})

    found = endings_beside(bench.staging, [KEY], now=at_day(1))[KEY]

    assert "they get their code default" in found
    assert "Take the withdrawal out of its config first" in found


def test_pages__of_a_plan_and_its_editor__say_that_the_flag_is_withdrawn(bench: TimelineBench) -> None:
    plan = PlanBench(bench.world, bench.flag).plan(environment=bench.staging)
    brought_to(bench.started(), RAMPED_DOWN)
    rita = signed_in(bench.world.rita)

    with time_machine.travel(at_day(22), tick=False):
        page = text_of(rita.get(reverse("admin:rollouts_rolloutplan_change", args=[plan.pk])))
        editor = text_of(rita.get(reverse("admin:rollouts_rolloutplan_edit", args=[plan.pk])))

    assert "is withdrawn from 25 % of people in Staging" in page
    assert "is withdrawn from 25 % of people in Staging" in editor


def test_page__of_a_timeline__says_that_a_plan_is_at_work(bench: TimelineBench) -> None:
    draft = bench.draft_in(bench.staging)
    assert plan_beside(draft) == ""
    PlanBench(bench.world, bench.flag).started()

    address = reverse("admin:rollouts_deprecationtimeline_change", args=[draft.pk])
    assert "is running and works on" in text_of(signed_in(bench.world.rita).get(address))

    acting.end_timeline(draft.pk, actor=actor_of(bench.world.rita), now=at_day(1), sequence=0, reason="Not now")
    assert "is running and works on" not in text_of(signed_in(bench.world.rita).get(address))


def test_propose__beside_another_one_in_the_same_environment__is_refused(bench: TimelineBench) -> None:
    first = bench.proposed()
    second = bench.draft_in(bench.production)
    told: dict[str, Any] = {"actor": actor_of(bench.world.rita), "now": at_day(0), "digest": second.digest}

    with pytest.raises(FlagIsEnding, match=r"waits for approval in Production.*Take that timeline back") as waiting:
        drafting.propose_timeline(second.pk, **told)
    assert first.request is not None
    bench.approve(first.request)
    with pytest.raises(FlagIsEnding, match=r"is running in Production.*pause it or end it instead") as running:
        drafting.propose_timeline(second.pk, **told)

    for refused in (waiting, running):
        assert (refused.value.status, refused.value.code) == (409, "flag_is_ending")
        assert refused.value.facts["timeline_id"] == str(first.pk)
    assert "pause it or end it instead" in timeline_beside(second)
    assert timeline_beside(reloaded(first)) == ""


def test_propose__beside_one_that_was_turned_down__goes_ahead(bench: TimelineBench) -> None:
    first = bench.proposed()
    assert first.request is not None
    abel = actor_of(bench.world.abel)
    reject_change_request(first.request.pk, actor=abel, now=at_day(0), reason="Not yet")

    assert bench.proposed().request is not None


def test_propose__beside_one_in_another_environment__goes_ahead(bench: TimelineBench) -> None:
    bench.started()

    assert bench.proposed().request is not None
