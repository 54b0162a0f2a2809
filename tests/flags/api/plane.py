"""An environment with flags of every kind, and short ways to ask the evaluation API for them."""

import copy
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.test import Client

from flags.api.wire import WireRequest, WireResponse
from flags.documents import initial_document
from flags.evaluation.bucketing import Generation
from flags.evaluation.compile import FlagSource, Snapshot
from flags.models import Environment
from flags.services.tokens import IssuedToken, issue_token
from flags.snapshots import SnapshotStore, TokenFacts, hash_secret
from tests.factories import NOW, World, actor_of, make_world
from tests.support.remembered import remembered

BULK = "/ofrep/v1/evaluate/flags"
SECRET = "fse_" + "s" * 43
BODY = b'{"context":{"targetingKey":"user-1"}}'

VALUES: dict[str, tuple[str, Any, Any]] = {
    "a-boolean": ("boolean", True, False),
    "a-string": ("string", "grün", ""),
    "an-integer": ("integer", 42, 0),
    "a-float": ("float", 1.0, 0.5),
    "an-object": ("object", {"nested": {"list": [1, "two", None]}}, {}),
}


def document(
    flag_key: str, value_type: str = "boolean", on: Any = True, off: Any = False, **fields: Any
) -> dict[str, Any]:
    """A config that is switched on and serves the variant "on", changed by `fields`."""
    variants = [{"name": "on", "value": on}, {"name": "off", "value": off}]
    made = initial_document(flag_key, value_type, variants)
    return {**made, "enabled": True, "default_variant": "on", **fields}


def rule(serve: Mapping[str, Any], condition: Mapping[str, Any] | None = None, name: str = "r1") -> dict[str, Any]:
    """One rule."""
    return {"id": name, "description": "", "condition": condition, "serve": dict(serve)}


HALVES = {"split": [{"variant": "on", "weight": 50_000}, {"variant": "off", "weight": 50_000}]}
IN_BETA = {"attribute": "plan", "operator": "equals", "value": "beta"}

DOCUMENTS: dict[str, tuple[str, dict[str, Any]]] = {
    **{key: (kind, document(key, kind, on, off)) for key, (kind, on, off) in VALUES.items()},
    "code-default": ("boolean", document("code-default", default_variant=None)),
    "disabled": ("boolean", document("disabled", enabled=False)),
    "disabled-code-default": ("boolean", document("disabled-code-default", enabled=False, off_variant=None)),
    "split": ("boolean", document("split", rules=[rule(HALVES)])),
    "targeted": ("boolean", document("targeted", default_variant="off", rules=[rule({"variant": "on"}, IN_BETA)])),
}


@dataclass
class FakeSource:
    """A source in memory. `fails` makes every read raise."""

    tokens: dict[str, TokenFacts] = field(default_factory=dict)
    snapshots: dict[uuid.UUID, Snapshot] = field(default_factory=dict)
    fails: Exception | None = None
    uses: list[tuple[uuid.UUID, datetime]] = field(default_factory=list)
    built: list[uuid.UUID] = field(default_factory=list)

    def _check(self) -> None:
        if self.fails is not None:
            raise self.fails

    def read_revisions(self) -> dict[uuid.UUID, int]:
        self._check()
        return {key: snapshot.revision for key, snapshot in self.snapshots.items()}

    def read_token_stamp(self) -> object:
        self._check()
        return frozenset(self.tokens)

    def read_tokens(self) -> dict[str, TokenFacts]:
        self._check()
        return dict(self.tokens)

    def build(self, environment_id: uuid.UUID) -> Snapshot:
        self._check()
        self.built.append(environment_id)
        return self.snapshots[environment_id]

    def write_last_use(self, token_id: uuid.UUID, used_at: datetime) -> None:
        self._check()
        self.uses.append((token_id, used_at))

    def add_environment(self, documents: Mapping[str, tuple[str, dict[str, Any]]], *, revision: int = 1) -> uuid.UUID:
        """An environment that serves these documents."""
        environment_id = uuid.uuid4()
        flags = {key: FlagSource(kind, copy.deepcopy(made), 1) for key, (kind, made) in documents.items()}
        self.snapshots[environment_id] = Snapshot(
            "shop", str(environment_id), "production", revision, Generation.FLAGD_V2, flags, {}
        )
        return environment_id

    def add_token(
        self,
        environment_id: uuid.UUID,
        secret: str = SECRET,
        *,
        scope: str = "evaluate",
        expires_at: datetime | None = None,
    ) -> TokenFacts:
        """A token for an environment."""
        facts = TokenFacts(uuid.uuid4(), "Shop", scope, "shop", environment_id, "production", expires_at)
        self.tokens[hash_secret(secret)] = facts
        return facts

    def move(self, environment_id: uuid.UUID, revision: int) -> None:
        """Give an environment another revision."""
        self.snapshots[environment_id] = replace(self.snapshots[environment_id], revision=revision)


def fake_store(documents: Mapping[str, tuple[str, dict[str, Any]]] = DOCUMENTS) -> tuple[SnapshotStore, FakeSource]:
    """A store over one environment and one evaluate token whose secret is `SECRET`."""
    source = FakeSource()
    source.add_token(source.add_environment(documents))
    return SnapshotStore(source), source


def wire(
    key: str | None = None, body: bytes = BODY, *, method: str = "POST", secret: str = SECRET, **headers: str
) -> WireRequest:
    """A request as the handler takes it; header names are given with underscores."""
    path = BULK if key is None else f"{BULK}/{key}"
    given = (
        {"x-api-key": secret, "content-type": "application/json"} if secret else {"content-type": "application/json"}
    )
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    return WireRequest(method, path, given, "", body)


def decoded(response: WireResponse) -> Any:
    """The body of an answer."""
    return json.loads(response.body)


@dataclass
class Plane:
    """A real environment with the flags of `DOCUMENTS` and an evaluate token."""

    world: World
    environment: Environment
    secret: str

    def issue(self, **fields: Any) -> IssuedToken:
        """A further token."""
        given = {"name": "Another", "scope": "evaluate", "expires_at": None, **fields}
        return issue_token(self.environment.pk, actor=actor_of(self.world.ada), now=NOW, **given)

    def post(self, key: str | None, context: Any, *, client: Client | None = None, **extra: Any) -> Any:
        """Evaluate through Django."""
        path = BULK if key is None else f"{BULK}/{key}"
        headers = {"X-API-Key": self.secret, **extra.pop("headers", {})}
        body = extra.pop("body", None) or json.dumps({"context": context})
        return (client or Client()).post(path, body, content_type="application/json", headers=headers, **extra)


def plane_of_its_own() -> Plane:
    """A plane in a world of its own."""
    return remembered("plane", lambda: make_plane(make_world()))


def make_plane(world: World) -> Plane:
    """Set the flags of `DOCUMENTS` up in production."""
    environment = world.production
    for key, (value_type, made) in DOCUMENTS.items():
        flag = world.flag(key, value_type=value_type, variants=made["variants"])
        world.serve(flag, environment, made)
    token = issue_token(
        environment.pk, actor=actor_of(world.ada), name="Shop", scope="evaluate", expires_at=None, now=NOW
    )
    return Plane(world, environment, token.secret)
