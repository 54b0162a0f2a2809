"""Shaping a timeline: create, edit, ask for its approval, take that back."""

import uuid
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any

from audits.actions import Action
from audits.context import Actor, correlation, current_correlation_id
from flags import permissions
from flags.errors import NotFound
from flags.models import Environment, Flag, Project
from flags.services.attempts import attempt
from flags.services.keys import problem
from flags.services.locks import lock_environment
from rollouts.deprecations.definition import TimelineDefinition
from rollouts.deprecations.transitions import TimelineAct, TimelineState, next_timeline_state
from rollouts.errors import FlagIsEnding, TimelineMovedOn
from rollouts.models import DeprecationTimeline
from rollouts.selectors.timelines.beside import on_its_way_words, other_on_its_way
from rollouts.selectors.timelines.ground import definition_of, ground_of
from rollouts.selectors.timelines.rights import needs_reason, require_right
from rollouts.services.checks import checked_prose
from rollouts.services.drafting import create_change_request, submit_change_request
from rollouts.services.numbering import insert_numbered
from rollouts.services.proposing import end_request, shapers
from rollouts.services.timelines.milestones import refuse_moved
from rollouts.services.timelines.preparing import Prepared, end_state, prepare, refuse_outdated
from rollouts.services.timelines.writing import lock_timeline, record, step
from rollouts.services.writing import require_person

SOURCE_KIND = "timeline"


def create_timelines(
    flag_id: uuid.UUID,
    environment_ids: Collection[uuid.UUID],
    definition: TimelineDefinition,
    *,
    actor: Actor,
    now: datetime,
    reason: str = "",
) -> list[DeprecationTimeline]:
    """A new draft for each of these environments, prepared on how the flag is there now: all of them or none.

    Raises PermissionMissing (role editor), InvalidTimeline, InvalidInput, NotFound.
    """

    def act() -> list[DeprecationTimeline]:
        flag = Flag.objects.filter(pk=flag_id).first()
        if flag is None:
            raise NotFound("This flag does not exist.", flag_id=str(flag_id))
        if flag.archived_at is not None:
            raise problem("flag", f"{flag.name} is archived already. There is nothing left to end.")
        if not environment_ids:
            raise problem("environments", "Choose at least one environment.")
        author, why = require_person(actor), checked_prose(reason, field="reason")
        made = []
        for environment in _lock_for_number(flag.project_id, environment_ids):
            permissions.require(actor, permissions.PROPOSE, environment)
            prepared = prepare(definition, flag, environment, now=now)
            made.append(_create(flag, environment, prepared, author=author, actor=actor, reason=why, now=now))
        return made

    return attempt(act)


def edit_timeline(
    timeline_id: uuid.UUID,
    *,
    actor: Actor,
    now: datetime,
    digest: str,
    reason: str | None = None,
    definition: TimelineDefinition | None = None,
) -> DeprecationTimeline:
    """Change a draft; None leaves a thing as it is. It is prepared anew, on how its flag is now.

    Raises as `create_timelines`, InvalidTimelineTransition, and TimelineMovedOn for a draft that is not the one with
    `digest`.
    """

    def act() -> DeprecationTimeline:
        timeline = _locked_draft(timeline_id, TimelineAct.EDIT, actor, digest)
        fields: dict[str, Any] = {}
        if reason is not None:
            fields["reason"] = checked_prose(reason, field="reason")
        wanted = definition or definition_of(timeline)
        fields |= prepare(wanted, timeline.flag, timeline.environment, now=now).columns()
        if all(getattr(timeline, name) == value for name, value in fields.items()):
            return timeline
        told = {"former_digest": timeline.digest}
        fields["contributors"] = shapers(timeline, actor)
        with correlation(timeline.correlation_id):
            why = fields.get("reason", "")
            step(timeline, TimelineAct.EDIT, actor=actor, now=now, reason=why, evidence=told, draft=fields)
        return timeline

    return attempt(act)


def propose_timeline(
    timeline_id: uuid.UUID,
    *,
    actor: Actor,
    now: datetime,
    digest: str,
    reason: str = "",
    ticket_url: str = "",
) -> DeprecationTimeline:
    """Ask for the approval of a draft: a change request whose digest binds the whole timeline, submitted at once.

    With the last approval the timeline starts. Nobody who shaped it may approve. Raises FlagIsEnding where another one
    is on its way there, TimelineMovedGround, TimelineOutdated, and what submitting a request raises.
    """

    def act() -> DeprecationTimeline:
        timeline = _locked_draft(timeline_id, TimelineAct.PROPOSE, actor, digest)
        _refuse_beside(timeline)
        refuse_moved(timeline, ground_of(timeline))
        refuse_outdated(definition_of(timeline), now=now, reached=0, instead="Edit the dates, then propose it.")
        said = checked_prose(reason, field="reason", required=needs_reason(timeline, TimelineAct.PROPOSE))
        why = said or timeline.reason
        with correlation(timeline.correlation_id):
            request = create_change_request(
                timeline.environment_id,
                actor=actor,
                title=_title(timeline),
                reason=why,
                change_set=end_state(timeline),
                apply_at=None,
                now=now,
                source={"kind": SOURCE_KIND, "timeline_id": str(timeline.pk), "number": timeline.number},
                ticket_url=ticket_url,
                plan_digest=timeline.digest,
                also_by=timeline.contributors,
            )
            submit_change_request(request.pk, actor=actor, now=now)
            told = {"request_id": str(request.pk), "request_number": request.number}
            asked: dict[str, Any] = {"request": request, "contributors": shapers(timeline, actor)}
            step(timeline, TimelineAct.PROPOSE, actor=actor, now=now, reason=why, evidence=told, **asked)
        return timeline

    return attempt(act)


