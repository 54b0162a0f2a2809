"""Payloads leave the database: first the file is safe, then one transaction takes them out and says so in the trail."""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from audits import trail
from audits.actions import Action
from audits.context import Actor, ActorKind, correlation, open_correlation_id
from flags import permissions
from flags.archives import ArchiveNote, stub_of
from flags.errors import ConcurrentUpdate, PermissionMissing
from flags.models import ArchivedPayload, Environment, FlagConfig, Project
from flags.selectors.flag_history import meanings_of
from flags.services.locks import lock_environments
from flags.services.tickets import governed_write
from rollouts.retention.classes import PayloadClass
from rollouts.selectors.retention import Source, due_rows, payloads_of
from rollouts.services.retention.files import SUFFIX, Line, Written, write_file, write_manifest
from rollouts.services.retention.tickets import archive_write

MOST_IN_FILE = 10_000
_BATCH = 500
CONFIGS: str = FlagConfig.history.model._meta.db_table

Due = list[tuple[Source, QuerySet[Any]]]


@dataclass(frozen=True, slots=True)
class Archived:
    """One file of the archive, and what is in it."""

    path: Path
    sha256: str
    payloads: int
    size: int


def count_due(project: Project, kind: PayloadClass, *, until: datetime) -> int:
    """How many payloads of a class may leave by now."""
    return sum(rows.count() for _, rows in due_rows(project, kind, until=until))


def archive_payloads(
    project: Project,
    kind: PayloadClass,
    *,
    until: datetime,
    folder: Path,
    actor: Actor,
    now: datetime,
    reason: str = "",
    most: int = MOST_IN_FILE,
) -> Archived | None:
    """Move payloads of a class into one new file; None where none may leave.

    Killed at any moment it leaves at worst a file that nothing names. A person needs the superuser mark. Raises
    PermissionMissing, InvalidInput where the file cannot be written, ConcurrentUpdate where somebody began to need one
    of the payloads meanwhile.
    """
    require_operator(actor)
    due = due_rows(project, kind, until=until)
    found = islice(chain.from_iterable(payloads_of(source, rows) for source, rows in due), most)
    first = next(found, None)
    if first is None:
        return None
    path = folder / f"{project.key}-{kind.value}-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}{SUFFIX}"
    written = write_file(path, kind.value, chain([first], found))
    facts = _facts(written, kind, until)
    write_manifest(path, {**facts, "project": project.key, "written_at": now.isoformat()})
    with correlation(open_correlation_id()) as act_id, transaction.atomic(), opened(project):
        due = due_rows(project, kind, until=until)
        for batch in batches(written.lines):
            _forget(batch, due, ArchiveNote(now.astimezone(UTC).date(), path.name, ""), act_id=act_id, now=now)
        record_moved(Action.PAYLOADS_ARCHIVED, project, facts, actor=actor, now=now, reason=reason)
    return Archived(path, written.sha256, len(written.lines), written.size)


def require_operator(actor: Actor) -> None:
    """Archives are for whoever runs the installation: its own commands, or a superuser by name."""
    if actor.kind is ActorKind.SYSTEM or permissions.is_superuser(actor):
        return
    raise PermissionMissing(
        "Only a superuser may move payloads into an archive or out of it. Ask whoever runs this installation."
    )


@contextmanager
def opened(project: Project) -> Iterator[None]:
    """The environments of a project, locked and with both tickets each."""
    with ExitStack() as tickets:
        for environment in lock_environments(Environment.objects.filter(project=project)):
            tickets.enter_context(governed_write(environment.pk))
            tickets.enter_context(archive_write(environment.pk))
        yield


def batches(lines: Iterable[Any], size: int = _BATCH) -> Iterator[list[Any]]:
    """Lists of a few at a time."""
    rest = iter(lines)
    while batch := list(islice(rest, size)):
        yield batch


def _forget(
    batch: Sequence[tuple[Line, int]], due: Due, told: ArchiveNote, *, act_id: uuid.UUID, now: datetime
) -> None:
    """Put the note in the place of each payload, once more asking whether it may leave."""
    configs = [int(line.id) for line, _ in batch if line.table == CONFIGS]
    meanings = {str(row_id): meaning.as_json() for row_id, meaning in meanings_of(configs, now=now).items()}
    promises = [_promise(line, size, told, act_id) for line, size in batch]
    for promise in promises:
        promise.meaning = meanings.get(promise.row_id) if promise.table_name == CONFIGS else None
    ArchivedPayload.objects.bulk_create(promises)
    for source, rows in due:
        mine = [line for line, _ in batch if line.table == source.table]
        if rows.filter(pk__in=[line.id for line in mine]).count() != len(mine):
            raise ConcurrentUpdate(
                "Something began to need one of these payloads meanwhile, so none was archived. Run it again; the "
                f"file {told.file} is not used and may be deleted."
            )
        for line in mine:
            stub = stub_of(replace(told, sha256=line.sha256))
            source.rows.filter(pk=line.id).update(**{source.column: stub})


def _promise(line: Line, size: int, told: ArchiveNote, act_id: uuid.UUID) -> ArchivedPayload:
    return ArchivedPayload(
        environment_id=uuid.UUID(line.environment),
        payload_class=line.payload_class,
        table_name=line.table,
        column_name=line.column,
        row_id=line.id,
        sha256=line.sha256,
        size=size,
        file=told.file,
        archived_on=told.on,
        correlation_id=act_id,
    )


def _facts(written: Written, kind: PayloadClass, until: datetime) -> dict[str, Any]:
    return {
        "class": kind.value,
        "file": written.path.name,
        "sha256": written.sha256,
        "size": written.size,
        "payloads": len(written.lines),
        "payload_bytes": sum(size for _, size in written.lines),
        "oldest": written.oldest,
        "newest": written.newest,
        "until": until.isoformat(),
    }


def record_moved(
    action: Action, project: Project, facts: dict[str, Any], *, actor: Actor, now: datetime, reason: str
) -> None:
    """Record what was moved, as the last thing in the transaction."""
    trail.record(
        action,
        actor=actor,
        target=trail.Target("project", str(project.pk), project.key),
        now=now,
        project_id=project.pk,
        project_key=project.key,
        reason=reason,
        data=facts,
    )
