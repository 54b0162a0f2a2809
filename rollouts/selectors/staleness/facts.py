"""The facts of flags, for as many as one likes in the same number of queries."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from flags.lifecycle.facts import Figures, FlagFacts, PlaceFacts, References, Use
from flags.lifecycle.histories import add_version
from flags.lifecycle.lives import Life, life_of
from flags.lifecycle.snoozes import holds
from flags.lifecycle.stages import Version
from flags.lifecycle.thresholds import USUAL, YOUNG_DAYS, Thresholds, thresholds_for
from flags.models import Environment, Flag, FlagConfig, Project
from flags.models.environments import EnvironmentKind
from flags.selectors.references import FlagReferences, reference_counts
from flags.selectors.scanned import CodeKnowledge, code_knowledge
from rollouts.models import Snooze, StaleThresholds
from rollouts.selectors.staleness.uses import figures_of, uses_of
from rollouts.selectors.staleness.work import Work, work_on

# Counts are read for a month longer than any threshold asks about.
_MARGIN_DAYS = 30
History = Mapping[tuple[uuid.UUID, uuid.UUID], Sequence[Version]]


@dataclass(frozen=True, slots=True)
class FlagLife:
    """A flag and what is judged about it."""

    flag: Flag
    life: Life


@dataclass(slots=True)
class _Snoozed:
    """The snoozes of a flag: the one in force, and when another ended at last."""

    until: datetime | None = None
    reason: str = ""
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Ground:
    """What was read for all flags of a project together."""

    environments: Sequence[Environment]
    documents: Mapping[tuple[uuid.UUID, uuid.UUID], Mapping[str, Any]]
    history: History
    figures: Mapping[uuid.UUID, Figures]
    uses: Mapping[tuple[uuid.UUID, str], Use]
    work: Mapping[tuple[uuid.UUID, str], Work]
    thresholds: Mapping[str, Thresholds]
    snoozes: Mapping[uuid.UUID, _Snoozed]
    references: Mapping[str, FlagReferences]
    code: CodeKnowledge


def lives_of(project: Project, *, now: datetime, flags: Sequence[Flag] | None = None) -> list[FlagLife]:
    """The lives of flags of a project, all of them unless some are given: sixteen queries for any number."""
    asked = list(Flag.objects.filter(project=project).order_by("key")) if flags is None else list(flags)
    ground = _ground(project, None if flags is None else asked, now)
    return [FlagLife(flag, life_of(_facts(flag, ground), now)) for flag in asked]


def life_of_flag(flag: Flag, *, now: datetime) -> Life:
    """The life of one flag, judged afresh."""
    return lives_of(flag.project, now=now, flags=[flag])[0].life


def _ground(project: Project, flags: Sequence[Flag] | None, now: datetime) -> _Ground:
    environments = list(Environment.objects.filter(project=project).order_by("position", "key"))
    ids, keys = [each.pk for each in environments], None if flags is None else [flag.key for flag in flags]
    flag_ids = None if flags is None else [flag.pk for flag in flags]
    thresholds = thresholds_in(project)
    kinds = thresholds.keys() if flags is None else {flag.kind for flag in flags}
    days = max(max(each.unused or 0, each.one_variant or 0) for each in thresholds.values()) + _MARGIN_DAYS
    return _Ground(
        environments=environments,
        documents=_documents(ids, flag_ids),
        history=_history(ids, flag_ids, now),
        figures=figures_of(ids, days=max([YOUNG_DAYS, *(_longest(thresholds[kind]) for kind in kinds)]), now=now),
        uses=uses_of(ids, keys, days=days, now=now),
        work=work_on(ids, now=now),
        thresholds=thresholds,
        snoozes=_snoozes(project, flag_ids, now),
        references=reference_counts(project.pk, keys),
        code=code_knowledge(project.pk, now=now),
    )


def thresholds_in(project: Project) -> dict[str, Thresholds]:
    """The thresholds of every kind in a project: one query."""
    values = dict(StaleThresholds.objects.filter(project=project).values_list("kind", "values"))
    return {kind: thresholds_for(kind, values.get(kind)) for kind in USUAL}


def _longest(thresholds: Thresholds) -> int:
    """The most days that any reason asks figures about."""
    return max(days or 0 for days in astuple(thresholds))


def _documents(
    environment_ids: Collection[uuid.UUID], flag_ids: Collection[uuid.UUID] | None
) -> dict[tuple[uuid.UUID, uuid.UUID], Mapping[str, Any]]:
    """The variants of every config: all that is asked of whole documents, and never long."""
    rows = FlagConfig.objects.filter(environment__in=environment_ids)
    rows = rows if flag_ids is None else rows.filter(flag__in=flag_ids)
    found = rows.order_by().values_list("flag_id", "environment_id", "document__variants")
    return {(flag_id, place_id): {"variants": variants or ()} for flag_id, place_id, variants in found}


def _history(
    environment_ids: Collection[uuid.UUID], flag_ids: Collection[uuid.UUID] | None, now: datetime
) -> dict[tuple[uuid.UUID, uuid.UUID], list[Version]]:
    """The versions of configs, oldest first. Documents are let go of one by one: some are long."""
    rows = FlagConfig.history.filter(environment_id__in=environment_ids)
    rows = rows if flag_ids is None else rows.filter(flag_id__in=flag_ids)
    found: dict[tuple[uuid.UUID, uuid.UUID], list[Version]] = {}
    names = ("flag_id", "environment_id", "history_date", "document")
    for flag_id, place_id, at, document in rows.order_by("version", "history_id").values_list(*names).iterator():
        add_version(found.setdefault((flag_id, place_id), []), at, document, now)
    return found


def _snoozes(project: Project, flag_ids: Collection[uuid.UUID] | None, now: datetime) -> dict[uuid.UUID, _Snoozed]:
    rows = Snooze.objects.filter(project=project)
    rows = rows if flag_ids is None else rows.filter(flag__in=flag_ids)
    found: dict[uuid.UUID, _Snoozed] = {}
    for snooze in rows.order_by("until"):
        each = found.setdefault(snooze.flag_id, _Snoozed())
        if holds(snooze.until, snooze.ended_at, now):
            each.until, each.reason = snooze.until, snooze.reason
        else:
            ended_at = min(snooze.until, snooze.ended_at or snooze.until)
            each.ended_at = max(ended_at, each.ended_at or ended_at)
    return found


def _facts(flag: Flag, ground: _Ground) -> FlagFacts:
    snoozed, named = ground.snoozes.get(flag.pk, _Snoozed()), ground.references.get(flag.key)
    return FlagFacts(
        key=flag.key,
        kind=flag.kind,
        born_at=flag.lifecycle_started_at or flag.created_at,
        places=tuple(_place(flag, environment, ground) for environment in ground.environments),
        thresholds=ground.thresholds.get(flag.kind, Thresholds()),
        tags=tuple(flag.tags),
        archived_at=flag.archived_at,
        snoozed_until=timezone.localtime(snoozed.until) if snoozed.until else None,
        snooze_reason=snoozed.reason,
        snooze_ended_at=snoozed.ended_at,
        references=References(
            is_scanned=not ground.code.doubts,
            live=named.live if named else 0,
            extinct_at=named.extinct_at if named else None,
            scanned_since=ground.code.scanned_since,
            doubts=ground.code.doubts,
        ),
    )


def _place(flag: Flag, environment: Environment, ground: _Ground) -> PlaceFacts:
    place, known = (flag.pk, environment.pk), (environment.pk, flag.key)
    work = ground.work.get(known, _NOTHING)
    return PlaceFacts(
        key=environment.key,
        name=environment.name,
        weighs=environment.is_protected or environment.kind == EnvironmentKind.PRODUCTION,
        document=ground.documents.get(place),
        versions=ground.history.get(place, ()) if place in ground.documents else (),
        figures=ground.figures.get(environment.pk, Figures()),
        use=ground.uses.get(known, Use()),
        dependents=work.dependents,
        requests=work.requests,
        fresh_requests=work.fresh_requests,
        plans=work.plans,
        plan_since=work.plan_since,
        timelines=work.timelines,
    )


_NOTHING = Work()
