"""Explaining by API: for management tokens only, within the limits of the evaluation API, and without a trace of it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from django.test import Client

from flags import snapshots
from flags.api import edge
from flags.api.contexts import UnusableBody
from flags.api.explain import read_question
from flags.models.tokens import TokenScope
from flags.snapshots import SnapshotStore
from tests.factories import NOW
from tests.flags.api.plane import DOCUMENTS, FakeSource, document, rule

ADDRESS = "/api/v1/evaluate/explain"
MANAGE = "fsm_manage"
PLANTED = "planted-value-5d1"
SOON = {**rule({"variant": "off"}, name="later"), "starts_at": "2027-01-01T00:00:00Z"}


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSource]:
    """An environment in memory with a token of each scope, in the place of the process's own store."""
    source = FakeSource()
    later = ("boolean", document("scheduled", rules=[SOON]))
    environment_id = source.add_environment({**DOCUMENTS, "scheduled": later})
    for scope in TokenScope.values:
        source.add_token(environment_id, MANAGE if scope == "manage" else f"token-{scope}", scope=scope)
    monkeypatch.setattr(snapshots, "store", SnapshotStore(source))
    yield source
    edge.reset()


def ask(question: Any, *, secret: str = MANAGE, body: bytes | None = None, **headers: str) -> Any:
    """Ask for an explanation through Django."""
    given = {"X-API-Key": secret, **headers} if secret else headers
    content = json.dumps(question) if body is None else body
    return Client().post(ADDRESS, content, content_type="application/json", headers=given)


def test_explain__split__names_the_bucket_and_the_share(source: FakeSource):
    response = ask({"flag": "split", "context": {"targetingKey": "user-1"}})

    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    answer = response.json()
    assert (answer["project"], answer["environment"], answer["revision"]) == ("shop", "production", 1)
    explanation = answer["explanation"]
    split = explanation["rules"][0]["split"]
    assert explanation["decidedBy"] == "rule"
    assert explanation["resolution"]["reason"] == "SPLIT"
    assert (split["key"], split["total"]) == ("user-1", 100_000)
    (chosen,) = [share for share in split["shares"] if share["isChosen"]]
    assert chosen["start"] <= split["bucket"] < chosen["end"]
    assert chosen["variant"] == explanation["resolution"]["variant"]


@pytest.mark.parametrize("flag_key", sorted(DOCUMENTS))
def test_explain__any_flag__says_what_evaluation_says(flag_key: str, source: FakeSource):
    context = {"targetingKey": "user-7", "plan": "beta"}
    client = Client()
    evaluated = client.post(
        f"/ofrep/v1/evaluate/flags/{flag_key}",
        json.dumps({"context": context}),
        content_type="application/json",
        headers={"X-API-Key": "token-evaluate"},
    ).json()

    told = ask({"flag": flag_key, "context": context}).json()["explanation"]["resolution"]

    assert (told["variant"] or "", told["reason"]) == (evaluated["variant"], evaluated["reason"])
    assert (told["value"] if told["hasValue"] else None) == evaluated.get("value")


@pytest.mark.parametrize(
    ("at", "decided_by"), [("2026-12-31T23:59:59Z", "default"), ("2027-01-01T01:00:00+01:00", "rule")]
)
def test_explain__at_an_instant__is_judged_by_it(at: str, decided_by: str, source: FakeSource):
    answer = ask({"flag": "scheduled", "context": {}, "at": at}).json()

    assert answer["explanation"]["decidedBy"] == decided_by
    assert datetime.fromisoformat(answer["at"]) == datetime.fromisoformat(at)


@pytest.mark.parametrize("scope", sorted(set(TokenScope.values) - {"manage"}))
def test_explain__token_of_another_scope__is_refused(scope: str, source: FakeSource):
    response = ask({"flag": "split", "context": {}}, secret=f"token-{scope}")

    assert response.status_code == 403
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["code"] == "wrong_scope"
    assert "“manage”" in response.json()["detail"]


@pytest.mark.parametrize("secret", ["", "fsm_unknown", "ÿ", "x" * 5_000], ids=["none", "unknown", "latin", "endless"])
def test_explain__no_valid_token__is_refused(secret: str, source: FakeSource):
    response = ask({"flag": "split", "context": {}}, secret=secret)

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.django_db
def test_explain__signed_in_person__needs_a_token_too(source: FakeSource):
    from tests.factories import make_person
    from tests.support.admin import signed_in

    client = signed_in(make_person("ada", is_superuser=True))

    response = client.post(ADDRESS, '{"flag":"split","context":{}}', content_type="application/json")

    assert response.status_code == 401


def test_explain__unknown_flag__is_not_found(source: FakeSource):
    response = ask({"flag": PLANTED, "context": {}})

    assert (response.status_code, response.json()["code"]) == (404, "flag_not_found")
    assert PLANTED not in response.content.decode()


BAD_BODIES: dict[str, bytes] = {
    "empty": b"",
    "no json": b"{",
    "a list": b"[]",
    "no context": b'{"flag":"split"}',
    "no flag": b'{"context":{}}',
    "flag is empty": b'{"flag":"","context":{}}',
    "flag is a number": b'{"flag":5,"context":{}}',
    "flag is a list": b'{"flag":["split"],"context":{}}',
    "other members": b'{"flag":"split","context":{},"flagKey":"x"}',
    "at without a zone": b'{"flag":"split","context":{},"at":"2026-11-21T09:30:00"}',
    "at is a number": b'{"flag":"split","context":{},"at":5}',
    "at is empty": b'{"flag":"split","context":{},"at":""}',
    "at is far away": b'{"flag":"split","context":{},"at":"9999-12-31T23:59:59-23:00"}',
    "not a number": b'{"flag":"split","context":{"a":NaN}}',
    "not UTF-8": b'{"flag":"split","context":{"a":"\xff"}}',
    "half a character": b'{"flag":"split","context":{"a":"\\ud800"}}',
    "half a character as flag": b'{"flag":"\\ud800","context":{}}',
    "deep": b'{"flag":"split","context":{"a":' + b"[" * 5_000 + b"]" * 5_000 + b"}}",
    "many keys": b'{"flag":"split","context":{' + b",".join(b'"k%d":1' % n for n in range(1_100)) + b"}}",
    "endless number": b'{"flag":"split","context":{"a":' + b"9" * 5_000 + b"}}",
}


