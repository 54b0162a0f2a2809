"""States as they are kept in a file."""

import uuid
from dataclasses import replace
from datetime import datetime, timedelta

from flags.snapshots.files import file_key
from flags.snapshots.states import SavedState
from tests.factories import NOW
from tests.flags.api.plane import fake_store

LATER = NOW + timedelta(minutes=5)
KEY = file_key("a secret key")


def state(revision: int = 1, *, looked_at: datetime = NOW, acts: int = 1) -> SavedState:
    """One environment and one token."""
    store, source = fake_store()
    source.move(next(iter(source.snapshots)), revision)
    store.refresh()
    saved = store.saved()
    assert saved is not None
    environment_id = uuid.UUID(int=7)
    snapshots = {environment_id: next(iter(saved.snapshots.values()))}
    tokens = {key: replace(facts, environment_id=environment_id) for key, facts in saved.tokens.items()}
    return replace(saved, looked_at=looked_at, token_acts=acts, snapshots=snapshots, tokens=tokens)


def later_look(one: SavedState, **ago: float) -> SavedState:
    """The same, found again later."""
    return replace(one, looked_at=one.looked_at + timedelta(**ago))


def turned(content: bytes) -> bytes:
    """One word of a flag changed."""
    return content.replace(b'"enabled":true', b'"enabled":null', 1)
