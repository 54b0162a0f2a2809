"""Release trains over the API: what tokens and people read, and the acts of people, in their own name."""

from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.test import Client

from audits.models import AuditEvent
from flags.models.tokens import TokenScope
from flags.permissions import Role
from rollouts.models import ReleaseTrain
from tests.factories import NOW, actor_of
from tests.rollouts.plans.support import definition_of, stages_of
from tests.rollouts.test_change_request_api import client_of
from tests.rollouts.trains.support import TrainBench, train_again, where

pytestmark = pytest.mark.django_db

LIST = "/api/v1/trains"


@pytest.fixture(autouse=True)
def _now() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


def titles(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [item["id"] for item in response.json()["results"]]


def signed_in(person: Any) -> Client:
    client = Client()
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client


def staged(bench: TrainBench, *keys: str) -> ReleaseTrain:
    """A train of two plans for staging."""
    return bench.train(*(bench.plan_for(key) for key in keys or ("one", "other")))


def act(client: Client, train: ReleaseTrain, name: str, **changed: Any) -> Any:
    """Read the train and act on it as it was read; None leaves a field out."""
    read = client.get(f"{LIST}/{train.pk}").json()
    told = {"version": read.get("version", 1), "digest": read.get("digest", "0" * 64), "reason": "Test", **changed}
    body = {key: value for key, value in told.items() if value is not None}
    return client.post(f"{LIST}/{train.pk}/{name}", body, content_type="application/json")


# Reading


def test_list__newest_first_in_pages_until_the_end(bench: TrainBench) -> None:
    made = [str(staged(bench, f"a{n}", f"b{n}").pk) for n in range(3)]
    client, found, address = client_of(bench.world, environment=bench.staging), [], f"{LIST}?page_size=2"
    while address:
        page = client.get(address)
        found.append(titles(page))
        address = page.json()["next"]
    assert [len(page) for page in found] == [2, 1]
    assert sorted(one for page in found for one in page) == sorted(made)


def test_train__is_read_where_all_of_it_may_be_read(bench: TrainBench) -> None:
    here = staged(bench)
    across = bench.train(bench.plan_for("third"), bench.plan_for("fourth", environment=bench.production))
    world = bench.world
    readers = {
        "token of staging": client_of(world, environment=bench.staging),
        "token of production": client_of(world),
        "Rita": signed_in(world.rita),
        "Otto, who has no role": signed_in(world.otto),
    }
    found = {name: set(titles(client.get(LIST))) for name, client in readers.items()}
    assert found == {
        "token of staging": {str(here.pk)},
        "token of production": set(),
        "Rita": {str(here.pk), str(across.pk)},
        "Otto, who has no role": set(),
    }
    for name, client in readers.items():
        for train in (here, across):
            expected = 200 if str(train.pk) in found[name] else 404
            assert client.get(f"{LIST}/{train.pk}").status_code == expected


@pytest.mark.parametrize("query", ["state=x", "state=", "cursor=1", f"cursor={'0' * 32}", "page_size=0", "who=me"])
def test_list__unusable_parameter__is_refused_with_its_name(bench: TrainBench, query: str) -> None:
    response = client_of(bench.world).get(f"{LIST}?{query}")
    assert (response.status_code, response.json()["code"]) == (400, "invalid_input")
    assert response.json()["problems"][0]["path"] == query.split("=")[0]


def test_detail__says_where_each_plan_stands_and_what_it_waits_for(bench: TrainBench) -> None:
    one, other = bench.plan_for("one"), bench.plan_for("other")
    train = bench.started_train(one, other)
    client = client_of(bench.world, environment=bench.staging)
    found = client.get(f"{LIST}/{train.pk}").json()
    assert (found["state"], found["version"], found["project"]) == ("running", 2, bench.world.project.key)
    assert [(plan["plan"], plan["state"], plan["stage"], plan["stages"]) for plan in found["plans"]] == [
        (str(one.pk), "running", 1, 3),
        (str(other.pk), "draft", 0, 3),
    ]
    assert found["plans"][0]["waitsFor"] == ""
    assert "comes first in the release train" in found["plans"][1]["waitsFor"]
    assert titles(client.get(f"{LIST}?state=running")) == [str(train.pk)]
    assert titles(client.get(f"{LIST}?state=draft")) == []
    assert client.get(f"{LIST}/{train.pk}?x=1").status_code == 400
    several = client.get(f"{LIST}?state=x&cursor={other.pk}&page_size=0").json()["problems"]
    assert {each["path"] for each in several} == {"state", "cursor", "page_size"}


@pytest.mark.parametrize("scope", [scope for scope in TokenScope.values if scope != TokenScope.MANAGE])
def test_other_tokens__are_refused(bench: TrainBench, scope: str) -> None:
    client = client_of(bench.world, environment=bench.staging, scope=scope)
    train = staged(bench)
    assert {client.get(address).status_code for address in (LIST, f"{LIST}/{train.pk}")} == {403}
    assert act(client, train, "start").status_code == 403


def test_list__costs_the_same_for_more_trains(bench: TrainBench, django_assert_num_queries: Any) -> None:
    client = client_of(bench.world, environment=bench.staging)
    for number in range(2):
        staged(bench, f"a{number}", f"b{number}")
        with django_assert_num_queries(2):
            client.get(LIST)


# Acting


def test_people__start_pause_resume_and_roll_back__in_their_own_name(bench: TrainBench) -> None:
    one, other = bench.plan_for("one"), bench.plan_for("other")
    train, client = bench.train(one, other), signed_in(bench.world.rita)
    states = [act(client, train, name).json()["state"] for name in ("start", "pause", "resume")]
    begun = where(one)
    back = act(client, train, "roll-back", reason="Wrong prices").json()
    assert [*states, back["state"], back["rollbackReason"]] == [
        "running",
        "paused",
        "running",
        "rolled_back",
        "Wrong prices",
    ]
    assert (begun, where(one)) == ([("running", 1)], [("rolled_back", 0)])
    told = AuditEvent.objects.filter(action__startswith="train.", correlation_id=train.correlation_id)
    assert set(told.values_list("actor_id", flat=True)) == {actor_of(bench.world.rita).id}
    assert told.count() == 5


def test_token__acts_on_no_train(bench: TrainBench) -> None:
    train = staged(bench)
    client = client_of(bench.world, environment=bench.staging)
    answers = [act(client, train, name) for name in ("start", "roll-back")]
    assert [(one.status_code, one.json()["code"]) for one in answers] == [(403, "permission_missing")] * 2
    assert train_again(train).state == "draft"


@pytest.mark.parametrize(
    ("name", "changed", "status", "code"),
    [
        ("start", {"version": 9}, 409, "train_moved_on"),
        ("start", {"digest": "0" * 64}, 409, "train_moved_on"),
        ("start", {"digest": None}, 400, "invalid_input"),
        ("start", {"version": None}, 400, "invalid_input"),
        ("start", {"version": "x"}, 400, "invalid_input"),
        ("roll-back", {"reason": None}, 400, "invalid_input"),
        ("roll-back", {}, 409, "invalid_train_transition"),
        ("pause", {}, 409, "invalid_train_transition"),
    ],
)
def test_act__that_does_not_fit__is_refused_and_does_nothing(
    name: str, changed: dict[str, Any], status: int, code: str, bench: TrainBench
) -> None:
    train = staged(bench)
    answer = act(signed_in(bench.world.rita), train, name, **changed)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (train_again(train).state, train_again(train).lock_version) == ("draft", 1)


def test_start__of_plans_that_were_changed_since_they_were_read__is_refused(bench: TrainBench) -> None:
    one, other = bench.plan_for("one"), bench.plan_for("other")
    train, client = bench.train(one, other), signed_in(bench.world.rita)
    read = client.get(f"{LIST}/{train.pk}").json()
    bench.edited(other, definition_of("other", stages=stages_of("other", shares=((100_000, 30),))))
    answer = act(client, train, "start", digest=read["digest"])
    assert (answer.status_code, answer.json()["code"]) == (409, "train_moved_on")
    assert where(one, other) == [("draft", 0), ("draft", 0)]
    assert act(client, train, "start").status_code == 200


def test_act__of_somebody_who_only_looks__or_without_the_token_of_the_form__is_refused(bench: TrainBench) -> None:
    train, world = staged(bench), bench.world
    world.grant(world.vera, bench.staging, Role.VIEWER)
    forged = Client(enforce_csrf_checks=True)
    forged.force_login(world.rita, backend="django.contrib.auth.backends.ModelBackend")
    codes = [act(client, train, "start").json()["code"] for client in (signed_in(world.vera), forged)]
    assert codes == ["permission_missing", "csrf_failed"]
    assert act(Client(), train, "start").status_code == 401
    assert train_again(train).state == "draft"
