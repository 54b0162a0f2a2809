"""Events as CSV for spreadsheets and as JSON lines for programs and auditors."""

import csv
from collections.abc import Iterable, Iterator
from typing import Any

from audits.integrity import canonical_json, instant_text
from audits.models import AuditEvent
from audits.sentences import sentence_of

CSV_COLUMNS = (
    "occurred_at",
    "project",
    "environment",
    "flag",
    "action",
    "sentence",
    "actor_kind",
    "actor_id",
    "actor_label",
    "via",
    "target_type",
    "target_id",
    "target_label",
    "reason",
    "data",
    "correlation_id",
    "chain",
    "sequence",
    "id",
    "previous_hash",
    "hash",
)
# A spreadsheet runs a cell that begins with one of these as a formula, or drops the character and then does.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_lines(events: Iterable[AuditEvent]) -> Iterator[bytes]:
    """A header row and one row per event. Cells that a spreadsheet would run as a formula begin with an apostrophe."""
    writer = csv.writer(_Echo())
    yield _encoded(writer.writerow(CSV_COLUMNS))
    for event in events:
        yield _encoded(writer.writerow([neutral_cell(value) for value in _cells(event)]))


def jsonl_lines(events: Iterable[AuditEvent]) -> Iterator[bytes]:
    """One canonical JSON object per event: facts as they were hashed, both hashes, and the names beside the chain."""
    for event in events:
        line = {
            **event.facts(),
            "previous_hash": event.previous_hash,
            "hash": event.hash,
            "actor_label": event.actor_label,
            "target_name": event.target_name,
        }
        yield canonical_json(line) + b"\n"


def neutral_cell(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value


class _Echo:
    """A file for csv.writer that hands every line back instead of keeping it."""

    def write(self, line: str) -> str:
        return line


def _encoded(line: Any) -> bytes:
    return str(line).encode("utf-8", "replace")


def _cells(event: AuditEvent) -> tuple[Any, ...]:
    return (
        instant_text(event.occurred_at),
        event.project_key,
        event.environment_key,
        event.flag_key,
        event.action,
        sentence_of(event),
        event.actor_kind,
        event.actor_id,
        event.actor_label,
        event.via,
        event.target_type,
        event.target_id,
        event.target_name,
        event.reason,
        event.data,
        str(event.correlation_id),
        event.chain,
        event.sequence,
        str(event.id),
        event.previous_hash,
        event.hash,
    )
