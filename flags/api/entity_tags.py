"""Entity tags of bulk answers: a digest of the question.

A question is everything the answer follows from, that is what the environment serves and what is forced in it, who may
see it, whether it is stale, which rules' windows are open, the stream's ticket, and the context as it was sent. Whoever
asks the same question again is told so without an evaluation, by any process. Another question has another tag, also
where its answer happens to be the same: to compare answers would cost every request more than it saves a few.

Questions are hashed under a key: nobody can try out guesses at flags that are hidden from him.
"""

import hashlib
import os
from bisect import bisect_right
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from django.conf import settings

from flags import evaluation
from flags.api.compression import MIN_BYTES
from flags.evaluation.compile import CompiledSnapshot
from flags.evaluation.flags import window_instants
from flags.snapshots.encoding import line_of, snapshot_lines

_PURPOSE = b"flagsite.entity-tag.v1"
# At the end of a tag: whether the answer is long enough to be compressed, since that decides which form its tag has.
_SHORT, _LONG = "-", "."


class _Environment:
    """One snapshot as part of questions. What does not change from request to request is hashed once."""

    __slots__ = ("_content", "_instants", "_seeds", "snapshot")

    def __init__(self, snapshot: CompiledSnapshot) -> None:
        self.snapshot = snapshot
        content = hashlib.sha256()
        for line in snapshot_lines(snapshot.snapshot):
            content.update(line)
        content.update(line_of(sorted(snapshot.forced.items())))
        self._content = content.digest()
        self._instants = window_instants(snapshot.snapshot.flags.values())
        self._seeds: dict[tuple[bool, bool, int], bytes] = {}

    def seed(self, now: datetime, *, is_client: bool, is_stale: bool) -> bytes:
        """What the environment adds to a question. Between two instants of its windows it stays the same."""
        facts = is_client, is_stale, bisect_right(self._instants, now)
        seed = self._seeds.get(facts)
        if seed is None:
            words = self._content + _code() + repr(facts).encode()
            seed = self._seeds[facts] = hashlib.blake2b(words, key=_key(settings.SECRET_KEY)).digest()
        return seed


# What each environment serves now.
_environments: dict[str, _Environment] = {}


def question(
    snapshot: CompiledSnapshot, body: bytes, *, now: datetime, is_client: bool, is_stale: bool, streams: bytes
) -> str:
    """A digest of a question: two equal ones have the same answer, but for the age of a stale one."""
    environment_id = snapshot.snapshot.environment_id
    environment = _environments.get(environment_id)
    if environment is None or environment.snapshot is not snapshot:
        environment = _environments[environment_id] = _Environment(snapshot)
    seed = environment.seed(now, is_client=is_client, is_stale=is_stale)
    # The seed has a fixed length, and JSON holds no NUL: nothing can move from one part to the other.
    return hashlib.blake2b(b"%b%b\0%b" % (seed, streams, body), digest_size=16).hexdigest()


def tag_of(asked: str, *, size: int) -> str:
    """The strong tag of an answer of `size` bytes."""
    return f'"{asked}{_SHORT if size < MIN_BYTES else _LONG}"'


def is_long(tag: str) -> bool:
    """Whether the answer of a tag is long enough to be compressed for those who like that."""
    return tag[-2] == _LONG


def tag_for_question(if_none_match: str, asked: str) -> str | None:
    """The tag in `If-None-Match`, in a list or alone, weak or strong, that an answer to the question was sent with."""
    # No other tag can contain it, since it has quotation marks of its own.
    return next((tag for tag in (f'"{asked}{_LONG}"', f'"{asked}{_SHORT}"') if tag in if_none_match), None)


def takes_any(if_none_match: str) -> bool:
    """Whether `If-None-Match` is `*`: whatever the answer is, the client has one."""
    return if_none_match.strip() == "*"


@lru_cache(maxsize=1)
def _code() -> bytes:
    """What tells this code from another version, which may answer otherwise: both run while one replaces the other.

    Where there are no sources, each process has its own.
    """
    folders = Path(__file__).parent, Path(evaluation.__file__).parent
    sources = b"".join(path.read_bytes() for folder in folders for path in sorted(folder.glob("*.py")))
    return hashlib.sha256(sources or os.urandom(32)).digest()


@lru_cache(maxsize=4)
def _key(secret_key: str) -> bytes:
    return hashlib.blake2b(_PURPOSE, key=hashlib.sha256(secret_key.encode()).digest()).digest()
