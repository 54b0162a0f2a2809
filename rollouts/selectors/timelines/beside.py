"""What rollout plans and ends of flags should know of each other: a flag does not go up and out, or out twice."""

import uuid
from collections.abc import Collection, Mapping
from datetime import datetime

from flags.documents.deprecation import withdrawal_at
from flags.documents.schema import quoted
from flags.documents.words import percent
from flags.models import Environment, FlagConfig
from rollouts.deprecations.transitions import ENDED_STATES, LIVE_STATES, TimelineState
from rollouts.models import DeprecationTimeline, PlanFlag
from rollouts.transitions import OPEN_STATES, RequestState

_STANDS = {
    TimelineState.RUNNING: "is running",
    TimelineState.PAUSED: "is paused",
    TimelineState.UNDONE: "was undone and not ended",
}


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


def timelines_in(
    flag_id: uuid.UUID, environment_ids: Collection[uuid.UUID], *, beside: DeprecationTimeline | None = None
) -> Mapping[uuid.UUID, DeprecationTimeline]:
    """The timeline of a flag in each of these environments that is not over, other than `beside`: one query.

    One that is on its way comes before drafts; of drafts it is the last.
    """
    over = [state.value for state in ENDED_STATES]
    rows = DeprecationTimeline.objects.filter(flag=flag_id, environment__in=environment_ids).exclude(state__in=over)
    if beside is not None:
        rows = rows.exclude(pk=beside.pk)
    found: dict[uuid.UUID, DeprecationTimeline] = {}
    for timeline in rows.select_related("request", "flag", "environment").order_by("number"):
        held = found.get(timeline.environment_id)
        if held is None or not is_on_its_way(held):
            found[timeline.environment_id] = timeline
    return found


def is_on_its_way(timeline: DeprecationTimeline) -> bool:
    """Whether a timeline is live, or its change request is still open."""
    if timeline.current_state in LIVE_STATES:
        return True
    asked = timeline.request if timeline.current_state is TimelineState.PROPOSED else None
    return asked is not None and asked.current_state in OPEN_STATES


def other_on_its_way(timeline: DeprecationTimeline) -> DeprecationTimeline | None:
    """Another timeline that ends the same flag in the same environment already: one query."""
    place = timeline.environment_id
    other = timelines_in(timeline.flag_id, [place], beside=timeline).get(place)
    return other if other is not None and is_on_its_way(other) else None


def on_its_way_words(other: DeprecationTimeline) -> str:
    """That a timeline ends its flag already, and what to do instead of a second one."""
    if other.current_state in LIVE_STATES:
        instead = "Change the dates of that timeline, pause it or end it instead"
    else:
        instead = "Take that timeline back and change it, or end it"
    return f"{_on_its_way(other)} {instead}: two would undo each other's work."


def timeline_beside(timeline: DeprecationTimeline) -> str:
    """What stands in the way of a draft or proposed timeline: another one; empty for none: one query at most."""
    if timeline.current_state not in {TimelineState.DRAFT, TimelineState.PROPOSED}:
        return ""
    other = other_on_its_way(timeline)
    if other is None:
        return ""
    if timeline.current_state is TimelineState.DRAFT:
        return on_its_way_words(other)
    if other.current_state not in LIVE_STATES:
        return (
            f"{_on_its_way(other)} Only one of the two starts, whichever is approved first, and the other is held "
            "back. Reject or withdraw the one that is not meant."
        )
    return (
        f"{_on_its_way(other)} Approving this request starts nothing as long as that is so: timeline "
        f"{timeline.number} is held back until the other one is over. Reject or withdraw it unless that is meant."
    )


def _on_its_way(other: DeprecationTimeline) -> str:
    stands = _STANDS.get(other.current_state, "waits for approval")
    if other.request is not None and other.request.current_state is RequestState.APPROVED:
        stands = _STANDS.get(other.current_state, "is approved")
    return f"{other.label} {stands} in {other.environment.name}, so {other.flag.key} is on its way out there already."


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
