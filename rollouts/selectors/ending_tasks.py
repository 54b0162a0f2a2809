"""Endings on the desk: milestones that wait for my yes, brownouts, timelines that stopped, stale flags of mine."""

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from django.contrib.auth.models import AbstractUser
from django.db.models import Q

from flags import permissions
from flags.selectors.teams import teams_of
from rollouts.deprecations.definition import MilestoneKind, TimelineDefinition
from rollouts.deprecations.documents import brownout_ends_at
from rollouts.deprecations.transitions import TimelineState
from rollouts.deprecations.words import local, milestone_name
from rollouts.models import DeprecationTimeline, StaleVerdict
from rollouts.selectors.desk_kinds import DeskTask, Tone
from rollouts.selectors.timelines.consents import milestone_refusal
from rollouts.selectors.timelines.endings import readable
from rollouts.selectors.timelines.ground import definition_of

TIMELINE = "admin:rollouts_deprecationtimeline_change"
STALE = "admin:rollouts_staleverdict_changelist"
MOST_TOLD = 20
_SOON = timedelta(days=1)
# What only a person's yes can lift.
_WAITS_FOR_PEOPLE = ("approval", "residual")


def ending_tasks(user: AbstractUser, now: datetime) -> Sequence[DeskTask]:
    """What timelines want of the person, and stale flags that the person or a team of theirs owns.

    Seven queries, and a few for each milestone that asks for an approval the person might give.
    """
    approving = permissions.environments_with(user, permissions.APPROVE)
    releasing = permissions.environments_with(user, permissions.APPLY)
    return [*_to_approve(user, approving), *_mine(user, releasing, now), *_stale(user)]


def _to_approve(user: AbstractUser, approving: Collection[uuid.UUID]) -> list[DeskTask]:
    rows = DeprecationTimeline.objects.filter(
        environment__in=approving, state=TimelineState.RUNNING.value, blocked_code__in=_WAITS_FOR_PEOPLE
    )
    tasks = []
    for timeline in readable(rows.select_related("environment__project", "project", "flag", "request")[:MOST_TOLD]):
        if milestone_refusal(timeline, str(user.pk)):
            continue
        ahead = definition_of(timeline).milestones[timeline.milestone]
        tasks.append(
            DeskTask(
                title=f"The end of {timeline.flag.name} waits for your yes",
                text=f"“{milestone_name(ahead)}” in {timeline.environment.name}: "
                f"{timeline.blocked_detail.get('message', '')}",
                symbol="thumb_up",
                tone="wait",
                route=TIMELINE,
                arguments=(timeline.pk,),
            )
        )
    return tasks


def _mine(user: AbstractUser, releasing: Collection[uuid.UUID], now: datetime) -> list[DeskTask]:
    """Timelines that the person made, started or releases, where today asks for a look."""
    concerned = Q(environment__in=releasing) | Q(created_by=user) | Q(started_by_id=str(user.pk))
    live = (TimelineState.RUNNING.value, TimelineState.PAUSED.value, TimelineState.UNDONE.value)
    seen = DeprecationTimeline.objects.filter(environment__in=permissions.visible_environments(user))
    rows = seen.filter(concerned, state__in=live).select_related("environment", "flag").order_by("created_at")
    found = (_task(timeline, now) for timeline in readable(rows[: 5 * MOST_TOLD]))
    return [task for task in found if task is not None][:MOST_TOLD]


def _task(timeline: DeprecationTimeline, now: datetime) -> DeskTask | None:
    name, where, state = timeline.flag.name, timeline.environment.name, timeline.current_state
    definition = definition_of(timeline)
    if timeline.in_brownout:
        until = local(brownout_ends_at(definition.milestones[timeline.milestone - 1]), definition.zone)
        return _made(timeline, f"{name} is in a brownout in {where}", f"Until {until}. Look who notices.", "wait")
    if state is TimelineState.UNDONE:
        return _made(timeline, f"The end of {name} was undone", f"Resume it in {where}, or give it up.", "bad")
    if state is TimelineState.PAUSED:
        return _made(timeline, f"The end of {name} is paused", f"Nothing moves in {where} until it is resumed.", "wait")
    if timeline.blocked_code and timeline.blocked_code not in _WAITS_FOR_PEOPLE:
        message = str(timeline.blocked_detail.get("message", ""))
        return _made(timeline, f"The end of {name} is held in {where}", message, "wait")
    return _brownout_ahead(timeline, definition, now)


def _brownout_ahead(timeline: DeprecationTimeline, definition: TimelineDefinition, now: datetime) -> DeskTask | None:
    ahead = definition.milestones[timeline.milestone :][:1]
    if not ahead or ahead[0].kind is not MilestoneKind.BROWNOUT or not now <= ahead[0].at < now + _SOON:
        return None
    title = f"Brownout of {timeline.flag.name} in {timeline.environment.name}"
    text = f"{milestone_name(ahead[0])}, {local(ahead[0].at, definition.zone)} ({definition.zone})."
    return _made(timeline, title, text, "quiet", due_at=ahead[0].at)


def _made(
    timeline: DeprecationTimeline, title: str, text: str, tone: Tone, *, due_at: datetime | None = None
) -> DeskTask:
    symbols = {"bad": "restore", "wait": "flash_off" if timeline.in_brownout else "pan_tool", "quiet": "flash_off"}
    return DeskTask(
        title=title,
        text=text,
        symbol=symbols[tone],
        tone=tone,
        route=TIMELINE,
        arguments=(timeline.pk,),
        due_at=due_at,
    )


def _stale(user: AbstractUser) -> list[DeskTask]:
    """One line for each project in which flags of the person are stale: two queries."""
    mine = Q(flag__owner=user) | Q(flag__owner_team__in=teams_of(user.pk))
    visible = permissions.visible_projects(user)
    rows = StaleVerdict.objects.filter(mine, is_stale=True, project__in=visible).select_related("flag", "project")
    by_project: dict[tuple[str, str], list[str]] = {}
    for row in rows.order_by("stale_since"):
        by_project.setdefault((row.project.key, row.project.name), []).append(row.flag.name)
    return [
        DeskTask(
            title=f"{len(names)} stale flag{'' if len(names) == 1 else 's'} of yours in {project}",
            text=f"{', '.join(names[:3])}{' and others' if len(names) > 3 else ''}. Clean up, plan the end, or snooze.",
            symbol="hourglass_disabled",
            tone="quiet",
            route=STALE,
            query=f"?project={key}",
        )
        for (key, project), names in by_project.items()
    ]
