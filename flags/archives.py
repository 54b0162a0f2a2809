"""Pure: what stands where a payload was, once an archive holds it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

_FIELDS = frozenset({"file", "on", "sha256"})


@dataclass(frozen=True, slots=True)
class ArchiveNote:
    """Where an archived payload is: the file, the day, and the SHA-256 of the payload's text."""

    on: date
    file: str
    sha256: str

    @property
    def words(self) -> str:
        """For people: when it was archived, and what to ask for."""
        return f"Archived on {self.on.day} {self.on:%B %Y}; ask for the file {self.file}."


def stub_of(note: ArchiveNote) -> dict[str, Any]:
    """What stands in the column instead of the payload. The database triggers build the same and compare."""
    return {"archived": {"file": note.file, "on": note.on.isoformat(), "sha256": note.sha256}}


def note_of(payload: Any) -> ArchiveNote | None:
    """The note in a column, None where the payload itself is there."""
    if not isinstance(payload, Mapping) or payload.keys() != {"archived"}:
        return None
    kept = payload["archived"]
    if not isinstance(kept, Mapping) or kept.keys() != _FIELDS:
        return None
    return ArchiveNote(date.fromisoformat(kept["on"]), str(kept["file"]), str(kept["sha256"]))


def text_digest(text: str) -> str:
    """The SHA-256, in hex, of a payload's JSON text exactly as the database holds it."""
    return hashlib.sha256(text.encode()).hexdigest()
