"""Change requests and drift over the API: what a management token reads, page by page, and what it does not."""

from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from flags import snapshots
from flags.models.tokens import TokenScope
from flags.services.tokens import issue_token
from rollouts.models import ChangeRequest
from tests.factories import NOW, World, actor_of, percent_document
from tests.rollouts.support import Bench
from tests.rollouts.test_promotion import chosen, promoted, serve

LIST = "/api/v1/change-requests"


@pytest.fixture(autouse=True)
def _now() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


def client_of(world: World, *, environment: Any = None, scope: str = TokenScope.MANAGE) -> Client:
    """A service with a token of production."""
    place = environment or world.production
    issued = issue_token(place.pk, actor=actor_of(world.ada), name="Pipeline", scope=scope, expires_at=None, now=NOW)
    snapshots.store.refresh()
    return Client(headers={"X-API-Key": issued.secret})


def numbers(response: Any) -> list[int]:
    assert response.status_code == 200, response.content
    return [item["number"] for item in response.json()["results"]]


def test_list__newest_first_in_pages_until_the_end(bench: Bench) -> None:
    made = [bench.draft().number for _ in range(5)]
    client, found, address = client_of(bench.world), [], f"{LIST}?page_size=2"

    while address:
        page = client.get(address)
        found.append(numbers(page))
        address = page.json()["next"]

    assert found == [made[:2:-1], made[2:0:-1], made[:1]]


def test_list__filters(bench: Bench) -> None:
    other = bench.world.flag("checkout")
    bench.world.serve(other, bench.production)
    draft, review = bench.draft(), bench.submitted(change_set=bench.content(flag=other))
    client = client_of(bench.world)

    found = {
        query: numbers(client.get(f"{LIST}?{query}"))
        for query in ("state=open", "state=draft", "state=applied", "flag=checkout", "flag=checkout-redesign", "flag=x")
    }

    assert found == {
        "state=open": [review.number, draft.number],
        "state=draft": [draft.number],
        "state=applied": [],
        "flag=checkout": [review.number],
        "flag=checkout-redesign": [draft.number],
        "flag=x": [],
    }


@pytest.mark.parametrize(
    "query",
    [
        *("state=x", "state=", "flag=", "flag=%22", "cursor=x", "cursor=0", "page_size=201", "page_size=-1", "who=me"),
        *("state=applied&state=draft", "page_size=zz&page_size=1", "flag=a&flag=a"),
    ],
)
def test_list__unusable_parameter__is_refused_with_its_name(bench: Bench, query: str) -> None:
    response = client_of(bench.world).get(f"{LIST}?{query}")

    assert response.status_code == 400
    assert response.json()["problems"][0]["path"] == query.partition("=")[0]


def test_other_environments_and_scopes__are_out_of_reach(bench: Bench) -> None:
    request = bench.submitted()
    elsewhere = client_of(bench.world, environment=bench.world.staging)

    assert numbers(elsewhere.get(LIST)) == []
    assert elsewhere.get(f"{LIST}/{request.pk}").status_code == 404
    for scope in (TokenScope.EVALUATE, TokenScope.AUDIT):
        assert client_of(bench.world, scope=scope).get(LIST).status_code == 403
    assert Client().get(LIST).status_code == 401


def test_detail__content_verdict_approvals_and_source(bench: Bench) -> None:
    world = bench.world
    bench.require(2)
    serve(world, world.staging, percent_document(bench.flag.key, 50))
    request = bench.approve(bench.submit(promoted(world, chosen(world))))

    body = client_of(world).get(f"{LIST}/{request.pk}").json()

    assert (body["state"], body["digest"], body["changeSet"]) == ("in_review", request.digest, request.change_set)
    assert (body["verdict"]["isSatisfied"], body["verdict"]["required"], body["verdict"]["missing"]) == (False, 2, 1)
    assert [(one["person"]["id"], one["counts"]) for one in body["approvals"]] == [(str(world.abel.pk), True)]
    assert body["source"]["kind"] == "promotion"
    assert (body["soak"]["environment"], body["soak"]["hours"]) == ("staging", 0)
    assert body["history"].startswith(reverse("audit-events"))


def test_reading__more_requests__same_number_of_queries(bench: Bench, django_assert_max_num_queries: Any) -> None:
    client = client_of(bench.world)
    for _ in range(3):
        request = bench.submitted()

    with django_assert_max_num_queries(2):
        client.get(LIST)
    with django_assert_max_num_queries(18):
        client.get(f"{LIST}/{request.pk}")


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_writing__is_not_possible(bench: Bench, method: str) -> None:
    request = bench.submitted()
    client = client_of(bench.world)

    for address in (LIST, f"{LIST}/{request.pk}"):
        assert getattr(client, method)(address, {}, content_type="application/json").status_code == 405
    assert ChangeRequest.objects.get() == request


def test_drift__aspects_of_the_tokens_project_without_values(bench: Bench) -> None:
    world = bench.world
    serve(world, world.staging, percent_document(bench.flag.key, 50))
    client = client_of(world)

    response = client.get(f"/api/v1/projects/{world.project.key}/drift")
    [line] = [line for line in response.json()["results"] if line["downstream"] == "production"]

    assert (line["flag"], line["upstream"], line["state"]) == (bench.flag.key, "staging", "differs")
    assert "rules" in {one["aspect"] for one in line["aspects"]}
    assert "50000" not in response.content.decode()
    assert client.get("/api/v1/projects/other/drift").status_code == 404


def test_drift__pages_of_the_pairs_with_the_tokens_environment(bench: Bench) -> None:
    world = bench.world
    for key in ("a", "b", "c"):
        world.serve(world.flag(key), world.production)
    serve(world, world.development, percent_document(bench.flag.key, 50))
    client = client_of(world)
    address, found = f"/api/v1/projects/{world.project.key}/drift?page_size=2", []

    while address:
        page = client.get(address).json()
        found.append([(line["flag"], line["upstream"], line["downstream"]) for line in page["results"]])
        address = page["next"]

    pair = ("staging", "production")
    assert found == [[("a", *pair), ("b", *pair)], [("c", *pair), (bench.flag.key, *pair)]]
    for wrong in ("page_size=0", "cursor=%00", "state=open"):
        assert client.get(f"/api/v1/projects/{world.project.key}/drift?{wrong}").status_code == 400
