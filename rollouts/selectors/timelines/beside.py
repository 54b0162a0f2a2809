"""What rollout plans and ends of flags should know of each other: a flag does not go up and out at the same time."""

from collections.abc import Collection, Mapping
from datetime import datetime

from flags.documents.deprecation import withdrawal_at
from flags.documents.schema import quoted
from flags.documents.words import percent
from flags.models import Environment, FlagConfig
from rollouts.deprecations.transitions import LIVE_STATES
from rollouts.models import DeprecationTimeline, PlanFlag


def endings_beside(environment: Environment, flag_keys: Collection[str], *, now: datetime) -> Mapping[str, str]:
    """Why a rollout of these flags does not do what it says, by key: two queries.

    A flag is withdrawn from people, or a timeline is at work on it.
    """
    live = [state.value for state in LIVE_STATES]
    timelines = DeprecationTimeline.objects.filter(
        environment=environment, flag__key__in=flag_keys, flag__replaced_at=None, state__in=live
    )
    at_work = {timeline.flag.key: timeline for timeline in timelines.select_related("flag")}
    configs = FlagConfig.objects.filter(environment=environment, flag__key__in=flag_keys, flag__replaced_at=None)
    found = {}
    for key, document in configs.values_list("flag__key", "document").order_by("flag__key"):
        sentence = _sentence(key, document, at_work.get(key), environment, now=now)
        if sentence:
            found[key] = sentence
    return found


def plan_beside(timeline: DeprecationTimeline) -> str:
    """Which rollout plan is at work on the flag of a timeline; empty for none: one query."""
    rows = PlanFlag.objects.filter(environment=timeline.environment_id, flag=timeline.flag_id, is_live=True)
    held = rows.select_related("plan").first()
    if held is None:
        return ""
    return (
        f"{held.plan.label} is {held.plan.current_state.label.lower()} and works on {timeline.flag.name} in "
        f"{timeline.environment.name}. This timeline starts once that plan is over: a flag does not go up and out at "
        "the same time."
    )


def _sentence(
    key: str,
    document: dict[str, object],
    timeline: DeprecationTimeline | None,
    environment: Environment,
    *,
    now: datetime,
) -> str:
    withdrawal = withdrawal_at(document, now)
    whose = f"{timeline.label} is at work on it" if timeline else ""
    if withdrawal is None:
        return f"{whose} in {environment.name}. A rollout starts once that timeline is over." if whose else ""
    answer = "their code default" if withdrawal.serves is None else quoted(withdrawal.serves)
    who = "everybody" if withdrawal.is_for_everyone else f"{percent(withdrawal.weight)} of people"
    until = " until its brownout ends" if withdrawal.until else ""
    way_out = f"{whose}: undo or end that first." if whose else "Take the withdrawal out of its config first."
    return (
        f"{key} is withdrawn from {who} in {environment.name}{until}: they get {answer}, whatever a rollout serves. "
        f"{way_out}"
    )
