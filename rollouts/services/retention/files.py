"""Files of the archive: JSON lines, compressed, the same bytes for the same payloads, and a manifest beside each."""

import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from audits.integrity import instant_text
from flags.archives import text_digest
from flags.errors import InvalidInput
from rollouts.selectors.retention import Payload

SUFFIX = ".jsonl.gz"
_CHUNK = 1 << 20
# No payload comes near this: a longer line is no line of ours, and is not read to its end.
LONGEST_LINE = 64 << 20


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file: which payload, its SHA-256, and its JSON text to the letter."""

    payload_class: str
    table: str
    column: str
    id: str
    environment: str
    sha256: str
    payload: str

    @property
    def address(self) -> tuple[str, str, str]:
        """Where in the database it belongs."""
        return self.table, self.column, self.id


@dataclass(frozen=True, slots=True)
class Written:
    """A file that is on disk: its name, SHA-256 and size in bytes, and for each payload its line without the text."""

    path: Path
    sha256: str
    size: int
    lines: tuple[tuple[Line, int], ...]
    oldest: str
    newest: str


def line_of(payload_class: str, payload: Payload) -> Line:
    """The line of a payload."""
    source, digest = payload.source, text_digest(payload.text)
    place = str(payload.environment_id)
    return Line(payload_class, source.table, source.column, payload.row_id, place, digest, payload.text)


def write_file(path: Path, payload_class: str, payloads: Iterable[Payload]) -> Written:
    """Write payloads to a new file and wait until the disk holds it. Raises InvalidInput where that is not possible."""
    try:
        return _write(path, payload_class, payloads)
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be written: {error.strerror}. Nothing was archived. Choose another folder, or make room."
        ) from error


def _write(path: Path, payload_class: str, payloads: Iterable[Payload]) -> Written:
    lines: list[tuple[Line, int]] = []
    oldest = newest = ""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as raw:
        with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed:
            for payload in payloads:
                line = line_of(payload_class, payload)
                packed.write(_encoded(line))
                at = instant_text(payload.at)
                oldest, newest = min(oldest or at, at), max(newest, at)
                lines.append((_bare(line), len(payload.text.encode())))
        raw.flush()
        os.fsync(raw.fileno())
    _sync_folder(path.parent)
    size = path.stat().st_size
    return Written(path, file_digest(path), size, tuple(lines), oldest, newest)


def write_manifest(path: Path, facts: dict[str, Any]) -> None:
    """Write what a file holds beside it, and wait until the disk holds that."""
    manifest = path.with_name(path.name.removesuffix(SUFFIX) + ".manifest.json")
    with os.fdopen(os.open(manifest, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(facts, file, indent=2, sort_keys=True)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    _sync_folder(path.parent)


def file_digest(path: Path) -> str:
    """The SHA-256, in hex, of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of a file. Raises ValueError, with the number of the line, where one cannot be read."""
    number = 1
    try:
        with gzip.open(path, "rb") as file:
            while text := file.readline(LONGEST_LINE + 1):
                yield _decoded(text)
                number += 1
    except (OSError, EOFError, zlib.error, ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"It cannot be read from line {number} on: {error}.") from error


def _encoded(line: Line) -> bytes:
    fields = asdict(line)
    fields["class"] = fields.pop("payload_class")
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def _decoded(text: bytes) -> Line:
    if len(text) > LONGEST_LINE:
        raise ValueError("the line is too long")
    fields = json.loads(text.decode())
    fields["payload_class"] = fields.pop("class")
    line = Line(**fields)
    if not all(isinstance(value, str) for value in asdict(line).values()):
        raise ValueError("a field is no text")
    return line


def _bare(line: Line) -> Line:
    return Line(line.payload_class, line.table, line.column, line.id, line.environment, line.sha256, "")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