def propose_drafts(
    save: Callable[[], Sequence[DeprecationTimeline]], *, actor: Actor, now: datetime, reason: str
) -> list[DeprecationTimeline]:
    """The drafts that `save` writes, those in protected environments proposed: all of it or nothing.

    The others wait for somebody to start them. Raises what `save` and `propose_timeline` raise.
    """

    def act() -> list[DeprecationTimeline]:
        return [_proposed(timeline, actor=actor, now=now, reason=reason) for timeline in save()]

    return attempt(act)


def recall_timeline(timeline_id: uuid.UUID, *, actor: Actor, now: datetime, reason: str = "") -> DeprecationTimeline:
    """Make a proposed timeline a draft again. Its request is withdrawn where it is open, which takes the right to.

    Raises PermissionMissing, InvalidTimelineTransition.
    """

    def act() -> DeprecationTimeline:
        timeline = lock_timeline(timeline_id)
        require_right(timeline, TimelineAct.RECALL, actor)
        next_timeline_state(timeline.current_state, TimelineAct.RECALL)
        why = checked_prose(reason, field="reason")
        with correlation(timeline.correlation_id):
            end_request(timeline, actor=actor, now=now, reason=why or f"Timeline {timeline.number} was taken back.")
            step(timeline, TimelineAct.RECALL, actor=actor, now=now, reason=why, request=None)
        return timeline

    return attempt(act)


def refuse_other_timeline_digest(timeline: DeprecationTimeline, digest: str) -> None:
    """Raise TimelineMovedOn unless `digest` is that of the timeline's present content."""
    if digest != timeline.digest:
        raise TimelineMovedOn(
            f"Timeline {timeline.number} was changed since the page was opened. Nothing was done: reload the page and "
            "look at it again.",
            seen_digest=digest[:64],
            current_digest=timeline.digest,
        )


def _locked_draft(timeline_id: uuid.UUID, act: TimelineAct, actor: Actor, digest: str) -> DeprecationTimeline:
    timeline = lock_timeline(timeline_id)
    require_right(timeline, act, actor)
    next_timeline_state(timeline.current_state, act)
    refuse_other_timeline_digest(timeline, digest)
    return timeline


def _refuse_beside(timeline: DeprecationTimeline) -> None:
    """Raise FlagIsEnding where another timeline is on its way. To be called behind the lock of the environment."""
    other = other_on_its_way(timeline)
    if other is not None:
        raise FlagIsEnding(on_its_way_words(other), timeline_id=str(other.pk), flag_key=other.flag.key)


def _proposed(timeline: DeprecationTimeline, *, actor: Actor, now: datetime, reason: str) -> DeprecationTimeline:
    if not timeline.environment.is_protected:
        return timeline
    with correlation():
        return propose_timeline(timeline.pk, actor=actor, now=now, digest=timeline.digest, reason=reason)


def _title(timeline: DeprecationTimeline) -> str:
    return f"End {timeline.flag.name}"


def _create(
    flag: Flag,
    environment: Environment,
    prepared: Prepared,
    *,
    author: uuid.UUID,
    actor: Actor,
    reason: str,
    now: datetime,
) -> DeprecationTimeline:
    timeline = DeprecationTimeline(
        project=environment.project,
        environment=environment,
        flag=flag,
        reason=reason,
        state=TimelineState.DRAFT.value,
        created_by_id=author,
        contributors=[str(author)],
        created_at=now,
        correlation_id=current_correlation_id(),
        **prepared.columns(),
    )
    insert_numbered(timeline, noun="timelines")
    with correlation(timeline.correlation_id):
        record(Action.TIMELINE_CREATED, timeline, actor=actor, now=now, reason=reason, to_state=timeline.state)
    return timeline


def _lock_for_number(project_id: uuid.UUID, environment_ids: Collection[uuid.UUID]) -> list[Environment]:
    """The environments in one order, locked after their project: numbers count per project."""
    Project.objects.select_for_update(of=("self",), no_key=True).filter(pk=project_id).first()
    found = [lock_environment(environment_id) for environment_id in sorted(set(environment_ids))]
    if any(environment.project_id != project_id for environment in found):
        raise problem("environments", "Choose environments of the flag's project.")
    return found
