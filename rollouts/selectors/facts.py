"""The facts about a request that the rules look at, read now."""

import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flags.changes import ConfigEdit, SegmentEdit
from flags.directions import FlagMovement, movement_of
from flags.documents.references import flags_below
from flags.models import Environment, Flag, FlagConfig, Segment
from flags.selectors.lint import findings_for_change_set
from rollouts.models import ChangeRequest
from rollouts.policies import Facts, FlagFacts, LintFact
from rollouts.selectors.calendar import freezes_for
from rollouts.selectors.impact import gravest_flips
from rollouts.selectors.incidents import open_incidents
from rollouts.selectors.soak import soak_of

LOOK_BACK = timedelta(days=30)
MOST_INSTANTS = 50
SMALLEST_POPULATION = 1_000
Documents = Mapping[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """The documents before and after, and the rows of the flags that move."""

    before: Documents
    after: Documents
    rows: Mapping[str, Flag]
    applied_at: Mapping[str, tuple[datetime, ...]]


def facts_of(request: ChangeRequest, *, now: datetime) -> Facts:
    """Everything the rules may ask about the present content of `request`: a constant number of queries."""
    environment, content = request.environment, request.content
    at = max(request.apply_at or now, now)
    edits = {edit.flag_key: edit.document for edit in content.edits if isinstance(edit, ConfigEdit)}
    configs = FlagConfig.objects.filter(environment=environment).values_list("flag__key", "document")
    before: Documents = dict(configs)
    segments = dict(Segment.objects.filter(environment=environment).values_list("key", "document"))
    movement = movement_of(content, configs=before, segments=segments)
    moved = {flag.flag_key: flag for flag in movement.flags}
    around = _Surroundings(
        before, {**before, **edits}, _rows(environment, moved), _applied_at(environment, moved, now=now)
    )
    lint = findings_for_change_set(content, environment, now=now)
    soak = soak_of(request, now=at)
    flipped, population = _flips(request)
    return Facts(
        environment_key=environment.key,
        environment_kind=environment.kind,
        at=at,
        flags=tuple(_flag(moved[key], around) for key in sorted(moved)),
        segments=tuple(sorted(edit.segment_key for edit in content.edits if isinstance(edit, SegmentEdit))),
        direction=movement.direction.value,
        lint=tuple(LintFact(finding.code, finding.severity) for _, found in lint for finding in found),
        ticket_url=request.ticket_url,
        flipped=flipped,
        population=population,
        soak_hours=soak.hours if soak else None,
        freezes=tuple(freeze.title for freeze in freezes_for(environment, _tag_sets(around), now=at)),
        incidents=tuple(incident.title for incident in open_incidents(environment, now=now)),
    )


def known_facts(request: ChangeRequest, kinds: Mapping[tuple[uuid.UUID, str], Flag]) -> Facts:
    """What can still be said of a request whose facts nobody stored; the rest is unknown. No query.

    `kinds` are flags by project and key, for their kind and tags as they are now.
    """
    flags = []
    for edit in request.content.edits:
        if isinstance(edit, ConfigEdit):
            row = kinds.get((request.project_id, edit.flag_key))
            flags.append(
                FlagFacts(
                    key=edit.flag_key,
                    kind=row.kind if row else "",
                    tags=tuple(row.tags) if row else (),
                    owner_team=_team(row),
                    is_client_visible=_is_visible(edit.document),
                    applied_at=None,
                )
            )
    return Facts(
        environment_key=request.environment.key,
        environment_kind=request.environment.kind,
        at=request.applied_at or request.apply_at or request.submitted_at or request.created_at,
        flags=tuple(flags),
        segments=tuple(sorted(edit.segment_key for edit in request.content.edits if isinstance(edit, SegmentEdit))),
        ticket_url=request.ticket_url,
    )


def _flag(movement: FlagMovement, around: _Surroundings) -> FlagFacts:
    key = movement.flag_key
    row, before, after = around.rows.get(key), around.before.get(key, {}), around.after.get(key, {})
    return FlagFacts(
        key=key,
        kind=row.kind if row else "",
        tags=tuple(row.tags) if row else (),
        owner_team=_team(row),
        is_client_visible=_is_visible(before) or _is_visible(after),
        share_before=movement.share_before,
        share_after=movement.share_after,
        jump=movement.jump,
        changes_prerequisites=_needs({} if _is_switched_on(before, after) else before) != _needs(after),
        dependents=len(set(flags_below(key, around.before)) | set(flags_below(key, around.after))),
        applied_at=around.applied_at.get(key, ()),
        is_indirect=movement.is_indirect,
    )


def _flips(request: ChangeRequest) -> tuple[int | None, int | None]:
    """How many of how many people get another answer, in the gravest run that counts. A run over a few says nothing."""
    return gravest_flips(request, smallest=SMALLEST_POPULATION) or (None, None)


def _needs(document: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    return {item["flag"]: frozenset(item["variants"]) for item in document.get("prerequisites", ())}


def _is_switched_on(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether all that is set up begins to count."""
    return bool(after.get("enabled")) and not before.get("enabled")


def _is_visible(document: Mapping[str, Any]) -> bool:
    return bool(document.get("client_visible", False))


def _team(row: Flag | None) -> str | None:
    return str(row.owner_team_id) if row and row.owner_team_id else None


def _tag_sets(around: _Surroundings) -> list[tuple[str, ...]]:
    """The tags of every flag that moves; a change that moves none is asked about as one without tags."""
    return [tuple(row.tags) for row in around.rows.values()] or [()]


def _rows(environment: Environment, keys: Collection[str]) -> dict[str, Flag]:
    return {row.key: row for row in Flag.objects.filter(project=environment.project_id, key__in=list(keys))}


def _applied_at(environment: Environment, keys: Collection[str], *, now: datetime) -> dict[str, tuple[datetime, ...]]:
    rows = FlagConfig.history.filter(
        environment=environment, flag__key__in=list(keys), flag__replaced_at=None, history_date__gt=now - LOOK_BACK
    )
    found: dict[str, list[datetime]] = defaultdict(list)
    for key, moment in rows.order_by("-history_date").values_list("flag__key", "history_date"):
        if len(found[key]) < MOST_INSTANTS:
            found[key].append(moment)
    return {key: tuple(moments) for key, moments in found.items()}
