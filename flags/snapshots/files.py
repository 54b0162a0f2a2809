"""The signed copy of a state in a local file, to start from when every store is away.

Line 1 holds the format and an HMAC-SHA256 of the rest; then come a header and the state, a JSON object each. Tokens are
there by their hashes only. One earlier generation is kept beside it. All processes of a host share the file.
"""

import fcntl
import hashlib
import hmac
import json
import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from flags.evaluation.bucketing import Generation
from flags.evaluation.compile import FlagSource, Snapshot
from flags.snapshots.states import SavedState
from flags.snapshots.tokens import TokenFacts

logger = structlog.get_logger(__name__)

FORMAT = "flagsite-snapshots-1"
# After this long a file holds nobody back: then it is from before a backup was restored, not from a faster process.
_OUTDATED = timedelta(minutes=1)


class UnusableFile(ValueError):
    """The file is not one that this installation wrote, or not the whole of it."""


def file_key(secret_key: str) -> bytes:
    """The key that signs the file: derived, so that it is good for nothing else."""
    return hmac.digest(secret_key.encode(), b"flagsite snapshot file", "sha256")


class SnapshotFile:
    """Where the state of this host is kept."""

    def __init__(self, path: Path, *, key: bytes) -> None:
        self._path = path
        self._earlier = path.with_name(f"{path.name}.1")
        self._key = key
        self._refused: set[str] = set()

    def load(self) -> SavedState | None:
        """The newest state that can be trusted; None if there is none. A refused file is logged once. Never raises."""
        for path in (self._path, self._earlier):
            try:
                return _read(path, self._key)
            except FileNotFoundError:
                continue
            except (OSError, UnusableFile) as error:
                self._refuse(path, error)
        return None

    def save(self, state: SavedState) -> bool:
        """Write the state unless a newer one is there, or another process is writing. Whether it did. Raises OSError.

        Readers see the old file or the new one, never a part; so does a start after a crash.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(self._path.with_name(f"{self._path.name}.lock")) as is_ours:
            if not is_ours:
                return False
            present = self._present()
            if present is not None and _is_ahead(present, of=state):
                return False
            content = _encode(state, self._key)
            target = self._path.with_name(f"{self._path.name}.{os.getpid()}-{threading.get_ident()}")
            try:
                _write(target, content)
                if present is not None:
                    self._keep_earlier(target.with_name(f"{target.name}.1"))
                target.replace(self._path)
                _sync_folder(self._path.parent)
            finally:
                target.unlink(missing_ok=True)
        return True

    def _keep_earlier(self, link: Path) -> None:
        """A second name first, then a rename: at no moment is there no file."""
        link.unlink(missing_ok=True)
        # Some file systems know no second names; then there is no earlier generation.
        with suppress(OSError):
            os.link(self._path, link)
            link.replace(self._earlier)

    def _present(self) -> SavedState | None:
        with suppress(OSError, UnusableFile):
            return _read(self._path, self._key)
        return None

    def _refuse(self, path: Path, error: Exception) -> None:
        line = f"{path}: {error}"
        if line not in self._refused:
            self._refused.add(line)
            logger.error("snapshot_file_refused", path=str(path), error=type(error).__name__, detail=str(error))


def _is_ahead(present: SavedState, *, of: SavedState) -> bool:
    """Whether the file knows anything newer. Of equal states the one looked at later is newer."""
    if of.looked_at - present.looked_at > _OUTDATED:
        return False
    ours = of.snapshots
    return (
        present.token_acts > of.token_acts
        or any(key in ours and there.revision > ours[key].revision for key, there in present.snapshots.items())
        or (_same(present, of) and present.looked_at >= of.looked_at)
    )


def _same(one: SavedState, other: SavedState) -> bool:
    revisions = ({key: snapshot.revision for key, snapshot in state.snapshots.items()} for state in (one, other))
    return one.token_acts == other.token_acts and next(revisions) == next(revisions)


def _encode(state: SavedState, key: bytes) -> bytes:
    header = {"looked_at": state.looked_at.isoformat(), "token_acts": state.token_acts}
    tokens = {
        secret_hash: {
            **asdict(facts),
            "id": str(facts.id),
            "environment_id": str(facts.environment_id),
            "expires_at": facts.expires_at.isoformat() if facts.expires_at else None,
        }
        for secret_hash, facts in state.tokens.items()
    }
    snapshots = {str(key): _snapshot_facts(snapshot) for key, snapshot in state.snapshots.items()}
    lines = [json.dumps(part, separators=(",", ":")) for part in (header, {"tokens": tokens, "snapshots": snapshots})]
    rest = ("\n".join(lines) + "\n").encode("ascii")
    return f"{FORMAT} {_sign(rest, key)}\n".encode("ascii") + rest


def _snapshot_facts(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "project_key": snapshot.project_key,
        "environment_id": snapshot.environment_id,
        "environment_key": snapshot.environment_key,
        "revision": snapshot.revision,
        "generation": snapshot.generation.value,
        "requires_targeting_key": snapshot.requires_targeting_key,
        "flags": {key: [flag.value_type, flag.document, flag.version] for key, flag in snapshot.flags.items()},
        "segments": dict(snapshot.segments),
    }


def _read(path: Path, key: bytes) -> SavedState:
    content = path.read_bytes()
    first, _, rest = content.partition(b"\n")
    words = first.split(b" ")
    if len(words) != 2 or words[0] != FORMAT.encode():
        raise UnusableFile("It is no snapshot file of this version, or its beginning is damaged.")
    if not hmac.compare_digest(words[1], _sign(rest, key).encode("ascii")):
        raise UnusableFile("Its signature is wrong: it is damaged, or was written under another SECRET_KEY.")
    try:
        header, body = (json.loads(line) for line in rest.splitlines())
        return _decode(header, body)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnusableFile(f"Its content is not what this version writes ({type(error).__name__}).") from error


def _decode(header: dict[str, Any], body: dict[str, Any]) -> SavedState:
    return SavedState(
        looked_at=datetime.fromisoformat(header["looked_at"]),
        token_acts=int(header["token_acts"]),
        tokens={secret_hash: _token(facts) for secret_hash, facts in body["tokens"].items()},
        snapshots={uuid.UUID(key): _snapshot(facts) for key, facts in body["snapshots"].items()},
    )


def _token(facts: dict[str, Any]) -> TokenFacts:
    return TokenFacts(
        **{
            **facts,
            "id": uuid.UUID(facts["id"]),
            "environment_id": uuid.UUID(facts["environment_id"]),
            "expires_at": datetime.fromisoformat(facts["expires_at"]) if facts["expires_at"] else None,
        }
    )


def _snapshot(facts: dict[str, Any]) -> Snapshot:
    flags = {
        key: FlagSource(value_type=value_type, document=document, version=version)
        for key, (value_type, document, version) in facts["flags"].items()
    }
    return Snapshot(**{**facts, "generation": Generation(facts["generation"]), "flags": flags})


def _sign(rest: bytes, key: bytes) -> str:
    return hmac.new(key, FORMAT.encode() + b"\n" + rest, hashlib.sha256).hexdigest()


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """One writer of this host at a time; whether it is this one. The kernel takes the lock from a process that dies.

    One that hangs keeps it, so nobody waits for long.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield any(_try_lock(descriptor, pause) for pause in (0.0, 0.01, 0.05, 0.2, 0.2))
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int, pause: float) -> bool:
    time.sleep(pause)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
