"""Rollout plans and deprecation timelines of a manifest: drafts, which people start or propose as any other."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from audits.context import Actor
from flags.documents.references import segment_places
from flags.models import Environment, Flag
from rollouts.deprecations import codec as timelines
from rollouts.deprecations.transitions import ENDED_STATES as ENDED_TIMELINES
from rollouts.deprecations.transitions import TimelineState
from rollouts.manifest.diffing import Subject
from rollouts.models import DeprecationTimeline, RolloutPlan
from rollouts.plans import codec as plans
from rollouts.plans.transitions import ENDED_STATES as ENDED_PLANS
from rollouts.plans.transitions import PlanState
from rollouts.selectors.manifest_plans import ManifestPlan, Step
from rollouts.services.manifest_outcomes import Result, State
from rollouts.services.plans.drafting import create_plan, edit_plan
from rollouts.services.timelines.drafting import create_timelines, edit_timeline


def make_draft(
    plan: ManifestPlan,
    step: Step,
    waiting: Collection[tuple[str, Subject, str]],
    *,
    actor: Actor,
    reason: str,
    now: datetime,
) -> Result:
    """Make or edit one draft. `waiting` are configs and segments, by environment, that are not as the manifest says.

    What is about one of them waits too. Raises what the services of plans and timelines raise.
    """
    place = plan.present.environments[step.difference.environment]
    entry, is_plan = _entry(plan, step), step.difference.subject is Subject.PLAN
    keys = entry["definition"]["flags"] if is_plan else [step.difference.key]
    held = [key for key in keys if (place.key, Subject.CONFIG, key) in waiting]
    if held:
        return Result(State.PENDING, f"Made once the config of {held[0]} in {place.name} is as the manifest says.")
    unsettled = [key for key in _segments(plan, place.key, entry, keys) if (place.key, Subject.SEGMENT, key) in waiting]
    if unsettled:
        return Result(State.PENDING, f"Made once the segment {unsettled[0]} in {place.name} is as the manifest says.")
    why = entry.get("reason", reason)
    make = _plan if is_plan else _timeline
    return make(place, step.difference.key, entry, actor=actor, reason=why, now=now)


def _segments(plan: ManifestPlan, place: str, entry: Mapping[str, Any], keys: Collection[str]) -> list[str]:
    """The segments that a plan's stages name and those that the configs of its flags do."""
    patches = [patch for stage in entry["definition"].get("stages", ()) for patch in stage["patches"]]
    served = plan.present.manifest["environments"][place]["flags"]
    configs = [served[key]["config"] for key in keys if "config" in served.get(key, {})]
    named = {patch["segment"] for patch in patches if patch["segment"]}
    return sorted(named | {key for config in configs for _, key in segment_places(config)})


def _entry(plan: ManifestPlan, step: Step) -> dict[str, Any]:
    environment, key = plan.wanted["environments"][step.difference.environment], step.difference.key
    if step.difference.subject is Subject.TIMELINE:
        found: dict[str, Any] = environment["flags"][key]["timeline"]
        return found
    return next(entry for entry in environment["plans"] if entry["title"] == key)


def _plan(place: Environment, title: str, entry: dict[str, Any], *, actor: Actor, reason: str, now: datetime) -> Result:
    rows = RolloutPlan.objects.filter(environment=place, title=title).order_by("-number")
    known = rows.exclude(state__in=[state.value for state in ENDED_PLANS]).first()
    definition = plans.from_json(entry["definition"])
    if known is None:
        made = create_plan(place.pk, actor=actor, now=now, title=title, definition=definition, reason=reason)
        return Result(State.DONE, f"Plan {made.number} is a draft in {place.name}.")
    if known.current_state is not PlanState.DRAFT:
        return _underway(f"Plan {known.number}", known.current_state.label, "Give the other one another title.")
    edit_plan(known.pk, actor=actor, now=now, digest=known.digest, definition=definition, reason=reason)
    return Result(State.DONE, f"Plan {known.number} is a draft that says so now.")


def _timeline(
    place: Environment, key: str, entry: dict[str, Any], *, actor: Actor, reason: str, now: datetime
) -> Result:
    flag = Flag.objects.get(project=place.project_id, key=key)
    rows = DeprecationTimeline.objects.filter(environment=place, flag=flag).order_by("-number")
    known = rows.exclude(state__in=[state.value for state in ENDED_TIMELINES]).first()
    definition = timelines.from_json(entry["definition"])
    if known is None:
        [made] = create_timelines(flag.pk, [place.pk], definition, actor=actor, now=now, reason=reason)
        return Result(State.DONE, f"Timeline {made.number} is a draft in {place.name}.")
    if known.current_state is not TimelineState.DRAFT:
        return _underway(f"Timeline {known.number}", known.current_state.label, "End it first, or postpone it by hand.")
    edit_timeline(known.pk, actor=actor, now=now, digest=known.digest, definition=definition, reason=reason)
    return Result(State.DONE, f"Timeline {known.number} is a draft that says so now.")


def _underway(name: str, state: str, instead: str) -> Result:
    return Result(State.REFUSED, f"{name} is {state.lower()}, so what it says stays. {instead}")
