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
from rollouts.selectors.timelines.footing import FOOTING, footing_of
from rollouts.selectors.timelines.ground import Ground, base_document, definition_of, ground_of, kept_version, left_as
from rollouts.services.timelines.consent import (
    consent_back,
    refuse_other_content,
    require_milestone_approvals,
    require_milestone_consent,
)
from rollouts.services.timelines.preparing import refuse_outdated
from rollouts.services.timelines.ways_back import NOT_NARROWING, WayBack, way_back, words_of
from rollouts.services.timelines.writing import lock_timeline, step

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

    Open at any time: nothing is judged again and no freeze holds it. `way_back` says what is written where somebody
    else changed the flag; the step says so, and where nothing was written the timeline stays at its milestone.
    `definition` is that with new dates, `fields` are further columns of the timeline; `telling` is asked for more
    evidence with what people are told, empty where all went back. Raises NotNarrowing for those who may not widen.
    """
    next_timeline_state(timeline.current_state, act)
    definition = definition or definition_of(timeline)
    with correlation(timeline.correlation_id):
        try:
            with transaction.atomic():
                back, applied = _back(timeline, act, number, definition, actor=actor, now=now, reason=reason)
        except NotNarrowing:
            if act not in _OPEN_ANYWAY or _must_narrow(timeline, actor):
                raise
            back, applied = WayBack({}, NOT_NARROWING), AppliedChange(timeline.environment.revision, {})
        words = words_of(act, back.why_alone, back.kept_version)
        told = {**(evidence or {}), **(telling(words) if telling else {})}
        if words:
            told |= {"what_to_do": words, "kept_version": back.kept_version}
        if back.why_alone:
            fields = {name: value for name, value in fields.items() if name not in _WHERE}
        # With an edit of somebody else the flag is not as the timeline left it: it never goes over that.
        written = dict(timeline.written) if back.kept_version else _written(timeline, applied)
        return step(
            timeline,
            act,
            actor=actor,
            now=now,
            reason=reason,
            revision=applied.revision if applied.versions else None,
            evidence={"versions": dict(applied.versions), "left_alone": back.why_alone, **told},
            written=written,
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
) -> tuple[WayBack, AppliedChange]:
    """Write what a way back asks for, if anything."""
    ground = ground_of(timeline)
    back = way_back(timeline, act, number, definition, ground=ground, now=now)
    if back.why_alone:
        return back, AppliedChange(timeline.environment.revision, {})
    content, consent = _content(timeline, back.document, ground), consent_back(timeline)
    authority = Milestone(
        timeline_id=str(timeline.pk),
        milestone=number,
        content_digest=change_digest(content, apply_at=None),
        request_id=consent.request_id,
        approved_digest=consent.approved_digest,
        goes_back=True,
        must_narrow=_must_narrow(timeline, actor),
        restores=back.restores,
        disrupts=False,
    )
    return back, _apply(timeline, content, authority, definition, actor=actor, now=now, reason=reason)


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
        evidence = {FOOTING: footing_of(timeline)}
        return step(timeline, TimelineAct.START, actor=actor, now=now, reason=reason, evidence=evidence, **started)


def refuse_kept_edit(timeline: DeprecationTimeline) -> None:
    """Raise TimelineMovedGround where the timeline was undone around an edit of somebody else."""
    version = kept_version(timeline)
    if version:
        raise TimelineMovedGround(
            f"Timeline {timeline.number} was undone around what somebody else made of {timeline.flag.key} in "
            f"{timeline.environment.name} (version {version}). It does not go on over that: end it, and make a new one "
            "on how the flag is now.",
            moved=[{"key": timeline.flag.key, "current_version": version}],
        )


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
        raise NotNarrowing(f"{error.message} {_way_out(timeline, authority)}", **error.facts) from error


def _way_out(timeline: DeprecationTimeline, authority: Milestone) -> str:
    """What else can be done where a person may not take back so much at once."""
    name = timeline.environment.name
    if authority.restores:
        return f"Or ask a release manager of {name}."
    return (
        "People would get something else than what was approved or what they had before this timeline, because the "
        "flag, or a segment or flag that it refers to, is not known to be as it was. Propose what they are to get "
        f"back, or end the timeline, which leaves the flag as it is now and takes a release manager of {name}."
    )


def _written(timeline: DeprecationTimeline, applied: AppliedChange) -> dict[str, Any]:
    """Version and digest of the flag as the timeline leaves it, or as it left it where nothing was written."""
    if not applied.versions:
        return dict(timeline.written)
    rows = FlagConfig.objects.filter(environment=timeline.environment_id, flag=timeline.flag_id)
    version, digest = rows.values_list("version", "digest").get()
    return {"version": version, "digest": digest}


def _must_narrow(timeline: DeprecationTimeline, actor: Actor) -> bool:
    """Whether a person takes back only what exposes nobody: one who is no release manager."""
    if actor.kind is not ActorKind.PERSON:
        return False
    return not permissions.holds(actor, permissions.APPLY, timeline.environment)


def _unheld(now: datetime) -> dict[str, Any]:
    return {"blocked_code": "", "blocked_detail": {}, "next_look_at": now}
