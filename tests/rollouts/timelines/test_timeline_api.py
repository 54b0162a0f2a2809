"""Timelines over the API: what a management token reads, page by page, and what it does not."""

from collections.abc import Iterator
from typing import Any

import pytest
import time_machine

from flags.models.tokens import TokenScope
from rollouts.deprecations.transitions import TimelineState
from tests.factories import NOW
from tests.rollouts.test_change_request_api import client_of
from tests.rollouts.timelines.support import RAMPED_DOWN, TimelineBench, at_day, brought_to, timeline_in

pytestmark = pytest.mark.django_db

LIST = "/api/v1/timelines"


@pytest.fixture(autouse=True)
def _now() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


def numbers(response: Any) -> list[int]:
    assert response.status_code == 200, response.content
    return [item["number"] for item in response.json()["results"]]


def test_list__newest_first_in_pages_until_the_end(bench: TimelineBench) -> None:
    made = [bench.draft_in(bench.production).number for _ in range(3)]
    client, found, address = client_of(bench.world), [], f"{LIST}?page_size=2"
    while address:
        page = client.get(address)
        found.append(numbers(page))
        address = page.json()["next"]
    assert found == [made[:0:-1], made[:1]]


def test_list__filters_and_other_environments_stay_out(bench: TimelineBench) -> None:
    bench.draft_in(bench.staging)
    draft, running = bench.draft_in(bench.production), bench.approved_and_started()
    client = client_of(bench.world)
    found = {
        query: numbers(client.get(f"{LIST}?{query}"))
        for query in ("", "state=live", "state=draft", "state=paused", "flag=checkout-redesign", "flag=x")
    }
    assert found == {
        "": [running.number, draft.number],
        "state=live": [running.number],
        "state=draft": [draft.number],
        "state=paused": [],
        "flag=checkout-redesign": [running.number, draft.number],
        "flag=x": [],
    }


@pytest.mark.parametrize("query", ["state=x", "state=", "flag=", "flag=%22", "cursor=0", "page_size=201", "who=me"])
def test_list__unusable_parameter__is_refused_with_its_name(bench: TimelineBench, query: str) -> None:
    response = client_of(bench.world).get(f"{LIST}?{query}")
    assert (response.status_code, response.json()["code"]) == (400, "invalid_input")
    assert response.json()["problems"][0]["path"] == query.split("=")[0]


def test_detail__says_what_it_waits_for_and_what_happened(bench: TimelineBench) -> None:
    timeline = bench.approved_and_started(gates={5: {"residual_days": 7, "residual_at_most": 10}})
    brought_to(timeline, RAMPED_DOWN)
    bench.report(30, at_day(27), environment=bench.production)

    with time_machine.travel(at_day(28), tick=False):
        found = client_of(bench.world).get(f"{LIST}/{timeline.pk}").json()

    assert (found["state"], found["milestone"], found["milestones"]) == ("running", RAMPED_DOWN, 6)
    assert (found["changeRequest"], found["digest"]) == (str(timeline.request_id), timeline.digest)
    assert [(gate["name"], gate["isMet"]) for gate in found["gates"]] == [("date", True), ("residual", False)]
    assert (found["next"]["move"], found["residual"]) == ("hold", 30)
    assert [one["isReached"] for one in found["schedule"]] == [True] * 4 + [False] * 2
    assert found["schedule"][4]["sentence"].startswith("From 30 March 2026, 09:00: everybody gets")
    assert [step["act"] for step in found["steps"]][-3:] == ["reach", "start", "propose"]


@pytest.mark.parametrize("state", TimelineState)
def test_detail__every_state_can_be_read(bench: TimelineBench, state: TimelineState) -> None:
    timeline = timeline_in(bench, state)
    found = client_of(bench.world, environment=timeline.environment).get(f"{LIST}/{timeline.pk}").json()
    assert found["state"] == state.value
    assert (found["next"] is None) == (state not in {TimelineState.RUNNING, TimelineState.PAUSED})


def test_detail__another_environments_timeline__is_not_there(bench: TimelineBench) -> None:
    elsewhere = bench.draft_in(bench.staging)
    assert client_of(bench.world).get(f"{LIST}/{elsewhere.pk}").status_code == 404
    assert client_of(bench.world).get(f"{LIST}/{elsewhere.pk}?x=1").status_code == 400


def test_other_scopes__are_refused(bench: TimelineBench) -> None:
    client = client_of(bench.world, scope=TokenScope.EVALUATE)
    assert client.get(LIST).status_code == 403
