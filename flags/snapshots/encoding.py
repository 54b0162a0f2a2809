"""How a state is written down: a header, the tokens, and each environment, as lines of JSON.

A line is a token, a flag or a segment, so that neither writing nor reading keeps other threads from running for long.
Each part has a digest of its own: what did not change is neither encoded again nor read to find that out.
"""

import hashlib
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import orjson

from flags.evaluation.bucketing import Generation
from flags.evaluation.compile import FlagSource, Snapshot
from flags.snapshots.tokens import TokenFacts

TOKENS = "tokens"
_CHUNK_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Part:
    """The tokens or one environment: how long its lines are, and their SHA-256."""

    name: str
    size: int
    digest: str


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of itself. `parts` are in the order of the file, the tokens first."""

    looked_at: datetime
    token_acts: int
    revisions: Mapping[str, int]
    parts: tuple[Part, ...]

    def as_line(self) -> bytes:
        """The header as it is written and signed."""
        return line_of(
            {
                "looked_at": self.looked_at.isoformat(),
                "token_acts": self.token_acts,
                "revisions": dict(self.revisions),
                "parts": [[part.name, part.size, part.digest] for part in self.parts],
            }
        )


def read_header(line: bytes) -> Header:
    """The header in a line whose signature was right. Raises what comes of other content."""
    facts = json.loads(line)
    return Header(
        looked_at=datetime.fromisoformat(facts["looked_at"]),
        token_acts=int(facts["token_acts"]),
        revisions=dict(facts["revisions"]),
        parts=tuple(Part(*part) for part in facts["parts"]),
    )


def line_of(value: object) -> bytes:
    """One line of JSON. Integers beyond 64 bits and halves of characters are legal in documents."""
    try:
        return orjson.dumps(value) + b"\n"
    except TypeError:
        return json.dumps(value, separators=(",", ":")).encode("ascii") + b"\n"


def token_lines(tokens: Mapping[str, TokenFacts]) -> Iterator[bytes]:
    """The tokens, by their hashes, in an order of their own."""
    for secret_hash in sorted(tokens):
        facts = tokens[secret_hash]
        yield line_of(
            [
                secret_hash,
                {
                    **asdict(facts),
                    "id": str(facts.id),
                    "environment_id": str(facts.environment_id),
                    "expires_at": facts.expires_at.isoformat() if facts.expires_at else None,
                },
            ]
        )


def snapshot_lines(snapshot: Snapshot) -> Iterator[bytes]:
    """An environment: its own facts, then its flags and segments."""
    yield line_of(
        {
            "project_key": snapshot.project_key,
            "environment_id": snapshot.environment_id,
            "environment_key": snapshot.environment_key,
            "revision": snapshot.revision,
            "generation": snapshot.generation.value,
            "requires_targeting_key": snapshot.requires_targeting_key,
            "samples_contexts": snapshot.samples_contexts,
        }
    )
    for key, flag in snapshot.flags.items():
        yield line_of(["flag", key, flag.value_type, flag.version, flag.document])
    for key, document in snapshot.segments.items():
        yield line_of(["segment", key, document])


def read_tokens(content: bytes) -> dict[str, TokenFacts]:
    """What `token_lines` wrote."""
    return {secret_hash: _token(facts) for secret_hash, facts in map(json.loads, _lines(content))}


def read_snapshot(content: bytes) -> Snapshot:
    """What `snapshot_lines` wrote."""
    first, *others = _lines(content)
    facts = json.loads(first)
    flags: dict[str, FlagSource] = {}
    segments: dict[str, Mapping[str, Any]] = {}
    for line in others:
        kind, key, *rest = json.loads(line)
        if kind == "flag":
            value_type, version, document = rest
            flags[key] = FlagSource(value_type=value_type, document=document, version=version)
        else:
            (segments[key],) = rest
    return Snapshot(**{**facts, "generation": Generation(facts["generation"]), "flags": flags, "segments": segments})


def encoded(name: str, lines: Iterable[bytes]) -> tuple[Part, list[bytes]]:
    """Lines as a part, in chunks for writing."""
    chunks, digest, size = [], hashlib.sha256(), 0
    for chunk in _chunks(lines):
        digest.update(chunk)
        size += len(chunk)
        chunks.append(chunk)
    return Part(name, size, digest.hexdigest()), chunks


def is_part(part: Part, content: bytes) -> bool:
    """Whether the content is undamaged."""
    return len(content) == part.size and hashlib.sha256(content).hexdigest() == part.digest


def environment_id(part: Part) -> uuid.UUID:
    """The environment that a part other than the tokens is about."""
    return uuid.UUID(part.name)


def _chunks(lines: Iterable[bytes]) -> Iterator[bytes]:
    gathered, size = [], 0
    for line in lines:
        gathered.append(line)
        size += len(line)
        if size >= _CHUNK_BYTES:
            yield b"".join(gathered)
            gathered, size = [], 0
    if gathered:
        yield b"".join(gathered)


def _lines(content: bytes) -> list[bytes]:
    return content.removesuffix(b"\n").split(b"\n") if content else []


def _token(facts: dict[str, Any]) -> TokenFacts:
    return TokenFacts(
        **{
            **facts,
            "id": uuid.UUID(facts["id"]),
            "environment_id": uuid.UUID(facts["environment_id"]),
            "expires_at": datetime.fromisoformat(facts["expires_at"]) if facts["expires_at"] else None,
        }
    )
