"""Change sets, their digests, and what a change does in plain words. Pure."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from audits.integrity import canonical_json

from .differences import Difference, diff_configs, diff_segments

__all__ = [
    "ChangeSet",
    "ConfigEdit",
    "Difference",
    "SegmentEdit",
    "change_digest",
    "diff_configs",
    "diff_segments",
    "document_digest",
]


@dataclass(frozen=True, slots=True)
class ConfigEdit:
    """The whole new config document of one flag. `base_version` is what the author saw; 0 is no config yet."""

    flag_key: str
    base_version: int
    document: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """The stored form."""
        return {
            "type": "config",
            "flag_key": self.flag_key,
            "base_version": self.base_version,
            "document": self.document,
        }


@dataclass(frozen=True, slots=True)
class SegmentEdit:
    """The whole new document and name of one segment. `base_version` is what the author saw; 0 is a new segment."""

    segment_key: str
    name: str
    base_version: int
    document: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """The stored form."""
        return {
            "type": "segment",
            "segment_key": self.segment_key,
            "name": self.name,
            "base_version": self.base_version,
            "document": self.document,
        }


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """Edits that take effect together in one environment, or not at all."""

    environment_id: str
    edits: tuple[ConfigEdit | SegmentEdit, ...]

    def as_json(self) -> dict[str, Any]:
        """The stored form; `from_json` reads it back."""
        return {"environment_id": self.environment_id, "edits": [edit.as_json() for edit in self.edits]}

    @classmethod
    def from_json(cls, value: object) -> "ChangeSet":
        """Return the change set of a stored form. Raises ValueError that says what is wrong, and where.

        Documents are not validated here: that needs the flag and the environment.
        """
        fields = _fields(value, "The change set", ("environment_id", "edits"))
        environment_id = _text(fields, "environment_id", "The change set")
        edits = fields["edits"]
        if not isinstance(edits, list) or not edits:
            raise ValueError("The change set must hold a list with at least one edit in “edits”.")
        parsed = tuple(_edit(edit, f"Edit {number}") for number, edit in enumerate(edits, start=1))
        targets = [(type(edit), edit.flag_key if isinstance(edit, ConfigEdit) else edit.segment_key) for edit in parsed]
        for target in targets:
            if targets.count(target) > 1:
                raise ValueError(f"The change set edits “{target[1]}” twice. Combine the two edits.")
        return cls(environment_id, parsed)


def document_digest(document: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of the canonical JSON of a document: key order does not matter, every value does."""
    return _sha256(document)


def change_digest(
    change_set: ChangeSet,
    *,
    apply_at: datetime | None,
    round: int = 0,
    relies_on: Mapping[str, int] | None = None,
    plan_digest: str = "",
) -> str:
    """SHA-256 (hex) of what an approver consents to: the edits, their base versions and the instant they take effect.

    `round` counts the edits after the first submit, so that the same content asked for anew is another question.
    `relies_on` are the versions of the segments the documents refer to, `plan_digest` is that of the rollout plan by
    which they are reached. Raises ValueError for an `apply_at` without a time zone.
    """
    if apply_at is not None and apply_at.utcoffset() is None:
        raise ValueError("The time to apply at must name its time zone.")
    instant = None if apply_at is None else apply_at.astimezone(UTC).isoformat()
    facts: dict[str, Any] = {"change_set": change_set.as_json(), "apply_at": instant}
    if round:
        facts["round"] = round
    if relies_on:
        facts["relies_on"] = dict(relies_on)
    if plan_digest:
        facts["plan"] = plan_digest
    return _sha256(facts)


def _sha256(value: Any) -> str:
    return hashlib.sha256(canonical_json(value)).hexdigest()


def _edit(value: object, what: str) -> ConfigEdit | SegmentEdit:
    kind = value.get("type") if isinstance(value, dict) else None
    if kind == "config":
        fields = _fields(value, what, ("type", "flag_key", "base_version", "document"))
        return ConfigEdit(_text(fields, "flag_key", what), _version(fields, what), _document(fields, what))
    if kind == "segment":
        fields = _fields(value, what, ("type", "segment_key", "name", "base_version", "document"))
        key, name = _text(fields, "segment_key", what), _text(fields, "name", what)
        return SegmentEdit(key, name, _version(fields, what), _document(fields, what))
    raise ValueError(f"{what} must be an object whose “type” is “config” or “segment”.")


def _fields(value: object, what: str, names: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{what} must be a JSON object.")
    missing = [name for name in names if name not in value]
    unknown = [str(name) for name in value if name not in names]
    if missing or unknown:
        complaints = [f"“{name}” is missing" for name in missing] + [f"“{name}” is unknown" for name in unknown]
        raise ValueError(f"{what} has the wrong fields: {', '.join(complaints)}. It holds {', '.join(names)}.")
    return value


def _text(fields: dict[str, Any], name: str, what: str) -> str:
    text = fields[name]
    if not isinstance(text, str) or not text:
        raise ValueError(f"{what} needs text in “{name}”.")
    return text


def _version(fields: dict[str, Any], what: str) -> int:
    version = fields["base_version"]
    if not isinstance(version, int) or isinstance(version, bool) or version < 0:
        raise ValueError(f"{what} needs a whole number from 0 in “base_version”: the version the edit started from.")
    return version


def _document(fields: dict[str, Any], what: str) -> dict[str, Any]:
    document = fields["document"]
    if not isinstance(document, dict):
        raise ValueError(f"{what} needs a JSON object in “document”.")
    return document
