"""The stream as clients see it: over real sockets, with the published web SDK and with a bare HTTP client."""

import asyncio
import contextlib
import json
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import time_machine
from django.utils import timezone

from flags import snapshots
from flags.api.stream_tickets import read
from flags.services.tokens import revoke_token
from flags.streams import app
from flags.streams.hub import Limits
from flags.streams.running import make_application
from tests.factories import NOW, actor_of
from tests.flags.api.plane import Plane, document
from tests.flags.streams.listening import frames
from tests.support.streaming import running_stream
from tests.support.tools import JAVASCRIPT_FOLDER, find_node

USER = {"targetingKey": "user-1"}
CLIENTS = 200


@pytest.fixture
def stream_url(live_plane: Plane, settings: Any) -> Iterator[str]:
    """A stream process that shares the store of the live server, named in the settings."""
    with running_stream() as url:
        settings.STREAM_URL = url
        yield url


def change(plane: Plane, key: str = "a-boolean", **fields: Any) -> int:
    """Serve another document; answers the revision of the environment."""
    plane.world.serve(plane.world.flags[key], plane.environment, document(key, **fields))
    plane.environment.refresh_from_db()
    return plane.environment.revision


def bulk(url: str, secret: str, etag: str = "") -> httpx.Response:
    headers = {"X-API-Key": secret, **({"If-None-Match": etag} if etag else {})}
    return httpx.post(f"{url}/ofrep/v1/evaluate/flags", json={"context": USER}, headers=headers)


