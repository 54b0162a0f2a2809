"""A file of the archive against what the trail and the database say about it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db.models import Count, TextField
from django.db.models.functions import Cast

from audits.actions import Action
from audits.chains import verify_chain
from audits.models import AuditEvent
from flags.archives import note_of, text_digest
from flags.models import ArchivedPayload
from rollouts.selectors.retention import row_key, source_named
from rollouts.services.retention.archiving import batches
from rollouts.services.retention.files import Line, file_digest, read_lines

MOST_TOLD = 20


@dataclass
class Report:
    """What was found. `archived` payloads are in the file alone, `present` ones in the database as well."""

    file: str
    sha256: str
    event: AuditEvent | None = None
    lines: int = 0
    archived: int = 0
    present: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """Whether the file is the one that was archived, and nothing is missing from it."""
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        names = ("file", "sha256", "lines", "archived", "present", "problems")
        return {
            "verdict": "sound" if self.is_sound else "altered",
            "event": str(self.event.pk) if self.event else None,
            **{name: getattr(self, name) for name in names},
        }


def verify_archive(path: Path) -> Report:
    """Prove a file against its event and the payloads it was promised to hold. Reads it in constant memory.

    A file with another SHA-256 is read as well, up to the first line that is not as it was noted: what else stands in
    it was written by nobody knows whom. Raises OSError where there is no such file.
    """
    report = Report(path.name, file_digest(path))
    report.event = _event_of(report)
    if report.event is None:
        report.problems.append("No event of the audit trail names this file or its SHA-256: it is no archive of ours.")
        return report
    report.file = str(report.event.details["file"])
    _check_event(report, report.event)
    try:
        _read_through(report, path)
    except ValueError as error:
        report.problems.append(str(error))
    del report.problems[MOST_TOLD:]
    return report


def unfounded_files() -> list[str]:
    """Sentences about files that payloads are noted for while no event of the trail says so of as many."""
    events = AuditEvent.objects.filter(action=Action.PAYLOADS_ARCHIVED.value)
    recorded = {one.details["file"]: one.details["payloads"] for one in events}
    noted = ArchivedPayload.objects.order_by("file").values_list("file").annotate(count=Count("pk"))
    return [
        f"{count:,} payloads are noted as archived in {file}, but the audit trail says {recorded.get(file, 0):,}."
        for file, count in noted
        if recorded.get(file) != count
    ]


def _read_through(report: Report, path: Path) -> None:
    """Read every line; of a file with another SHA-256 one by one, and no further than the first that is not as noted.

    Raises ValueError where a line cannot be read.
    """
    found: set[int] = set()
    is_same, known = report.is_sound, len(report.problems)
    for batch in batches(read_lines(path)) if is_same else batches(read_lines(path), 1):
        found |= set(_check_lines(report, batch))
        if not is_same and len(report.problems) > known:
            return
    missing = ArchivedPayload.objects.filter(file=report.file).count() - len(found)
    if missing > 0:
        report.problems.append(f"{missing} payload{'' if missing == 1 else 's'} that it should hold are not in it.")


def _event_of(report: Report) -> AuditEvent | None:
    """The event that anchors the file: by its SHA-256, else by its name."""
    events = list(AuditEvent.objects.filter(action=Action.PAYLOADS_ARCHIVED.value))
    same = next((one for one in events if one.details.get("sha256") == report.sha256), None)
    return same or next((one for one in events if one.details.get("file") == report.file), None)


def _check_event(report: Report, event: AuditEvent) -> None:
    if event.details["sha256"] != report.sha256:
        report.problems.append(
            f"The file was altered: its SHA-256 is {report.sha256}, event {event.sequence} says "
            f"{event.details['sha256']}."
        )
    bad = verify_chain(event.chain).bad
    if bad is not None:
        report.problems.append(f"The audit trail itself is broken at event {bad.sequence}: {bad.message}.")


def _check_lines(report: Report, batch: Sequence[Line]) -> Iterator[int]:
    """Compare lines with what was promised and with the database; gives the promises that they keep."""
    known = ArchivedPayload.objects.filter(file=report.file, row_id__in={line.id for line in batch})
    promised = {(one.table_name, one.column_name, one.row_id): one for one in known}
    stored = _stored([line for line in batch if line.address in promised])
    for line in batch:
        report.lines += 1
        promise = promised.get(line.address)
        problem = _problem(line, promise.sha256 if promise else None, stored.get(line.address))
        if problem:
            report.problems.append(f"Line {report.lines}, {line.table} {line.id}: {problem}")
        elif _is_note(stored[line.address]):
            report.archived += 1
        else:
            report.present += 1
        if promise is not None:
            yield promise.pk


def _problem(line: Line, promised: str | None, stored: tuple[Any, str] | None) -> str:
    if promised is None:
        return "nobody ever archived this."
    if text_digest(line.payload) != promised or line.sha256 != promised:
        return "the payload was altered: it does not give the SHA-256 that was noted when it was archived."
    if stored is None:
        return "the row that it belongs to is not in the database."
    note = note_of(stored[0])
    if note is not None and note.sha256 != promised:
        return "the database holds the note of another payload there, so this one cannot come back."
    if note is None and text_digest(stored[1]) != promised:
        return "the database holds another payload there."
    return ""


def _is_note(stored: tuple[Any, str]) -> bool:
    return note_of(stored[0]) is not None


def _stored(batch: Sequence[Line]) -> dict[tuple[str, str, str], tuple[Any, str]]:
    """What the database holds for lines: the value and its text."""
    found = {}
    for table, column in {(line.table, line.column) for line in batch}:
        source = source_named(table, column)
        if source is None:
            continue
        ids = [line.id for line in batch if line.table == table]
        rows = source.rows.filter(pk__in=ids).annotate(stored_text=Cast(column, TextField()))
        for pk, value, text in rows.values_list("pk", column, "stored_text"):
            found[table, column, row_key(pk)] = (value, text)
    return found