@pytest.mark.parametrize("name", sorted(BAD_BODIES))
def test_explain__unusable_body__is_a_problem_that_repeats_nothing(name: str, source: FakeSource):
    response = ask(None, body=BAD_BODIES[name])

    assert response.status_code == 400
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["code"] in {"parse_error", "invalid_context"}


@pytest.mark.parametrize("body", [b'{"flag":"a","context":{}}', b'{"flag":"a","context":{},"at":null}'])
def test_read_question__without_an_instant__means_now(body: bytes):
    assert read_question(body).at is None


def test_read_question__instant_with_offset__is_that_instant():
    question = read_question(b'{"flag":"a","context":{"b":1},"at":"2026-11-21T10:30:00+01:00"}')

    assert (question.flag_key, question.context) == ("a", {"b": 1})
    assert question.at == datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def test_read_question__message__repeats_nothing():
    for body in BAD_BODIES.values():
        with pytest.raises(UnusableBody) as caught:
            read_question(body.replace(b"split", PLANTED.encode()))
        assert PLANTED not in caught.value.message


def test_explain__body_beyond_the_limit__is_refused(source: FakeSource):
    response = ask(None, body=b'{"flag":"split","context":{"a":"' + b"x" * 70_000 + b'"}}')

    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")


def test_explain__other_media_types__are_refused(source: FakeSource):
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"):
        headers = {"X-API-Key": MANAGE}
        response = Client().post(ADDRESS, b"{}", content_type=content_type, headers=headers)
        assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("method", ["get", "put", "delete", "patch"])
def test_explain__other_methods__are_refused(method: str, source: FakeSource):
    response = getattr(Client(), method)(ADDRESS, headers={"X-API-Key": MANAGE})

    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")


def test_explain__too_many_questions__are_held_back(source: FakeSource, settings: Any):
    settings.EVALUATION_RATE_LIMIT = 2
    edge.reset()

    statuses = [ask({"flag": "split", "context": {}}).status_code for _ in range(3)]
    held = ask({"flag": "split", "context": {}})

    assert statuses.count(429) >= 1
    assert held.status_code == 429
    assert 0 < int(held.headers["Retry-After"]) <= 60


@pytest.mark.parametrize("limit", [0, 600_000])
def test_explain__limit__is_its_own_and_low(limit: int, source: FakeSource, settings: Any):
    settings.EVALUATION_RATE_LIMIT, settings.REDIS_URL = limit, ""
    edge.reset()
    limiter = edge.edge().explanation_limiter
    assert limiter is not None

    with time_machine.travel(NOW, tick=False):
        token = snapshots.store.token(MANAGE, now=NOW)
        assert token is not None
        admitted = sum(limiter.excess(token.id, now=NOW) is None for _ in range(599))
        last, held = (ask({"flag": "split", "context": {}}) for _ in range(2))

    assert (admitted, last.status_code) == (599, 200)
    assert held.status_code == 429
    assert "explanations of this minute" in held.json()["detail"]
    assert held.headers["RateLimit-Policy"] == '"explanations";q=600;w=60'


def test_explain__nothing_loaded__asks_to_come_back(source: FakeSource):
    source.fails = ConnectionError("gone")

    response = ask({"flag": "split", "context": {}})

    assert (response.status_code, response.json()["code"]) == (503, "snapshots_unavailable")
    assert response.headers["Retry-After"] == "1"


def test_explain__stores_gone__goes_on_and_says_so(source: FakeSource):
    ask({"flag": "split", "context": {}})
    source.fails = ConnectionError("gone")
    snapshots.store.try_refresh()

    response = ask({"flag": "split", "context": {}})

    assert response.status_code == 200
    assert "staleSeconds" in response.json()


@pytest.mark.django_db
def test_explain__runs_no_query(source: FakeSource, django_assert_num_queries: Any):
    ask({"flag": "split", "context": {}})

    with django_assert_num_queries(0):
        assert ask({"flag": "split", "context": {"targetingKey": "user-1"}}).status_code == 200


def test_explain__context__is_in_no_log(source: FakeSource, caplog: pytest.LogCaptureFixture, capfd: Any):
    context = {"targetingKey": PLANTED, "plan": PLANTED, "nested": {PLANTED: [PLANTED]}}
    with caplog.at_level("DEBUG"):
        ask({"flag": "targeted", "context": context})
        ask({"flag": PLANTED, "context": context})
        ask(None, body=json.dumps({"flag": "split", "context": context}).encode()[:-1])
        ask({"flag": "split", "context": context}, secret="token-audit")

    written = capfd.readouterr()
    assert PLANTED not in caplog.text + written.out + written.err


def test_explain__attribute_values__are_not_in_the_answer(source: FakeSource):
    response = ask({"flag": "targeted", "context": {"targetingKey": PLANTED, "plan": PLANTED}})

    assert response.json()["explanation"]["rules"][0]["condition"]["attribute"] == "plan"
    assert PLANTED not in response.content.decode()
