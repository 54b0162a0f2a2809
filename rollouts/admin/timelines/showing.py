"""The page of a timeline: everything one person needs to see at a glance, put together for the template."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.urls import reverse
from django.utils.html import format_html

from flags import permissions
from flags.documents.deprecation import withdrawal_at
from flags.documents.schema import quoted
from flags.models import Flag, FlagConfig
from flags.selectors.kills import open_kills
from flags.showing import visible
from rollouts.admin.timelines.dialogs import dialogs_of, refusals_of
from rollouts.admin.timelines.history import moments_of, people_named
from rollouts.admin.timelines.standing import standing_of
from rollouts.admin.timelines.strip import ticks_of
from rollouts.admin.timelines.use import use_of
from rollouts.admin.timelines.words import state_of
from rollouts.deprecations.ahead import milestones_ahead
from rollouts.deprecations.definition import TimelineDefinition
from rollouts.deprecations.transitions import ENDED_STATES, LIVE_STATES, TimelineAct, TimelineState
from rollouts.deprecations.words import final_answer
from rollouts.models import DeprecationTimeline, TimelineStep
from rollouts.schedules.zones import zone_of
from rollouts.selectors.timelines.beside import plan_beside, timeline_beside
from rollouts.selectors.timelines.facts import reading_of
from rollouts.selectors.timelines.ground import definition_of, ground_of, reached_of
from rollouts.selectors.timelines.reading import left_to_do
from rollouts.selectors.timelines.rights import PossibleAct, possible_acts

ENDINGS = "admin:rollouts_deprecationtimeline_changelist"


def timeline_context(
    timeline: DeprecationTimeline, user: AbstractUser, *, now: datetime, typed: dict[str, Any] | None = None
) -> dict[str, Any]:
    """What the template shows. `typed`: the act that was refused, its error, and the fields posted with it."""
    definition = definition_of(timeline)
    steps = list(TimelineStep.objects.filter(timeline=timeline).order_by("sequence"))
    is_running = timeline.current_state is TimelineState.RUNNING
    reading = reading_of(timeline, now=now) if is_running else None
    ahead = milestones_ahead(definition, timeline.milestone, reached=reached_of(timeline), now=now)
    acts = possible_acts(timeline, user)
    return {
        "timeline": timeline,
        "environment": timeline.environment,
        "definition": definition,
        "request_asks": timeline.request,
        "state": state_of(timeline),
        "standing": standing_of(timeline, definition, reading),
        "ticks": ticks_of(timeline, definition, steps=steps, ahead=ahead),
        "served": _served(timeline, now),
        "answer": final_answer(definition),
        "successor": _successor(timeline, definition),
        "alerts": _alerts(timeline),
        "use": use_of(timeline, now=now),
        "moments": moments_of(steps, definition, people_named(steps)),
        "dialogs": dialogs_of(timeline, definition, acts, user, now=now),
        "refusals": refusals_of(timeline, acts),
        "edit_address": _edit_address(timeline, acts),
        "earliest": _field(now, definition),
        "is_live": timeline.current_state in LIVE_STATES,
        "crumbs": [("Endings", reverse(ENDINGS)), (format_html("{}", visible(timeline.flag.name)), "")],
        "refused": typed or {},
        "now": now,
    }


def unreadable_context(
    timeline: DeprecationTimeline, user: AbstractUser, *, typed: dict[str, Any] | None = None
) -> dict[str, Any]:
    """What the page of a timeline shows that cannot be read: that it can be ended, or what is left to do after that."""
    may_act = permissions.user_holds(user, permissions.PROPOSE, timeline.environment)
    may_act = may_act or permissions.user_holds(user, permissions.APPLY, timeline.environment)
    return {
        "timeline": timeline,
        "environment": timeline.environment,
        "state": state_of(timeline),
        "may_end": may_act and timeline.current_state not in ENDED_STATES,
        "left": left_to_do(timeline),
        "crumbs": [("Endings", reverse(ENDINGS)), (format_html("{}", visible(timeline.flag.name)), "")],
        "refused": typed or {},
    }


def _served(timeline: DeprecationTimeline, now: datetime) -> tuple[str, str]:
    """From how many people the flag is withdrawn now, whoever did it, and what that means: one query."""
    rows = FlagConfig.objects.filter(environment=timeline.environment_id, flag=timeline.flag_id)
    document = rows.values_list("document", flat=True).first()
    withdrawal = withdrawal_at(document, now) if document else None
    if withdrawal is None:
        return "0 %", "withdrawn: everybody gets what the flag serves"
    answer = "their code default" if withdrawal.serves is None else quoted(withdrawal.serves)
    return f"{withdrawal.weight / 1000:g} %", f"withdrawn: they get {answer}"


def _successor(timeline: DeprecationTimeline, definition: TimelineDefinition) -> Mapping[str, Any] | None:
    if not definition.successor:
        return None
    flag = Flag.objects.filter(project=timeline.project_id, key=definition.successor).first()
    address = reverse("admin:flags_flag_change", args=[flag.pk]) if flag else ""
    name = flag.name if flag else definition.successor
    return {"key": definition.successor, "name": name, "address": address, "mapping": dict(definition.mapping)}


def _alerts(timeline: DeprecationTimeline) -> list[tuple[str, str, str]]:
    """What stands above everything else: tone, symbol, sentence. Five queries."""
    found = []
    if left := left_to_do(timeline):
        found.append(("wait", "sync_problem", left))
    elif timeline.current_state not in ENDED_STATES and ground_of(timeline).is_moved:
        words = (
            f"Somebody else changed {timeline.flag.name} in {timeline.environment.name} since this timeline was "
            "prepared or last wrote there. Nothing is overwritten: put it back as it was, or end this timeline and "
            "make a new one."
        )
        found.append(("wait", "sync_problem", words))
    if timeline.current_state not in ENDED_STATES and (beside := plan_beside(timeline)):
        found.append(("wait", "trending_up", beside))
    if ending := timeline_beside(timeline):
        found.append(("wait", "content_copy", ending))
    for kill in open_kills({timeline.environment_id}):
        if kill.flag_key == timeline.flag.key:
            words = f"A kill list forces “{kill.variant}” on {kill.host}. There the timeline has no effect."
            found.append(("bad", "emergency_home", words))
    return found


def _edit_address(timeline: DeprecationTimeline, acts: list[PossibleAct]) -> str:
    may = any(act.is_allowed for act in acts if act.act is TimelineAct.EDIT)
    return reverse("admin:rollouts_deprecationtimeline_edit", args=[timeline.pk]) if may else ""


def _field(now: datetime, definition: TimelineDefinition) -> str:
    """The present as a field for wall time of the timeline's zone shows it."""
    return now.astimezone(zone_of(definition.zone)).strftime("%Y-%m-%dT%H:%M")
