"""One page of stale flags of a project, with everything that says whether they may go."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.core.paginator import Page, Paginator
from django.db.models import Max, Q, QuerySet
from django.utils.dateparse import parse_datetime

from flags import permissions
from flags.lifecycle.readiness import Readiness
from flags.lifecycle.reasons import Confidence, Reason
from flags.lifecycle.stages import LifecycleStage
from flags.models import Environment, Flag, FlagConfig, FlagUse, Project
from flags.models.flags import FlagKind
from flags.selectors.references import is_scanned, reference_counts
from flags.telemetry.labels import TEST_TRAFFIC
from rollouts.admin.plans.words import Chip
from rollouts.deprecations.transitions import STANDING_STATES
from rollouts.models import DeprecationTimeline, Snooze, StaleVerdict
from rollouts.selectors.staleness.verdicts import StaleQuery, stale_verdicts

PAGE_SIZE = 50
FILTERS = ("reason", "readiness", "confidence", "kind", "owner", "q")
READINESS: Mapping[str, Chip] = {
    Readiness.SAFE: Chip("Safe to remove", "verified", "good"),
    Readiness.CAUTION: Chip("Look first", "visibility", "wait"),
    Readiness.BLOCKED: Chip("Not yet", "block", "bad"),
}
CONFIDENCE: Mapping[str, str] = {
    Confidence.HIGH: "sure",
    Confidence.MEDIUM: "likely",
    Confidence.LOW: "unsure: figures do not tell",
}


@dataclass(frozen=True, slots=True)
class WhyLine:
    """One reason for calling a flag stale."""

    label: str
    sentence: str
    since: datetime | None
    confidence: str


@dataclass(frozen=True, slots=True)
class StaleLine:
    """One flag in the inbox."""

    flag: Flag
    verdict: StaleVerdict
    stage: str
    readiness: Chip
    why: Sequence[WhyLine]
    matters: Sequence[str]
    used_at: datetime | None
    references: int | None
    timeline: DeprecationTimeline | None


@dataclass(frozen=True, slots=True)
class Inbox:
    """A page of the inbox. `is_scanned`: whether any code was, so that a flag it does not name says something."""

    lines: Sequence[StaleLine]
    page: Page[Any]
    reasons: Sequence[tuple[str, str]]
    kinds: Sequence[tuple[str, str]]
    readiness: Sequence[tuple[str, str]]
    confidences: Sequence[tuple[str, str]]
    is_scanned: bool


def inbox_of(project: Project, user: AbstractUser, asked: Mapping[str, str], number: str) -> Inbox:
    """Stale flags that pass the filters, those that may go first: eight queries."""
    query = StaleQuery(*(asked.get(name, "") for name in ("reason", "readiness", "kind", "confidence")))
    rows = _filtered(stale_verdicts(project, query), asked)
    page = Paginator(rows.order_by("stale_since", "flag__key"), PAGE_SIZE).get_page(number)
    verdicts = list(page.object_list)
    keys = [verdict.flag.key for verdict in verdicts]
    used, named = _last_uses(project, keys), reference_counts(project.pk, keys)
    ending = _planned(user, [verdict.flag_id for verdict in verdicts])
    lines = [
        _line(
            verdict,
            used.get(verdict.flag.key),
            named[verdict.flag.key].live if verdict.flag.key in named else None,
            ending.get(verdict.flag_id),
        )
        for verdict in verdicts
    ]
    return Inbox(
        lines,
        page,
        [(one.value, one.label) for one in Reason if one.is_of_flags],
        [(str(value), str(label)) for value, label in FlagKind.choices],
        [(key, chip.text) for key, chip in READINESS.items()],
        [(key, words.partition(":")[0].capitalize()) for key, words in CONFIDENCE.items()],
        is_scanned(project.pk),
    )


def snoozes_of(project: Project, *, now: datetime) -> list[Snooze]:
    """Snoozes in force, the one that ends first on top: one query."""
    rows = Snooze.objects.filter(project=project, until__gt=now, ended_at=None)
    return list(rows.select_related("flag", "created_by").order_by("until"))


def _filtered(rows: QuerySet[StaleVerdict], asked: Mapping[str, str]) -> QuerySet[StaleVerdict]:
    if search := asked.get("q", "").strip()[:100]:
        rows = rows.filter(Q(flag__key__icontains=search) | Q(flag__name__icontains=search))
    if owner := asked.get("owner", ""):
        try:
            wanted = uuid.UUID(owner)
        except ValueError:
            return rows.none()
        rows = rows.filter(Q(flag__owner=wanted) | Q(flag__owner_team=wanted))
    return rows


def _last_uses(project: Project, keys: Sequence[str]) -> dict[str, datetime]:
    places = Environment.objects.filter(project=project).values("pk")
    rows = FlagUse.objects.filter(environment__in=places, flag_key__in=keys).exclude(service=TEST_TRAFFIC).order_by()
    return dict(rows.values_list("flag_key").annotate(last=Max("last_at")))


def _planned(user: AbstractUser, flag_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, DeprecationTimeline]:
    """Of flags whose end is planned wherever this person sees them set up, the timeline of the last environment."""
    places = permissions.visible_environments(user).values("pk")
    set_up = FlagConfig.objects.filter(flag__in=flag_ids, environment__in=places)
    rows = DeprecationTimeline.objects.filter(flag__in=flag_ids, environment__in=places, state__in=STANDING_STATES)
    found: dict[uuid.UUID, dict[uuid.UUID, DeprecationTimeline]] = {}
    ordered = rows.select_related("environment").defer("base", "written").order_by("environment__position", "number")
    for timeline in ordered:
        found.setdefault(timeline.flag_id, {})[timeline.environment_id] = timeline
    without = {
        flag_id
        for flag_id, environment_id in set_up.values_list("flag", "environment")
        if environment_id not in found.get(flag_id, {})
    }
    return {flag_id: list(there.values())[-1] for flag_id, there in found.items() if flag_id not in without}


def _line(
    verdict: StaleVerdict, used_at: datetime | None, references: int | None, timeline: DeprecationTimeline | None
) -> StaleLine:
    return StaleLine(
        verdict.flag,
        verdict,
        LifecycleStage(verdict.stage).label,
        READINESS.get(verdict.readiness, READINESS[Readiness.CAUTION]),
        [_why(one) for one in verdict.reasons],
        [str(one["sentence"]) for one in [*verdict.blockers, *verdict.cautions]],
        used_at,
        references,
        timeline,
    )


def _why(found: Mapping[str, Any]) -> WhyLine:
    code, since = str(found["code"]), parse_datetime(str(found.get("since") or ""))
    label = Reason(code).label if code in set(Reason) else code.replace("_", " ")
    return WhyLine(label, str(found["sentence"]), since, CONFIDENCE.get(str(found.get("confidence")), ""))
