"""Who may open a stream, and what everybody else is told."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from flags.api.stream_tickets import issue
from flags.api.wire import WireRequest, WireResponse
from flags.streams.doors import SCOPES, Guest, open_door
from flags.streams.events import read_position
from tests.flags.streams.listening import START, FakeRegistry, Stage, play

PATH = "/api/v1/stream"


def request(query: str = "", *, method: str = "GET", path: str = PATH, **headers: str) -> WireRequest:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return WireRequest(method, path, named, query, b"")


def knock(store: FakeRegistry, query: str = "", **fields: Any) -> Guest | WireResponse:
    return open_door(request(query, **fields), store=store, now=START)


@pytest.fixture
def store() -> FakeRegistry:
    store = FakeRegistry()
    for scope in ("evaluate", "client", "flagd", "manage", "audit"):
        store.add(scope, scope=scope)
    return store


def ticket_of(store: FakeRegistry, secret: str = "client", **changes: Any) -> str:
    facts = store.secrets[secret]
    given = {"token_id": facts.id, "environment_id": facts.environment_id, "now": START, **changes}
    return f"ticket={issue(**given)}"


@pytest.mark.parametrize("scope", ["evaluate", "client", "flagd", "manage", "audit"])
@pytest.mark.parametrize("way", ["x-api-key", "bearer", "ticket"])
def test_scope__only_those_that_evaluate__come_in(scope: str, way: str, store: FakeRegistry):
    headers = {"x-api-key": {"x_api_key": scope}, "bearer": {"authorization": f"Bearer {scope}"}, "ticket": {}}[way]

    answer = knock(store, ticket_of(store, scope) if way == "ticket" else "", **headers)

    if scope in SCOPES:
        assert isinstance(answer, Guest)
        assert answer.token_id == store.secrets[scope].id
        assert answer.environment_id == store.secrets[scope].environment_id
        assert (answer.closes_at is None) == (way != "ticket")
    else:
        assert isinstance(answer, WireResponse)
        assert answer.status == 403
        assert b"wrong_scope" in answer.body


def test_nobody_known__all_get_the_same_answer_byte_for_byte(store: FakeRegistry, settings: Any):
    foreign = FakeRegistry()
    foreign.add("client", scope="client")
    settings_key, settings.SECRET_KEY = settings.SECRET_KEY, "another"
    forged = ticket_of(store)
    settings.SECRET_KEY = settings_key
    crossed = ticket_of(store, environment_id=store.secrets["evaluate"].environment_id)
    late = ticket_of(store, now=START - timedelta(minutes=19, seconds=30))
    queries = ["", "ticket=", "ticket=x", ticket_of(foreign), forged, crossed, late, "ticket=" + "A" * 96]

    answers = [knock(store, query) for query in queries]
    answers += [knock(store, x_api_key="fse_unknown"), knock(store, authorization="Basic client")]
    # A ticket that is no good is not made good by a header.
    answers.append(knock(store, "ticket=x", x_api_key="client"))

    assert {answer.status for answer in answers if isinstance(answer, WireResponse)} == {401}
    assert len({(answer.body, tuple(answer.headers.items())) for answer in answers}) == 1  # type: ignore[union-attr]
    assert isinstance(knock(store, ticket_of(store)), Guest)


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"path": "/"}, 404, "not_found"),
        ({"path": PATH + "/"}, 404, "not_found"),
        ({"path": "/admin/"}, 404, "not_found"),
        ({"path": "/ofrep/v1/evaluate/flags", "method": "POST"}, 404, "not_found"),
        ({"method": "POST"}, 405, "method_not_allowed"),
        ({"method": "PUT", "path": "/healthz/live"}, 405, "method_not_allowed"),
        ({"method": "TRACE"}, 405, "method_not_allowed"),
        ({"query": "ticket=a&ticket=b"}, 400, "query_unreadable"),
        ({"query": "&".join(f"a{number}=1" for number in range(9))}, 400, "query_unreadable"),
        ({"query": "a=" + "x" * 2_000}, 400, "query_unreadable"),
    ],
)
def test_refusal__is_a_problem_that_says_what_to_do(
    fields: dict[str, str], status: int, code: str, store: FakeRegistry
):
    async def scene(stage: Stage) -> None:
        listener = await stage.listen(**{"query": "", "x_api_key": stage.secret, **fields})

        assert listener.status == status
        assert listener.headers["content-type"] == "application/problem+json"
        assert listener.headers["content-length"] == str(len(listener.body))
        assert listener.headers["access-control-allow-origin"] == "*"
        assert {key: listener.problem[key] for key in ("status", "code")} == {"status": status, "code": code}
        assert listener.problem["detail"].endswith(".")
        assert ("allow" in listener.headers) == (status == 405)

    play(scene)


def test_head__answers_as_get_does_without_keeping_a_place():
    async def scene(stage: Stage) -> None:
        head = await stage.listen(method="HEAD")
        refused = await stage.listen("", method="HEAD")

        assert (head.status, head.body, head.is_over) == (200, b"", True)
        assert head.headers["content-type"] == "text/event-stream"
        assert (refused.status, refused.body) == (401, b"")
        assert int(refused.headers["content-length"]) > 0
        assert len(stage.app.hub) == 0

    play(scene)


ANY, SHOP = frozenset({"*"}), frozenset({"https://shop.example.org"})


@pytest.mark.parametrize(
    ("origins", "origin", "allowed"),
    [
        (ANY, "https://anywhere.example", "*"),
        (SHOP, "https://shop.example.org", "https://shop.example.org"),
        (SHOP, "https://shop.example.org.evil.example", None),
        (SHOP, "null", None),
        (frozenset(), "https://shop.example.org", None),
    ],
)
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_cors__pages_of_allowed_origins__may_listen(
    origins: frozenset[str], origin: str, allowed: str | None, method: str
):
    async def scene(stage: Stage) -> None:
        headers = {"origin": origin}
        if method == "OPTIONS":
            headers["access_control_request_method"] = "GET"
        answer = await stage.listen("" if method == "OPTIONS" else None, method=method, **headers)

        assert answer.status == (204 if method == "OPTIONS" else 200)
        assert answer.headers.get("access-control-allow-origin") == allowed
        assert answer.headers.get("vary") == (None if origins == ANY else "Origin")
        if method == "OPTIONS":
            allowed_headers = answer.headers.get("access-control-allow-headers", "")
            assert ("last-event-id" in allowed_headers) == (allowed is not None)
            assert "access-control-allow-credentials" not in answer.headers

    play(scene, origins=origins)


def test_store__not_loaded__is_unavailable_and_not_ready_but_alive():
    async def scene(stage: Stage) -> None:
        stage.store.is_loaded = False

        stream = await stage.listen()
        ready = await stage.listen("", path="/healthz/ready")
        live = await stage.listen("", path="/healthz/live")
        stage.store.is_loaded = True
        later = await stage.listen("", path="/healthz/ready")

        assert (stream.status, stream.headers["retry-after"]) == (503, "1")
        assert (ready.status, live.status, later.status) == (503, 200, 200)
        assert stage.store.starts == 1

    play(scene)


def test_environment__without_snapshot__is_unavailable(store: FakeRegistry):
    store.revisions.clear()

    answer = knock(store, ticket_of(store))

    assert isinstance(answer, WireResponse)
    assert answer.status == 503


def test_logs__of_every_request__hold_no_query_and_no_secret():
    async def scene(stage: Stage) -> None:
        ticket = stage.ticket()
        with structlog.testing.capture_logs() as lines:
            good = await stage.listen(f"ticket={ticket}")
            await stage.listen(f"ticket={ticket}x")
            await stage.listen(f"ticket={ticket}", path="/elsewhere/" + ticket)
            await stage.listen("", x_api_key=stage.secret, method="POST")
            good.go_away()
            await stage.listen("", method="HEAD")

        assert [line["status"] for line in lines] == [401, 404, 405, 200, 401]
        for hidden in (ticket, "ticket", stage.secret, "elsewhere"):
            assert hidden not in str(lines)

    play(scene)


@pytest.mark.parametrize(
    ("token", "sent", "status"),
    [
        ("", "", 404),
        ("", "Bearer ", 404),
        ("word", "", 401),
        ("word", "Bearer wörd", 401),
        ("word", "Bearer word", 200),
    ],
)
def test_metrics__for_whoever_has_their_token__count_streams_and_notices(token: str, sent: str, status: int):
    async def scene(stage: Stage) -> None:
        listeners = [await stage.listen() for _ in range(3)]
        stage.move(2)
        await asyncio.sleep(2)
        listeners[0].go_away()
        await asyncio.sleep(0.01)

        answer = await stage.listen("", path="/metrics", **({"authorization": sent} if sent else {}))

        assert answer.status == status
        assert answer.headers["content-type"].startswith("text/plain")
        lines = answer.body.decode().splitlines()
        figures = ["flagsite_stream_clients 2", "flagsite_stream_opened_total 3", "flagsite_stream_notices_total 6"]
        assert all((figure in lines) == (status == 200) for figure in figures)

    play(scene, metrics_token=token)


@given(st.text(max_size=60))
def test_read_position__any_text__is_itself_or_nothing(text: str):
    assert read_position(text) in {"", text}
    assert "\n" not in read_position(text)


@given(
    st.text(max_size=300), st.dictionaries(st.sampled_from(["x_api_key", "authorization", "last_event_id"]), st.text())
)
def test_door__hostile_request__is_an_answer(query: str, headers: dict[str, str]):
    store = FakeRegistry()
    store.add("client", scope="client")

    answer = knock(store, query, **headers)

    assert isinstance(answer, WireResponse)
    assert answer.status in {400, 401}
