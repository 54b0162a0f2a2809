"""Which payloads of a class may leave the database by now, and where they are. Reading only."""

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Exists, Model, OuterRef, Q, QuerySet, TextField
from django.db.models.functions import Cast

from flags.changes import ConfigEdit
from flags.models import FlagConfig, Project, Segment
from rollouts.models import (
    ChangeRequest,
    DrillRun,
    DrillTarget,
    GuardSample,
    GuardVerdict,
    ImpactRun,
    ImpactState,
    RequestRound,
    RollbackDrill,
)
from rollouts.plans.transitions import PlanState
from rollouts.retention.classes import PayloadClass
from rollouts.transitions import OPEN_STATES

_OPEN = [state.value for state in OPEN_STATES]
_ENDED = [PlanState.COMPLETED.value, PlanState.ABORTED.value]
_ConfigHistory: type[Model] = FlagConfig.history.model
_SegmentHistory: type[Model] = Segment.history.model


@dataclass(frozen=True, slots=True)
class Source:
    """One column that payloads of a class are in; `at` names the column that says of when a payload is."""

    model: type[Model]
    column: str
    at: str

    @property
    def table(self) -> str:
        """The table's name."""
        return self.model._meta.db_table

    @property
    def rows(self) -> QuerySet[Any]:
        """Every row."""
        return self.model._base_manager.all()


@dataclass(frozen=True, slots=True)
class Payload:
    """One payload as the database holds it. `text` is its JSON to the letter."""

    source: Source
    row_id: str
    environment_id: uuid.UUID
    text: str
    at: datetime


SOURCES: Mapping[PayloadClass, tuple[Source, ...]] = {
    PayloadClass.VERSIONS: (
        Source(_ConfigHistory, "document", "updated_at"),
        Source(_SegmentHistory, "document", "updated_at"),
    ),
    PayloadClass.ROUNDS: (Source(RequestRound, "change_set", "created_at"),),
    PayloadClass.GUARD_EVIDENCE: (Source(GuardSample, "intervals", "at"), Source(GuardVerdict, "intervals", "at")),
    PayloadClass.IMPACT_RESULTS: (Source(ImpactRun, "result", "finished_at"),),
    PayloadClass.DRILL_RUNS: (Source(DrillRun, "evidence", "started_at"),),
}


def due_rows(project: Project, kind: PayloadClass, *, until: datetime) -> list[tuple[Source, QuerySet[Any]]]:
    """The rows of a class whose payload may leave: what is younger than `until`, or needed, stays."""
    found = []
    for source in SOURCES[kind]:
        rows = source.rows.filter(_due(source, project, until), environment__project=project)
        found.append((source, rows.exclude(**{f"{source.column}__has_key": "archived"})))
    return found


def payloads_of(source: Source, rows: QuerySet[Any]) -> Iterator[Payload]:
    """The payloads of rows, one by one in the order of their keys: of any number in constant memory."""
    names = ("pk", "environment_id", source.at, "stored_text")
    found = rows.order_by("pk").annotate(stored_text=Cast(source.column, TextField())).values_list(*names)
    for pk, environment_id, at, text in found.iterator(chunk_size=100):
        yield Payload(source, row_key(pk), environment_id, text, at)


def row_key(pk: Any) -> str:
    """A primary key as archives name it: a UUID without dashes."""
    return pk.hex if isinstance(pk, uuid.UUID) else str(pk)


def source_named(table: str, column: str) -> Source | None:
    """The source with these names, None where no class has one."""
    every = (source for sources in SOURCES.values() for source in sources)
    return next((source for source in every if (source.table, source.column) == (table, column)), None)


def _due(source: Source, project: Project, until: datetime) -> Q:
    if source.model is _ConfigHistory:
        gone = Q(flag__archived_at__lte=until) | Q(flag__replaced_at__lte=until)
        return _superseded(source, until) & gone & ~_needed_versions(project)
    if source.model is _SegmentHistory:
        return _superseded(source, until) & ~_needed_segments(project)
    if source.model is RequestRound:
        return Q(created_at__lte=until) & ~Q(request__state__in=_OPEN)
    if source.model is ImpactRun:
        return Q(finished_at__lte=until, state=ImpactState.DONE.value) & ~Q(request__state__in=_OPEN)
    if source.model is DrillRun:
        later = DrillRun.objects.filter(drill=OuterRef("drill"), started_at__gt=OuterRef("started_at"))
        return Q(started_at__lte=until) & Q(Exists(later))
    return Q(plan__ended_at__lte=until, plan__state__in=_ENDED)


def _superseded(source: Source, until: datetime) -> Q:
    """Versions that another one replaced by then: what was served at any time since is kept."""
    later = source.rows.filter(id=OuterRef("id"), version__gt=OuterRef("version"), updated_at__lte=until)
    return Q(Exists(later))


def _needed_versions(project: Project) -> Q:
    """The versions of configs that open requests are based on, and those that a drill goes back to."""
    drills = RollbackDrill.objects.filter(environment__project=project, target=DrillTarget.VERSION.value)
    needed = [
        Q(environment=place, flag=flag, version=version)
        for place, flag, version in drills.values_list("environment", "flag", "target_version")
    ]
    for request in _open_requests(project):
        needed += [
            Q(environment=request.environment_id, flag__key=edit.flag_key, version=edit.base_version)
            for edit in request.content.edits
            if isinstance(edit, ConfigEdit)
        ]
    return _any(needed)


def _needed_segments(project: Project) -> Q:
    """The versions of segments that open requests are based on."""
    return _any(
        [
            Q(environment=request.environment_id, key=edit.segment_key, version=edit.base_version)
            for request in _open_requests(project)
            for edit in request.content.edits
            if not isinstance(edit, ConfigEdit)
        ]
    )


def _open_requests(project: Project) -> QuerySet[ChangeRequest]:
    return ChangeRequest.objects.filter(project=project, state__in=_OPEN)


def _any(conditions: list[Q]) -> Q:
    return reduce(or_, conditions) if conditions else Q(pk__in=[])
