"""Listeners without a network, hours without waiting: an ASGI harness on a loop whose clock jumps to the next timer."""

import asyncio
import json
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from flags.api.stream_tickets import issue
from flags.snapshots import TokenFacts
from flags.streams.app import StreamApplication
from flags.streams.hub import Limits

START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SETTLE_SECONDS = 0.7


class JumpingLoop(asyncio.SelectorEventLoop):
    """Its time stands still while there is something to do, then jumps to the next timer."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self.now = max(self.now, self._scheduled[0]._when)  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


@dataclass
class FakeRegistry:
    """A store in memory whose environments a test moves."""

    is_loaded: bool = True
    revisions: dict[uuid.UUID, int] = field(default_factory=dict)
    forced: dict[uuid.UUID, dict[str, str]] = field(default_factory=dict)
    secrets: dict[str, TokenFacts] = field(default_factory=dict)
    callbacks: list[Callable[[frozenset[uuid.UUID]], None]] = field(default_factory=list)
    starts: int = 0

    def start(self) -> bool:
        self.starts += 1
        return True

    def token(self, secret: str, *, now: datetime) -> TokenFacts | None:
        facts = self.secrets.get(secret)
        return None if facts is None or facts.is_expired(now) else facts

    def token_facts(self, token_id: uuid.UUID) -> TokenFacts | None:
        return next((facts for facts in self.secrets.values() if facts.id == token_id), None)

    def snapshot(self, environment_id: uuid.UUID) -> Any:
        if environment_id not in self.revisions:
            return None
        return SimpleNamespace(
            revision=self.revisions[environment_id],
            forced=self.forced.get(environment_id, {}),
            snapshot=SimpleNamespace(environment_id=str(environment_id)),
        )

    def subscribe(self, callback: Callable[[frozenset[uuid.UUID]], None], /) -> Callable[[], None]:
        self.callbacks.append(callback)
        return lambda: self.callbacks.remove(callback)

    def add(self, secret: str, *, scope: str = "evaluate", environment_id: uuid.UUID | None = None) -> TokenFacts:
        """A token, in an environment of its own unless one is named."""
        environment_id = environment_id or uuid.uuid4()
        self.revisions.setdefault(environment_id, 1)
        facts = TokenFacts(uuid.uuid4(), "Shop", scope, "shop", environment_id, "production", None)
        self.secrets[secret] = facts
        return facts

    def move(self, environment_id: uuid.UUID, revision: int) -> None:
        """A change that everybody hears of."""
        self.revisions[environment_id] = revision
        for callback in self.callbacks:
            callback(frozenset({environment_id}))


@dataclass
class Listener:
    """One request to the application, and what came back so far."""

    app: StreamApplication
    messages: list[dict[str, Any]] = field(default_factory=list)
    task: asyncio.Task[None] | None = None
    may_write: asyncio.Event = field(default_factory=asyncio.Event)
    _over: asyncio.Event = field(default_factory=asyncio.Event)
    _has_read: bool = False

    def begin(self, *, path: str, method: str, query: str, headers: dict[str, str], address: str) -> None:
        self.may_write.set()
        raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        scope: dict[str, Any] = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": raw,
        }
        scope["client"] = (address, 50_000) if address else None
        self.task = asyncio.create_task(self.app(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        if not self._has_read:
            self._has_read = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        await self.may_write.wait()
        self.messages.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self._over.set()

    def go_away(self) -> None:
        """The client hangs up."""
        self._over.set()

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.messages[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.messages[1:])

    @property
    def problem(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def is_over(self) -> bool:
        return self.task is not None and self.task.done()

    @property
    def ids(self) -> list[str]:
        """The ids of the notices so far."""
        return [fields["id"] for fields in frames(self.body) if "data" in fields]


def frames(body: bytes) -> list[dict[str, str]]:
    """What a stream said: the fields of each block that is no comment."""
    blocks = [block for block in body.decode().split("\n\n") if block and not block.startswith(":")]
    return [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks]


@dataclass
class Stage:
    """An application under a clock of its own. `secret` opens a stream to `environment_id`."""

    store: FakeRegistry
    app: StreamApplication
    facts: TokenFacts
    secret: str = "fse_secret"

    @property
    def environment_id(self) -> uuid.UUID:
        return self.facts.environment_id

    async def listen(
        self,
        query: str | None = None,
        *,
        path: str = "/api/v1/stream",
        method: str = "GET",
        address: str = "127.0.0.1",
        **headers: str,
    ) -> Listener:
        """Open a stream, with a fresh ticket and up to date unless told otherwise, and read what comes at once."""
        if query is None:
            query = f"ticket={self.ticket()}&since={self.store.revisions[self.environment_id]}"
        listener = Listener(self.app)
        listener.begin(path=path, method=method, query=query, headers=headers, address=address)
        await asyncio.sleep(0.001)
        return listener

    def ticket(self, facts: TokenFacts | None = None) -> str:
        facts = facts or self.facts
        return issue(facts.id, facts.environment_id, now=clock())

    def move(self, revision: int) -> None:
        self.store.move(self.environment_id, revision)


def clock() -> datetime:
    """The instant on the loop's clock."""
    return START + timedelta(seconds=asyncio.get_running_loop().time())


def play(scene: Callable[[Stage], Coroutine[Any, Any, None]], **settings: Any) -> None:
    """Run a scene with the application's life around it, on a clock that jumps."""

    async def run() -> None:
        store = FakeRegistry()
        given = {"limits": Limits(), "origins": frozenset({"*"}), "settle_seconds": SETTLE_SECONDS, **settings}
        app = StreamApplication(store, clock=clock, **given)
        stage = Stage(store, app, store.add(Stage.secret))
        said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        told: asyncio.Queue[Any] = asyncio.Queue()
        said.put_nowait({"type": "lifespan.startup"})
        life = asyncio.create_task(app({"type": "lifespan"}, said.get, told.put))
        assert (await told.get())["type"] == "lifespan.startup.complete"
        await asyncio.wait_for(scene(stage), timeout=100_000)
        said.put_nowait({"type": "lifespan.shutdown"})
        await asyncio.wait_for(life, timeout=10)

    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        runner.run(run())
