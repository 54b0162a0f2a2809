"""`POST /api/v1/change-requests/{id}/impact` and reading the run: with a management token of the environment."""

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from flags import snapshots
from flags.models import Environment
from flags.models.tokens import TokenScope
from flags.services.tokens import issue_token
from rollouts.models import ChangeRequest, ImpactRun
from rollouts.tasks import run_waiting_impacts
from tests.factories import NOW, actor_of
from tests.rollouts.impact.support import PEOPLE
from tests.rollouts.support import Bench


@pytest.fixture
def request_(bench: Bench) -> ChangeRequest:
    """A request in review that widens the flag to 40 percent."""
    return bench.submitted(change_set=bench.content(40))


def _client(bench: Bench, *, place: Environment | None = None, scope: str = TokenScope.MANAGE) -> Client:
    issued = issue_token(
        (place or bench.production).pk,
        actor=actor_of(bench.world.ada),
        name="CI",
        scope=scope,
        expires_at=None,
        now=NOW,
    )
    snapshots.store.reset()
    snapshots.store.refresh()
    return Client(headers={"X-API-Key": issued.secret})


def _post(client: Client, request: ChangeRequest, body: Any, media_type: str = "application/json") -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(reverse("impact", args=[request.pk]), content, content_type=media_type)


def test_impact__asked_and_read__goes_from_queued_to_counts(bench: Bench, request_: ChangeRequest) -> None:
    client = _client(bench)
    asked = _post(client, request_, {"population": PEOPLE})

    assert asked.status_code == 202
    assert asked.json()["state"] == "queued"
    assert client.get(asked["Location"]).json()["result"] is None

    assert run_waiting_impacts() == 1
    read = client.get(asked["Location"]).json()
    assert (read["state"], read["progress"], read["isStale"]) == ("done", 500, False)
    assert read["result"]["flipped"] > 0
    assert "gain" in read["headline"]

    bench.edit(request_)
    assert client.get(asked["Location"]).json()["isStale"]


@pytest.mark.parametrize(
    ("body", "media_type", "kind", "size"),
    [
        ({}, "application/json", "synthetic", 20_000),
        (b"", "application/json", "synthetic", 20_000),
        ({"contexts": [{"targetingKey": "a"}]}, "application/json", "upload", 1),
        (b'{"targetingKey": "a"}\n{"targetingKey": "b"}', "application/x-ndjson", "upload", 2),
        (b"targetingKey\na\nb\nc", "text/csv; charset=utf-8", "upload", 3),
    ],
)
def test_impact__each_form__is_taken(
    bench: Bench, request_: ChangeRequest, body: Any, media_type: str, kind: str, size: int
) -> None:
    assert _post(_client(bench), request_, body, media_type).status_code == 202
    population = ImpactRun.objects.get().population
    assert (population["kind"], population["size"]) == (kind, size)


@pytest.mark.parametrize(
    ("body", "media_type", "status", "code"),
    [
        (b"{", "application/json", 400, "invalid_input"),
        (b"[]", "application/json", 400, "invalid_input"),
        ({"population": PEOPLE, "contexts": []}, "application/json", 400, "invalid_input"),
        ({"population": None}, "application/json", 400, "invalid_input"),
        ({"sampled": False}, "application/json", 400, "invalid_input"),
        ({"sampled": True}, "application/json", 400, "invalid_input"),
        ({"sampled": True, "population": PEOPLE}, "application/json", 400, "invalid_input"),
        ({"contexts": "MARKER"}, "application/json", 400, "invalid_input"),
        ({"contexts": {"a": "MARKER"}}, "application/json", 400, "invalid_input"),
        ({"colour": "MARKER"}, "application/json", 400, "invalid_input"),
        (b" ", "text/csv", 400, "invalid_input"),
        (b"<a/>", "application/xml", 415, "unsupported_media_type"),
        (b" " * (20 * 1024 * 1024 + 1), "text/csv", 413, "body_too_large"),
    ],
)
def test_impact__unusable_body__is_a_problem_that_repeats_nothing(
    bench: Bench, request_: ChangeRequest, body: Any, media_type: str, status: int, code: str
) -> None:
    response = _post(_client(bench), request_, body, media_type)

    assert response.status_code == status
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["code"] == code
    assert "MARKER" not in response.content.decode()
    assert not ImpactRun.objects.exists()


def test_impact__another_run_under_way__is_a_conflict_that_names_it(bench: Bench, request_: ChangeRequest) -> None:
    client = _client(bench)
    first = _post(client, request_, {"population": PEOPLE}).json()

    refused = _post(client, request_, {"population": PEOPLE | {"seed": 9}})

    assert (refused.status_code, refused.json()["code"]) == (409, "impact_under_way")
    assert refused.json()["run"] == first["id"]


def test_impact__tokens_of_elsewhere_and_other_scopes__learn_nothing(bench: Bench, request_: ChangeRequest) -> None:
    run = _post(_client(bench), request_, {"population": PEOPLE}).json()
    place = reverse("impact-run", args=[request_.pk, run["id"]])
    elsewhere, audit = _client(bench, place=bench.world.staging), _client(bench, scope=TokenScope.AUDIT)

    assert elsewhere.get(place).status_code == _post(elsewhere, request_, {}).status_code == 404
    assert audit.get(place).status_code == _post(audit, request_, {}).status_code == 403
    assert Client().get(place).status_code == 401
    assert _client(bench).get(f"{place}?x=1").json()["problems"][0]["path"] == "x"
