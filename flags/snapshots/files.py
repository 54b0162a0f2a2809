"""The signed copy of a state in a local file, to start from when every store is away.

Line 1 holds the format and an HMAC-SHA256 of line 2, the header; that has the digests of the parts that follow, see
`encoding`. A look that found nothing new goes to a small file beside it (`.looked`) and moves nothing else. Tokens are
there by their hashes only. One earlier generation is kept (`.1`). All processes of a host share these files.
"""

import fcntl
import hashlib
import hmac
import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import structlog

from flags.snapshots.collecting import without_collecting
from flags.snapshots.encoding import (
    TOKENS,
    Header,
    Part,
    encoded,
    environment_id,
    is_part,
    line_of,
    read_header,
    read_snapshot,
    read_tokens,
    snapshot_lines,
    token_lines,
)
from flags.snapshots.progress import computing, step
from flags.snapshots.states import SavedState
from flags.snapshots.tokens import TokenFacts

logger = structlog.get_logger(__name__)

FORMAT = "flagsite-snapshots-2"
# Nobody starts from what is older: tokens have been revoked since, and flags are not what they were.
LONGEST_AGE = timedelta(days=7)
# After this long a file holds nobody back: then it is from before a backup was restored, not from a faster process.
_OUTDATED = timedelta(minutes=1)
# A look further ahead than this was at the time of a wrong clock, so nobody knows how old it is.
_SKEW = timedelta(minutes=1)
# Written anew so often without changes too: that finds damage, and keeps the earlier generation young enough.
_WRITTEN_ANEW = timedelta(days=1)
_LONGEST_HEADER = 1 << 24
_COPY_BYTES = 1 << 18

Chunks = dict[str, list[bytes]]


class UnusableFile(ValueError):
    """The file is not one that this installation wrote, or not the whole of it, or too old."""


def file_key(secret_key: str) -> bytes:
    """The key that signs the file: derived, so that it is good for nothing else."""
    return hmac.digest(secret_key.encode(), b"flagsite snapshot file", "sha256")


@dataclass(frozen=True, slots=True)
class _Present:
    """What the beginning of a file says. `looked_at` is that of the last look which found the same."""

    header: Header
    signature: str
    begins_at: int
    looked_at: datetime


