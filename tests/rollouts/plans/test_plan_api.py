"""Plans over the API: what a management token reads, page by page, and what it does not."""

from collections.abc import Iterator
from typing import Any

import pytest
import time_machine

from flags.models.tokens import TokenScope
from rollouts.plans.transitions import PlanAct, PlanState
from tests.factories import NOW
from tests.rollouts.plans.support import PlanBench, plan_in
from tests.rollouts.plans.test_acting import perform
from tests.rollouts.test_change_request_api import client_of

pytestmark = pytest.mark.django_db

LIST = "/api/v1/plans"


@pytest.fixture(autouse=True)
def _now() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


def numbers(response: Any) -> list[int]:
    assert response.status_code == 200, response.content
    return [item["number"] for item in response.json()["results"]]


def test_list__newest_first_in_pages_until_the_end(bench: PlanBench) -> None:
    made = [bench.plan().number for _ in range(3)]
    client, found, address = client_of(bench.world), [], f"{LIST}?page_size=2"
    while address:
        page = client.get(address)
        found.append(numbers(page))
        address = page.json()["next"]
    assert found == [made[:0:-1], made[:1]]


def test_list__filters_and_other_environments_stay_out(bench: PlanBench) -> None:
    bench.plan(environment=bench.staging)
    draft, running = bench.plan(), bench.approved_and_started()
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
def test_list__unusable_parameter__is_refused_with_its_name(bench: PlanBench, query: str) -> None:
    response = client_of(bench.world).get(f"{LIST}?{query}")
    assert (response.status_code, response.json()["code"]) == (400, "invalid_input")
    assert response.json()["problems"][0]["path"] == query.split("=")[0]


def test_detail__says_what_it_waits_for_and_what_happened(bench: PlanBench) -> None:
    plan = bench.approved_and_started(gates={1: {"approvals": 1}})
    perform(plan, PlanAct.APPROVE_STAGE, bench.world.anna)
    found = client_of(bench.world).get(f"{LIST}/{plan.pk}").json()
    assert (found["state"], found["stage"], found["stages"], found["stageName"]) == ("running", 1, 3, "10 %")
    assert (found["changeRequest"], found["digest"]) == (str(plan.request_id), plan.digest)
    assert [gate["name"] for gate in found["gates"]] == ["soak", "approval"]
    assert [gate["isMet"] for gate in found["gates"]] == [False, True]
    assert found["next"]["move"] == "wait"
    assert found["approvals"]["counted"] == [{"id": str(bench.world.anna.pk), "name": "Anna Test"}]
    assert [step["act"] for step in found["steps"]] == ["approve_stage", "start", "propose"]
    assert found["definition"]["stages"][1]["name"] == "50 %"


@pytest.mark.parametrize("state", PlanState)
def test_detail__every_state_can_be_read(bench: PlanBench, state: PlanState) -> None:
    plan = plan_in(bench, state)
    client = client_of(bench.world, environment=plan.environment)
    found = client.get(f"{LIST}/{plan.pk}").json()
    assert found["state"] == state.value
    assert (found["next"] is None) == (state not in {PlanState.RUNNING, PlanState.PAUSED})


def test_detail__another_environments_plan__is_not_there(bench: PlanBench) -> None:
    plan = bench.plan(environment=bench.staging)
    response = client_of(bench.world).get(f"{LIST}/{plan.pk}")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert client_of(bench.world).get(f"{LIST}/{plan.pk}?x=1").json()["problems"][0]["path"] == "x"


@pytest.mark.parametrize("scope", [scope for scope in TokenScope.values if scope != TokenScope.MANAGE])
def test_other_tokens__are_refused(bench: PlanBench, scope: str) -> None:
    client = client_of(bench.world, scope=scope)
    assert {client.get(address).status_code for address in (LIST, f"{LIST}/{bench.plan().pk}")} == {403}


def test_list__costs_the_same_for_more_plans(bench: PlanBench, django_assert_num_queries: Any) -> None:
    client = client_of(bench.world)
    for _ in range(2):
        bench.plan()
        with django_assert_num_queries(1):
            client.get(LIST)