@dataclass
class Page:
    """A page with the published web SDK, in node."""

    process: subprocess.Popen[str]
    lines: queue.Queue[str] = field(default_factory=queue.Queue)

    def next_line(self) -> Any:
        """What it says next; fails when it says nothing for half a minute."""
        return json.loads(self.lines.get(timeout=30))

    def listen(self) -> None:
        """Collect what it says."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line)


@contextmanager
def page(**question: Any) -> Iterator[Page]:
    """Open a page; closes it in the end."""
    node = find_node()
    assert node
    process = subprocess.Popen(
        [node, "stream.mjs", json.dumps(question)],
        cwd=JAVASCRIPT_FOLDER,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    opened = Page(process)
    listener = threading.Thread(target=opened.listen)
    listener.start()
    try:
        yield opened
    finally:
        assert process.stdin is not None
        process.stdin.close()
        listener.join(timeout=30)
        assert process.wait(timeout=30) == 0


@pytest.mark.node
def test_web_sdk__change__arrives_without_polling(live_plane: Plane, live_server: Any, stream_url: str):
    secret = live_plane.secret

    with page(baseUrl=live_server.url, headers=[["X-API-Key", secret]], context=USER, flag="a-boolean") as open_page:
        ready = open_page.next_line()
        revision = change(live_plane, default_variant="off")
        changed = open_page.next_line()

    evaluated, connected = ready["wire"]
    assert (ready["event"], ready["value"], evaluated["status"]) == ("ready", True, 200)
    assert connected["stream"].startswith(f"{stream_url}/api/v1/stream?ticket=")
    assert secret not in connected["stream"]
    assert (changed["event"], changed["value"]) == ("changed", False)
    (refetched,) = changed["wire"]
    query = parse_qs(refetched["query"].removeprefix("?"))
    assert refetched["status"] == 200
    assert query["flagConfigEtag"] == [str(revision)]


@pytest.mark.node
def test_web_sdk__ticket_over__comes_back_with_a_fresh_one_and_misses_nothing(
    live_plane: Plane, live_server: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
):
    """The provider keeps to its first address until that is refused; then it evaluates again and takes the new one."""
    application, ahead, statuses = make_application(), [timedelta(0)], list[int]()
    monkeypatch.setattr(application, "_clock", lambda: timezone.now() + ahead[0])
    monkeypatch.setattr(application.hub, "_clock", lambda: timezone.now() + ahead[0])
    monkeypatch.setattr(app, "_log", lambda request, status, seconds: statuses.append(status))
    question = {"baseUrl": live_server.url, "headers": [["X-API-Key", live_plane.secret]], "context": USER}

    with contextlib.ExitStack() as stack:
        settings.STREAM_URL = stack.enter_context(running_stream(application))
        open_page = stack.enter_context(page(**question, flag="a-boolean"))
        ready = open_page.next_line()
        wait_until(lambda: len(application.hub) == 1)
        ahead[0] = timedelta(minutes=25)
        stale = open_page.next_line()
        wait_until(lambda: 401 in statuses)
        ahead[0] = timedelta(0)
        wait_until(lambda: len(application.hub) == 1)
        change(live_plane, default_variant="off")
        changed = open_page.next_line()

    assert [line["event"] for line in (ready, stale, changed)] == ["ready", "stale", "changed"]
    assert (ready["value"], stale["value"], changed["value"]) == (True, True, False)
    assert statuses[:2] == [200, 401]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_bulk__same_ticket_bucket__is_a_304_and_the_next_bucket_is_not(
    live_plane: Plane, live_server: Any, settings: Any
):
    """A 304 repeats the ticket of the answer before it, so it must never outlive that."""
    settings.STREAM_URL = "http://127.0.0.1:9"
    start = timezone.now().replace(minute=0, second=0, microsecond=0)

    def ask(at: datetime, etag: str = "") -> httpx.Response:
        with time_machine.travel(at, tick=False):
            return bulk(live_server.url, live_plane.secret, etag)

    first = ask(start)
    (stream,) = first.json()["eventStreams"]
    (text,) = parse_qs(urlsplit(stream["url"]).query)["ticket"]
    asked = {seconds: ask(start + timedelta(seconds=seconds), first.headers["etag"]) for seconds in range(0, 1_500, 60)}

    assert {asked[seconds].status_code for seconds in range(0, 600, 60)} == {304}
    assert {asked[seconds].status_code for seconds in range(600, 1_500, 60)} == {200}
    for seconds, answer in asked.items():
        left = read(text, now=start + timedelta(seconds=seconds) + timedelta(minutes=9))
        assert (left is not None) >= (answer.status_code == 304)
    assert asked[600].json()["flags"] == first.json()["flags"]


@pytest.mark.parametrize("way", ["ticket", "header"])
def test_raw_client__change__is_told_and_a_reconnect_misses_nothing(
    way: str, live_plane: Plane, live_server: Any, stream_url: str
):
    first = bulk(live_server.url, live_plane.secret).json()
    url = first["eventStreams"][0]["url"] if way == "ticket" else f"{stream_url}/api/v1/stream"
    headers = {} if way == "ticket" else {"Authorization": f"Bearer {live_plane.secret}"}

    with httpx.stream("GET", url, headers=headers, timeout=10) as response:
        parts = response.iter_text()
        opening = next(parts)
        revision = change(live_plane, default_variant="off")
        notice = next(part for part in parts if f"id: {revision}\n" in part)
    missed = change(live_plane, default_variant="on")
    with httpx.stream("GET", url, headers={**headers, "Last-Event-ID": str(revision)}, timeout=10) as response:
        back = next(part for part in response.iter_text() if "data: " in part)

    assert frames(opening.encode())[0]["id"] == str(first["metadata"]["revision"])
    assert json.loads(frames(notice.encode())[0]["data"])["type"] == "refetchEvaluation"
    assert f"id: {missed}\n" in back


def test_revoked_token__its_streams_end(live_plane: Plane, live_server: Any, stream_url: str):
    issued = live_plane.issue(scope="client")
    snapshots.store.try_refresh()
    (stream,) = bulk(live_server.url, issued.secret).json()["eventStreams"]

    with httpx.stream("GET", stream["url"], timeout=10) as response:
        revoke_token(issued.token.pk, actor=actor_of(live_plane.world.ada), reason="Leaked", now=NOW)
        snapshots.store.try_refresh()
        rest = "".join(response.iter_text())

    assert response.status_code == 200
    assert "id: " in rest
    assert httpx.get(stream["url"]).status_code == 401


def test_stop__open_stream__ends_in_good_order(live_plane: Plane):
    snapshots.store.token(live_plane.secret, now=timezone.now())

    with running_stream() as url:
        request = httpx.Client().build_request("GET", f"{url}/api/v1/stream", headers={"X-API-Key": live_plane.secret})
        response = httpx.Client().send(request, stream=True)
        parts = response.iter_text()
        opening = next(parts)

    # A stream that is cut off raises here.
    assert "".join(parts) is not None
    assert opening.startswith("retry: ")


def test_many_clients__all_hear_of_a_change(live_plane: Plane):
    """The benchmark measures 2,000; this says that the mechanism holds."""
    snapshots.store.token(live_plane.secret, now=timezone.now())
    application = make_application(Limits(streams=2 * CLIENTS))
    request = f"GET /api/v1/stream HTTP/1.1\r\nHost: test\r\nX-API-Key: {live_plane.secret}\r\n\r\n".encode()

    async def listen(host: str, port: int, opened: asyncio.Semaphore, wanted: asyncio.Future[int]) -> bytes:
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(request)
        head = await reader.readuntil(b"id: ")
        opened.release()
        said = b""
        while not wanted.done() or f"id: {wanted.result()}\ndata".encode() not in said:
            said += await reader.read(10_000)
        writer.close()
        return head

    async def scene(host: str, port: int) -> list[bytes]:
        opened, wanted = asyncio.Semaphore(0), asyncio.get_running_loop().create_future()
        clients = [asyncio.create_task(listen(host, port, opened, wanted)) for _ in range(CLIENTS)]
        for _ in range(CLIENTS):
            await opened.acquire()
        one_too_many = await asyncio.to_thread(httpx.get, f"http://{host}:{port}/api/v1/stream", headers=key)
        wanted.set_result(await asyncio.to_thread(change, live_plane, default_variant="off"))
        return [one_too_many.content, *await asyncio.wait_for(asyncio.gather(*clients), timeout=30)]

    key = {"X-API-Key": live_plane.secret}
    with running_stream(application) as url:
        place = urlsplit(url)
        assert place.hostname
        assert place.port
        refused, *heads = asyncio.run(scene(place.hostname, place.port))

    # One token fills no more than its half.
    assert json.loads(refused)["code"] == "too_many_streams"
    assert all(head.startswith(b"HTTP/1.1 200") for head in heads)
    assert len(heads) == CLIENTS
