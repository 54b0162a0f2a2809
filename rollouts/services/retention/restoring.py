"""Payloads come back from a file of the archive, byte for byte."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.db import transaction
from django.db.models import JSONField, TextField, Value
from django.db.models.functions import Cast

from audits.actions import Action
from audits.context import Actor, correlation, open_correlation_id
from flags.archives import note_of
from flags.errors import InvalidInput
from flags.models import Project
from rollouts.selectors.retention import source_named
from rollouts.services.retention.archiving import opened, record_moved, require_operator
from rollouts.services.retention.files import Line, read_lines
from rollouts.services.retention.verifying import Report, verify_archive


@dataclass(frozen=True, slots=True)
class Restored:
    """How many payloads came back, and how many were there already."""

    restored: int
    present: int


def restore_payloads(path: Path, *, actor: Actor, now: datetime, reason: str = "") -> Restored:
    """Bring every payload of a file back that is not in the database; a second time changes nothing.

    Raises PermissionMissing, and InvalidInput where the file is not exactly what was archived. The file stays, and the
    database refuses any other text than the one that left.
    """
    require_operator(actor)
    report = verify_archive(path)
    if report.event is None or not report.is_sound:
        raise InvalidInput(
            f"Nothing was brought back: {report.problems[0]} Take an untouched copy of {report.file}.", problems=[]
        )
    project = Project.objects.get(pk=report.event.chain)
    with correlation(open_correlation_id()), transaction.atomic(), opened(project):
        count = sum(_put_back(line, report) for line in read_lines(path))
        if count:
            facts = {"file": report.file, "sha256": report.sha256, "payloads": count}
            record_moved(Action.PAYLOADS_RESTORED, project, facts, actor=actor, now=now, reason=reason)
    return Restored(count, report.lines - count)


def _put_back(line: Line, report: Report) -> bool:
    """Put one payload in the place of the note about it; whether a note stood there."""
    source = source_named(line.table, line.column)
    if source is None:
        raise InvalidInput(f"{report.file} names {line.table}.{line.column}, which holds no payloads.", problems=[])
    rows = source.rows.filter(pk=line.id)
    note = note_of(rows.values_list(line.column, flat=True).get())
    if note is None:
        return False
    if note.sha256 != line.sha256:
        raise InvalidInput(
            f"Nothing was brought back: the database holds the note of another payload at {line.table} {line.id}, from "
            f"the file {note.file}. Bring that file back first.",
            problems=[],
        )
    return rows.update(**{line.column: Cast(Value(line.payload, TextField()), JSONField())}) == 1
