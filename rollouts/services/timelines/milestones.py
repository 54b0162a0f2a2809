"""Writing a milestone of a timeline: forward with consent judged anew, back at any time. The only place that
constructs `Milestone`.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from audits.context import Actor, ActorKind, correlation
from flags import permissions
from flags.authority import Milestone, NotNarrowing
from flags.changes import ChangeSet, ConfigEdit, change_digest, document_digest
from flags.documents.schema import Document
from flags.models import FlagConfig
from flags.services.configs import AppliedChange, apply_change_set
from rollouts.deprecations.definition import MilestoneKind, TimelineDefinition
from rollouts.deprecations.documents import document_at, is_over
from rollouts.deprecations.transitions import TimelineAct, next_timeline_state
from rollouts.deprecations.words import milestone_name
from rollouts.errors import TimelineMovedGround
from rollouts.models import ChangeRequest, DeprecationTimeline, TimelineStep
from rollouts.selectors.timelines.facts import QUIET
from rollouts.selectors.timelines.ground import Ground, base_document, definition_of, ground_of, left_as
from rollouts.services.timelines.consent import (
    consent_back,
    is_as_approved,
    refuse_other_content,
    require_milestone_approvals,
    require_milestone_consent,
)
from rollouts.services.timelines.preparing import refuse_outdated
from rollouts.services.timelines.writing import lock_timeline, step

MOVED, ALTERED, NOT_NARROWING = "moved", "altered", "not_narrowing"
# What a step and a mail say where a way back wrote nothing.
LEFT_WORDS = {
    MOVED: "Somebody else changed the flag since, so it was left as it is now. Look at it and change it by hand.",
    ALTERED: "What is stored of this timeline was neither approved nor served, so the flag was left as it is now. "
    "Look at it and change it by hand.",
    NOT_NARROWING: "The environment is protected now and nobody approved this timeline, so the flag was left as it is "
    "now. Propose a change request to give it back to people.",
}
# Acts that nothing may keep from happening, with or without a write.
_OPEN_ANYWAY = frozenset({TimelineAct.END, TimelineAct.END_BROWNOUT})
# Columns that say where the timeline stands, which it does not leave where nothing was written.
_WHERE = frozenset({"milestone", "reached_number", "reached_at"})


def reach_milestone(
    timeline: DeprecationTimeline,
    number: int,
    *,
    actor: Actor,
    now: datetime,
    reason: str = "",
    evidence: Mapping[str, Any] | None = None,
) -> TimelineStep:
    """Go forward to a milestone of a locked timeline: flag, timeline, step and event in this transaction.

    Announcing writes nothing that is served. Raises TimelineMovedGround, what `require_milestone_consent` raises, and
    what the write path raises.
    """
    next_timeline_state(timeline.current_state, TimelineAct.REACH)
    ground = ground_of(timeline)
    refuse_moved(timeline, ground)
    consent = require_milestone_consent(timeline, actor=actor, now=now)
    require_milestone_approvals(timeline, number)
    definition = definition_of(timeline)
    milestone = definition.milestones[number - 1]
    content = _content(timeline, document_at(definition, base_document(timeline), number, now=now), ground)
    authority = Milestone(
        timeline_id=str(timeline.pk),
        milestone=number,
        content_digest=change_digest(content, apply_at=None),
        request_id=consent.request_id,
        approved_digest=consent.approved_digest,
        approver_ids=consent.approver_ids,
        required_approvals=consent.required,
        rules=consent.rules,
        disrupts=milestone.kind not in QUIET,
    )
    with correlation(timeline.correlation_id):
        applied = _apply(timeline, content, authority, definition, actor=actor, now=now, reason=reason)
        return step(
            timeline,
            TimelineAct.REACH,
            actor=actor,
            now=now,
            reason=reason,
            revision=applied.revision if applied.versions else None,
            evidence={"kind": milestone.kind.value, "versions": dict(applied.versions), **(evidence or {})},
            milestone=number,
            reached_number=number,
            reached_at=now,
            in_brownout=milestone.kind is MilestoneKind.BROWNOUT and not is_over(milestone, now=now),
            written=_written(timeline, applied),
            **_unheld(now),
        )


def write_back(
    timeline: DeprecationTimeline,
    act: TimelineAct,
    number: int,
    *,
    actor: Actor,
    now: datetime,
    reason: str = "",
    definition: TimelineDefinition | None = None,
    evidence: Mapping[str, Any] | None = None,
    telling: Callable[[str], Mapping[str, Any]] | None = None,
    **fields: Any,
) -> TimelineStep:
    """Write the document of a milestone that was reached before, 0 for how it was before, or of the present one anew.

    Open at any time: nothing is judged again and no freeze holds it. A flag that somebody else changed is left alone,
    as is one for which something is stored that was neither approved nor served; the step says so, and the timeline
    stays at its milestone. So it does where nobody approved the timeline, the environment is protected since and it
    ends. `definition` is that with new dates, `fields` are further columns of the timeline; `telling` is asked for more
    evidence once it is clear why the flag was left alone, if it was. Raises NotNarrowing for those who may not widen.
    """
    next_timeline_state(timeline.current_state, act)
    definition = definition or definition_of(timeline)
    with correlation(timeline.correlation_id):
        try:
            with transaction.atomic():
                applied, why_alone = _back(timeline, act, number, definition, actor=actor, now=now, reason=reason)
        except NotNarrowing:
            if timeline.request is not None or act not in _OPEN_ANYWAY:
                raise
            applied, why_alone = AppliedChange(timeline.environment.revision, {}), NOT_NARROWING
        told = {**(evidence or {}), **(telling(why_alone) if telling else {})}
        if why_alone:
            told |= {"what_to_do": LEFT_WORDS[why_alone]}
            fields = {name: value for name, value in fields.items() if name not in _WHERE}
        return step(
            timeline,
            act,
            actor=actor,
            now=now,
            reason=reason,
            revision=applied.revision if applied.versions else None,
            evidence={"versions": dict(applied.versions), "left_alone": why_alone, **told},
            written=_written(timeline, applied),
            **fields,
        )


def _back(
    timeline: DeprecationTimeline,
    act: TimelineAct,
    number: int,
    definition: TimelineDefinition,
    *,
    actor: Actor,
    now: datetime,
    reason: str,
) -> tuple[AppliedChange, str]:
    """Write the document of a milestone anew; what was written, or why nothing was."""
    ground, document = ground_of(timeline), document_at(definition, base_document(timeline), number, now=now)
    if why_alone := _why_left_alone(timeline, document, ground):
        return AppliedChange(timeline.environment.revision, {}), why_alone
    content, consent = _content(timeline, document, ground), consent_back(timeline)
    authority = Milestone(
        timeline_id=str(timeline.pk),
        milestone=number,
        content_digest=change_digest(content, apply_at=None),
        request_id=consent.request_id,
        approved_digest=consent.approved_digest,
        goes_back=True,
        must_narrow=_must_narrow(timeline, actor),
        disrupts=False,
    )
    return _apply(timeline, content, authority, definition, actor=actor, now=now, reason=reason), ""


def start_approved_timeline(request: ChangeRequest, *, actor: Actor, now: datetime, reason: str = "") -> AppliedChange:
    """Begin the timeline that an approved request asks for, instead of writing the request's content.

    To be called with the request locked and judged, in the transaction that says it was applied.
    """
    timeline = lock_timeline(request.timeline.pk)
    begin(timeline, actor=actor, now=now, reason=reason or request.reason)
    return AppliedChange(timeline.environment.revision, {})


def begin(timeline: DeprecationTimeline, *, actor: Actor, now: datetime, reason: str) -> TimelineStep:
    """Set a locked timeline going; its first milestone comes on its date. Nothing that is served is written yet.

    Raises TimelineMovedGround, ConsentMismatch, TimelineOutdated, FlagIsEnding, FlagInOtherPlan.
    """
    refuse_moved(timeline, ground_of(timeline))
    refuse_other_content(timeline)
    refuse_outdated(definition_of(timeline), now=now, reached=0, instead="Choose later dates, then start it.")
    with correlation(timeline.correlation_id):
        started: dict[str, Any] = {"started_by_id": actor.id, "started_at": now, "next_look_at": now}
        return step(timeline, TimelineAct.START, actor=actor, now=now, reason=reason, **started)


def refuse_moved(timeline: DeprecationTimeline, ground: Ground) -> None:
    """Raise TimelineMovedGround where somebody else changed the flag."""
    if not ground.is_moved:
        return
    left = left_as(timeline)["version"]
    raise TimelineMovedGround(
        f"Somebody else changed {timeline.flag.key} in {timeline.environment.name} (version {left} → {ground.version}) "
        f"since timeline {timeline.number} was prepared or last wrote there. Nothing is overwritten. Put it back as "
        "the timeline left it, or end this timeline and make a new one on how it is now.",
        moved=[{"key": timeline.flag.key, "base_version": left, "current_version": ground.version}],
    )


def _content(timeline: DeprecationTimeline, document: Document, ground: Ground) -> ChangeSet:
    edit = ConfigEdit(timeline.flag.key, ground.version, document)
    return ChangeSet(str(timeline.environment_id), (edit,) if document_digest(document) != ground.digest else ())


def _apply(
    timeline: DeprecationTimeline,
    content: ChangeSet,
    authority: Milestone,
    definition: TimelineDefinition,
    *,
    actor: Actor,
    now: datetime,
    reason: str,
) -> AppliedChange:
    """Write the content where there is any; no versions where everything serves that already."""
    if not content.edits:
        return AppliedChange(timeline.environment.revision, {})
    number = authority.milestone
    where = f"milestone {number}, {milestone_name(definition.milestones[number - 1])}" if number else "as it was before"
    why = f"{timeline.label}: {where}{f'. {reason}' if reason else ''}"
    try:
        return apply_change_set(content, actor=actor, authority=authority, now=now, reason=why)
    except NotNarrowing as error:
        if timeline.request is None:
            raise
        name = timeline.environment.name
        raise NotNarrowing(f"{error.message} Or ask a release manager of {name}.", **error.facts) from error


def _written(timeline: DeprecationTimeline, applied: AppliedChange) -> dict[str, Any]:
    """Version and digest of the flag as the timeline leaves it, or as it left it where nothing was written."""
    if not applied.versions:
        return dict(timeline.written)
    rows = FlagConfig.objects.filter(environment=timeline.environment_id, flag=timeline.flag_id)
    version, digest = rows.values_list("version", "digest").get()
    return {"version": version, "digest": digest}


def _why_left_alone(timeline: DeprecationTimeline, document: Document, ground: Ground) -> str:
    """Why a way back writes nothing: a word for the evidence, empty where it writes."""
    if ground.is_moved:
        return MOVED
    if is_as_approved(timeline):
        return ""
    rows = FlagConfig.history.filter(environment=timeline.environment_id, flag=timeline.flag_id)
    return "" if rows.filter(digest=document_digest(document)).exists() else ALTERED


def _must_narrow(timeline: DeprecationTimeline, actor: Actor) -> bool:
    """Whether a person takes back only what exposes nobody: one who is no release manager."""
    if actor.kind is not ActorKind.PERSON:
        return False
    return not permissions.holds(actor, permissions.APPLY, timeline.environment)


def _unheld(now: datetime) -> dict[str, Any]:
    return {"blocked_code": "", "blocked_detail": {}, "next_look_at": now}