class SnapshotFile:
    """Where the state of this host is kept."""

    def __init__(self, path: Path, *, key: bytes) -> None:
        self._path = path
        self._earlier = path.with_name(f"{path.name}.1")
        self._looked = path.with_name(f"{path.name}.looked")
        self._key = key
        self._refused: set[str] = set()
        self._known: dict[str, tuple[object, Part]] = {}

    def load(self, *, now: datetime) -> SavedState | None:
        """The newest state that can be trusted; None if there is none. A refused file is logged once. Never raises.

        The earlier generation stands in for a file that is damaged. It does not for one that somebody took away.
        """
        try:
            return self._read(self._path, now=now)
        except FileNotFoundError:
            return None
        except (OSError, UnusableFile) as error:
            self._refuse(self._path, error)
        try:
            return self._without_revoked(self._read(self._earlier, now=now))
        except FileNotFoundError:
            return None
        except (OSError, UnusableFile) as error:
            self._refuse(self._earlier, error)
        return None

    def save(self, state: SavedState, *, now: datetime) -> bool:
        """Write the state unless a newer one is there, or another process is writing. Whether it did. Raises OSError.

        Readers see the old file or the new one, never a part; so does a start after a crash.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        header, chunks = self._described(state)
        with _locked(self._path.with_name(f"{self._path.name}.lock")) as is_ours:
            if not is_ours:
                return False
            present = self._present()
            if present is not None and _is_ahead(present, of=header, now=now):
                return False
            if present is not None and _holds(present, header):
                self._touch(present, looked_at=header.looked_at)
            else:
                self._replace(header, state, chunks, present)
        return True

    def _described(self, state: SavedState) -> tuple[Header, Chunks]:
        """The header of a state, and the lines of what was not known from the last time."""
        things: dict[str, object] = {TOKENS: state.tokens}
        things |= {str(key): state.snapshots[key] for key in sorted(state.snapshots)}
        known, fresh = self._known, {}
        parts: dict[str, Part] = {}
        for name, thing in things.items():
            if name in known and known[name][0] is thing:
                parts[name] = known[name][1]
            else:
                with computing():
                    parts[name], fresh[name] = _encoded(name, state)
        self._known = {name: (thing, parts[name]) for name, thing in things.items()}
        revisions = {str(key): snapshot.revision for key, snapshot in state.snapshots.items()}
        return Header(state.looked_at, state.token_acts, revisions, tuple(parts.values())), fresh

    def _touch(self, present: _Present, *, looked_at: datetime) -> None:
        line = line_of({"of": present.signature, "looked_at": looked_at.isoformat()})
        self._put(self._looked, lambda file: file.write(_signed(line, self._key)))

    def _replace(self, header: Header, state: SavedState, chunks: Chunks, present: _Present | None) -> None:
        def write(file: BinaryIO) -> None:
            file.write(_signed(header.as_line(), self._key))
            for part in header.parts:
                self._write_part(file, part, state, chunks, present)
            file.flush()
            os.fsync(file.fileno())
            if present is not None:
                self._keep_earlier()

        self._put(self._path, write)
        _sync_folder(self._path.parent)

    def _write_part(
        self, file: BinaryIO, part: Part, state: SavedState, chunks: Chunks, present: _Present | None
    ) -> None:
        """From memory, else from the present file, else encoded again."""
        if part.name not in chunks and present is not None and self._copy(file, part, present):
            return
        with computing():
            lines = chunks.get(part.name) or _encoded(part.name, state)[1]
        for chunk in lines:
            file.write(chunk)
            step()

    def _copy(self, file: BinaryIO, part: Part, present: _Present) -> bool:
        """Take a part over as it is. Whether it was there and undamaged."""
        offset = present.begins_at
        for there in present.header.parts:
            if there == part:
                break
            offset += there.size
        else:
            return False
        began, left, digest = file.tell(), part.size, hashlib.sha256()
        with self._path.open("rb") as source:
            source.seek(offset)
            while chunk := source.read(min(_COPY_BYTES, left)):
                left -= len(chunk)
                digest.update(chunk)
                file.write(chunk)
                step()
        if digest.hexdigest() == part.digest:
            return True
        file.seek(began)
        file.truncate()
        return False

    def _put(self, path: Path, write: Callable[[BinaryIO], object]) -> None:
        """Let a file be written beside its place and move it there."""
        target = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}")
        target.unlink(missing_ok=True)
        try:
            with os.fdopen(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                write(file)
            target.replace(path)
        finally:
            target.unlink(missing_ok=True)

    def _keep_earlier(self) -> None:
        """A second name first, then a rename: at no moment is there no file."""
        link = self._earlier.with_name(f"{self._earlier.name}.{os.getpid()}-{threading.get_ident()}")
        link.unlink(missing_ok=True)
        # Some file systems know no second names; then there is no earlier generation.
        with suppress(OSError):
            os.link(self._path, link)
            link.replace(self._earlier)

    def _present(self) -> _Present | None:
        """What the file says of itself, without reading the rest; None if it is missing or visibly damaged."""
        with suppress(OSError, UnusableFile), self._path.open("rb") as file:
            found = self._begin(file)
            size = found.begins_at + sum(part.size for part in found.header.parts)
            if os.fstat(file.fileno()).st_size == size:
                return found
        return None

    def _begin(self, file: BinaryIO) -> _Present:
        signature, line = _verified(file.readline(_LONGEST_HEADER), file.readline(_LONGEST_HEADER), self._key)
        try:
            header = read_header(line)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UnusableFile(f"Its header is not what this version writes ({type(error).__name__}).") from error
        looked_at = self._last_look(signature)
        return _Present(header, signature, file.tell(), max(header.looked_at, looked_at or header.looked_at))

    def _last_look(self, signature: str) -> datetime | None:
        """When the file with this signature was last found to be the current state, if anybody noted it."""
        with suppress(OSError, UnusableFile, KeyError, TypeError, ValueError), self._looked.open("rb") as file:
            _, line = _verified(file.readline(_COPY_BYTES), file.readline(_COPY_BYTES), self._key)
            facts = json.loads(line)
            return datetime.fromisoformat(facts["looked_at"]) if facts["of"] == signature else None
        return None

    def _read(self, path: Path, *, now: datetime) -> SavedState:
        with path.open("rb") as file:
            found = self._begin(file)
            _check_age(found.looked_at, now=now)
            contents = [(part, file.read(part.size)) for part in found.header.parts]
            if file.read(1) or not all(is_part(part, content) for part, content in contents):
                raise UnusableFile("It is damaged: its content is not what its header says.")
        try:
            with computing(), without_collecting():
                tokens = read_tokens(contents[0][1])
                snapshots = {environment_id(part): read_snapshot(content) for part, content in contents[1:]}
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise UnusableFile(f"Its content is not what this version writes ({type(error).__name__}).") from error
        acts = found.header.token_acts
        return SavedState(looked_at=found.looked_at, token_acts=acts, tokens=tokens, snapshots=snapshots)

    def _without_revoked(self, earlier: SavedState) -> SavedState:
        """The earlier generation with what the damaged file still tells of tokens. Raises UnusableFile.

        A header that nobody can read tells nothing, and then the earlier generation is taken as it is.
        """
        try:
            with self._path.open("rb") as file:
                header = self._begin(file).header
                content = file.read(header.parts[0].size)
        except (OSError, UnusableFile, IndexError):
            return earlier
        if is_part(header.parts[0], content):
            return replace(earlier, token_acts=header.token_acts, tokens=_not_revoked(earlier, read_tokens(content)))
        if header.token_acts != earlier.token_acts:
            raise UnusableFile("Tokens were issued or revoked since, and the newer file no longer says which.")
        return earlier

    def _refuse(self, path: Path, error: Exception) -> None:
        line = f"{path}: {error}"
        if line not in self._refused:
            self._refused.add(line)
            logger.error("snapshot_file_refused", path=str(path), error=type(error).__name__, detail=str(error))


def _not_revoked(earlier: SavedState, live: dict[str, TokenFacts]) -> dict[str, TokenFacts]:
    return {secret_hash: facts for secret_hash, facts in earlier.tokens.items() if secret_hash in live}


def _encoded(name: str, state: SavedState) -> tuple[Part, list[bytes]]:
    if name == TOKENS:
        return encoded(name, token_lines(state.tokens))
    return encoded(name, snapshot_lines(state.snapshots[uuid.UUID(name)]))


def _check_age(looked_at: datetime, *, now: datetime) -> None:
    if looked_at > now + _SKEW:
        raise UnusableFile("It is from the future, by the clock of this host, so nobody knows how old it is.")
    if now - looked_at > LONGEST_AGE:
        raise UnusableFile(f"It is older than {LONGEST_AGE.days} days.")


def _is_ahead(present: _Present, *, of: Header, now: datetime) -> bool:
    """Whether the file knows anything newer. Of equal states the one looked at later is newer."""
    if present.looked_at > now + _SKEW or of.looked_at - present.looked_at > _OUTDATED:
        return False
    there, ours = present.header, of.revisions
    return (
        there.token_acts > of.token_acts
        or any(key in ours and revision > ours[key] for key, revision in there.revisions.items())
        or (
            there.token_acts == of.token_acts
            and dict(there.revisions) == dict(ours)
            and present.looked_at >= of.looked_at
        )
    )


def _holds(present: _Present, header: Header) -> bool:
    """Whether the file has this very content, and was written not too long ago."""
    there = present.header
    return (
        there.parts == header.parts
        and there.token_acts == header.token_acts
        and timedelta() <= header.looked_at - there.looked_at < _WRITTEN_ANEW
        and header.looked_at >= present.looked_at
    )


def _signed(line: bytes, key: bytes) -> bytes:
    return f"{FORMAT} {_sign(line, key)}\n".encode("ascii") + line


def _verified(first: bytes, line: bytes, key: bytes) -> tuple[str, bytes]:
    """The signature and the line it is right for. Raises UnusableFile."""
    words = first.removesuffix(b"\n").split(b" ")
    if len(words) != 2 or words[0] != FORMAT.encode():
        raise UnusableFile("It is no snapshot file of this version, or its beginning is damaged.")
    signature = _sign(line, key)
    if not hmac.compare_digest(words[1], signature.encode("ascii")):
        raise UnusableFile("Its signature is wrong: it is damaged, or was written under another SECRET_KEY.")
    return signature, line


def _sign(line: bytes, key: bytes) -> str:
    return hmac.new(key, FORMAT.encode() + b"\n" + line, hashlib.sha256).hexdigest()


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


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
