"""The desk's tasks from the calendar: exceptions that somebody asked for and this person can decide on."""

import uuid
from datetime import datetime

from django.contrib.auth.models import AbstractUser
from django.db.models import F, Q

from flags import permissions
from rollouts.deprecations.transitions import TimelineState
from rollouts.models import FreezeException
from rollouts.selectors.desk_kinds import DeskTask
from rollouts.transitions import AWAITING_STATES


def exceptions_to_decide(user: AbstractUser, now: datetime) -> list[DeskTask]:
    """Exceptions of requests that this person neither asked for nor shaped: a constant number of queries."""
    awaits = Q(request__state__in=[state.value for state in AWAITING_STATES], request__expires_at__gt=now)
    runs = Q(request__timeline__state__in=[TimelineState.RUNNING.value, TimelineState.PAUSED.value])
    rows = FreezeException.objects.filter(
        awaits | runs, is_granted=None, covers_until__gt=now, digest=F("request__digest")
    )
    waiting = list(rows.exclude(asked_by=user.pk).select_related("request", "window", "asked_by"))
    if not waiting:
        return []
    mine = permissions.environments_with(user, permissions.APPLY)
    mine |= permissions.environments_with(user, permissions.ADMINISTER)
    return [_task(one) for one in waiting if _is_for(user, one, mine)]


def _is_for(user: AbstractUser, asked: FreezeException, mine: set[uuid.UUID]) -> bool:
    may_decide = user.is_superuser or asked.environment_id in mine
    return may_decide and str(user.pk) not in asked.request.contributor_ids


def _task(asked: FreezeException) -> DeskTask:
    name = asked.asked_by.get_full_name() or asked.asked_by.get_username()
    return DeskTask(
        title=f"{asked.request.label}: an exception from “{asked.window.title}”",
        text=f"{name} asks for it. {asked.reason}",
        symbol="ac_unit",
        tone="wait",
        route="admin:rollouts_changerequest_change",
        arguments=(asked.request_id,),
        due_at=asked.covers_until,
    )
