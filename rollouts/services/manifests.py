"""Applying a manifest: each difference goes the way that a person's own change would go, by the same services.

What is open is written at once, what is protected becomes one change request per environment, what would be less
strict waits for a second administrator, plans and timelines become drafts. Nothing is ever removed. Applied again, it
finds what it asked for already and asks for nothing twice.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import partial
from typing import TypedDict

from django.db import transaction

from audits import trail
from audits.actions import Action
from audits.context import Actor, correlation, open_correlation_id
from audits.errors import GovernanceError
from flags.changes import ChangeSet
from flags.models import Environment
from flags.services.attempts import attempt
from flags.services.configs import edit_directly
from rollouts.manifest.diffing import Kind, Subject
from rollouts.manifest.reading import Reading
from rollouts.models import ChangeRequest
from rollouts.selectors.manifest_plans import (
    SOURCE_KIND,
    WATCHED,
    ManifestPlan,
    Step,
    Way,
    change_set_of,
    content_digest,
    pending_request,
    plan_manifest,
)
from rollouts.services.checks import checked_prose
from rollouts.services.drafting import create_change_request, lock_for_number, submit_change_request
from rollouts.services.manifest_drafts import make_draft
from rollouts.services.manifest_outcomes import Applied, Outcome, Result, State
from rollouts.services.manifest_settings import write_details, write_flag, write_setting
from rollouts.services.writing import require_person
from rollouts.transitions import RequestState

TITLE = "Apply the manifest"
SERVED = (Subject.CONFIG, Subject.SEGMENT)
SETTINGS = (Subject.POLICY, Subject.RULE, Subject.TEMPLATE)
DRAFTS = (Subject.PLAN, Subject.TIMELINE)


class _Told(TypedDict):
    actor: Actor
    reason: str
    now: datetime


def apply_manifest(
    reading: Reading, *, actor: Actor, reason: str, now: datetime, only: Collection[str] | None = None
) -> Applied:
    """Carry out what `plan_manifest` says, part by part: a part that is refused does not keep others from happening.

    `only` are the keys of the environments it is about. Raises InvalidManifest, NotFound, InvalidInput without a reason
    and PermissionMissing for others than people.
    """
    require_person(actor)
    told: _Told = {"actor": actor, "reason": checked_prose(reason, field="reason", required=True), "now": now}
    with correlation(open_correlation_id()):
        plan = first = plan_manifest(reading, actor=actor, only=only)
        outcomes = [*_untried(plan), *_flags(plan, told), *_settings(plan, told)]
        if outcomes:
            # New flags are set up, switched off, where that is open: what differs now is another thing.
            plan = plan_manifest(reading, actor=actor, only=only)
        outcomes += _without_flag(plan)
        served = _environments(plan, told)
        if served and plan.steps_about(*DRAFTS):
            plan = plan_manifest(reading, actor=actor, only=only)
        outcomes += [*served, *_drafts(plan, told)]
        _record(first, outcomes, told)
    return Applied(first, tuple(outcomes))


def _untried(plan: ManifestPlan) -> list[Outcome]:
    """What is not possible, or not as long as a plan or a timeline is at work."""
    states = {Way.NOT_POSSIBLE: State.REFUSED, Way.WAITS: State.PENDING}
    return [
        Outcome((step.difference.address,), Result(states[step.way], step.sentence))
        for step in plan.steps
        if step.way in states
    ]


def _flags(plan: ManifestPlan, told: _Told) -> list[Outcome]:
    """New flags, then their teams; what is only described, and what rules look at, each apart from the other."""
    by_kind: dict[tuple[str, bool], list[Step]] = {}
    for step in plan.steps_about(Subject.FLAG):
        by_kind.setdefault((step.difference.key, step.difference.name in WATCHED), []).append(step)
    outcomes = []
    for (key, _), own in by_kind.items():
        outcome = _tried(own, partial(write_flag, plan, key, own, **told))
        outcomes.append(outcome)
        team = plan.wanted["flags"][key].get("team")
        if team and own[0].difference.kind is Kind.NEW and outcome.result.state is State.DONE:
            act = partial(write_details, plan, key, {"team": team}, **told)
            outcomes.append(_tried_at((f"flags.{key}.team",), act))
    return outcomes


def _settings(plan: ManifestPlan, told: _Told) -> list[Outcome]:
    return [_tried([step], partial(write_setting, plan, step, **told)) for step in plan.steps_about(*SETTINGS)]


def _has_flag(plan: ManifestPlan, step: Step) -> bool:
    return step.difference.subject is not Subject.CONFIG or step.difference.key in plan.present.known.flags


def _without_flag(plan: ManifestPlan) -> list[Outcome]:
    """Configs of flags that were to be made and were refused: left out, so that others of the environment happen."""
    return [
        Outcome((step.difference.address,), Result(State.REFUSED, f"There is no flag {step.difference.key} yet."))
        for step in plan.steps_about(Subject.CONFIG)
        if not _has_flag(plan, step)
    ]


def _environments(plan: ManifestPlan, told: _Told) -> list[Outcome]:
    """Configs and segments: those of an environment together, what is open first and then what is asked for."""
    outcomes = []
    for key in plan.wanted.get("environments", {}):
        steps = [step for step in plan.steps_about(*SERVED, environment=key) if _has_flag(plan, step)]
        for way, write in ((Way.AT_ONCE, _edit), (Way.REQUEST, partial(_request, manifest=plan.digest))):
            own = [step for step in steps if step.way is way]
            change_set = change_set_of(plan.present, plan.wanted, own, key)
            if change_set is not None:
                outcomes.append(_tried(own, partial(write, plan.present.environments[key], change_set, told)))
    return outcomes


def _drafts(plan: ManifestPlan, told: _Told) -> list[Outcome]:
    """Plans and timelines, where the flags they are about are as the manifest says."""
    waiting = {
        (step.difference.environment, step.difference.subject, step.difference.key)
        for step in plan.steps
        if step.difference.subject in SERVED and step.difference.kind is not Kind.UNMANAGED
    }
    return [_tried([step], partial(make_draft, plan, step, waiting, **told)) for step in plan.steps_about(*DRAFTS)]


def _tried(steps: Sequence[Step], act: Callable[[], Result]) -> Outcome:
    return _tried_at(tuple(step.difference.address for step in steps), act)


def _tried_at(addresses: tuple[str, ...], act: Callable[[], Result]) -> Outcome:
    try:
        return Outcome(addresses, attempt(act))
    except GovernanceError as error:
        return Outcome(addresses, Result(State.REFUSED, error.message))


def _edit(environment: Environment, change_set: ChangeSet, told: _Told) -> Result:
    edit_directly(change_set, **told)
    return Result(State.DONE, f"{environment.name} serves it.")


def _request(environment: Environment, change_set: ChangeSet, told: _Told, *, manifest: str) -> Result:
    # Behind the lock, so that of two that ask at once the second one finds what the first one asked.
    lock_for_number(environment.pk)
    found = pending_request(change_set, told["actor"])
    if found is None or found.current_state is RequestState.DRAFT:
        found = _ask(environment, change_set, found, told, manifest=manifest)
    return Result(State.PENDING, f"#{found.number} asks for it in {environment.name}.", found)


def _ask(
    environment: Environment, change_set: ChangeSet, draft: ChangeRequest | None, told: _Told, *, manifest: str
) -> ChangeRequest:
    request = draft or create_change_request(
        environment.pk,
        title=TITLE,
        change_set=change_set,
        apply_at=None,
        source={"kind": SOURCE_KIND, "digest": content_digest(change_set), "manifest": manifest},
        **told,
    )
    return submit_change_request(request.pk, actor=told["actor"], now=told["now"])


def _record(plan: ManifestPlan, outcomes: Sequence[Outcome], told: _Told) -> None:
    """The event of an apply that did or asked for something; one that found nothing to do records nothing."""
    asked = {outcome.result.request.pk for outcome in outcomes if outcome.result.request is not None}
    before = {step.request for step in plan.steps if step.request is not None}
    new = [one for one in outcomes if one.result.request is not None and one.result.request.number not in before]
    acts = [one for one in outcomes if one.result.state is State.DONE or one.result.is_proposed]
    done = [address for one in acts for address in one.addresses]
    if not done and not new:
        return
    with transaction.atomic():
        trail.record(
            Action.MANIFEST_APPLIED,
            actor=told["actor"],
            target=trail.Target("project", str(plan.project.pk), plan.project.name),
            now=told["now"],
            project_id=plan.project.pk,
            project_key=plan.project.key,
            reason=told["reason"],
            data={"manifest": plan.digest, "done": done, "request_ids": sorted(map(str, asked))},
        )
