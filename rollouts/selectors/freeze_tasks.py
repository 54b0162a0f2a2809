"""The desk's tasks from the calendar: exceptions that somebody asked for and this person can decide on."""

from datetime import datetime

from django.contrib.auth.models import AbstractUser
from django.db.models import F

from flags import permissions
from rollouts.models import FreezeException
from rollouts.selectors.desk_kinds import DeskTask
from rollouts.transitions import AWAITING_STATES


def exceptions_to_decide(user: AbstractUser, now: datetime) -> list[DeskTask]:
    """Exceptions of requests that this person neither asked for nor shaped: a constant number of queries."""
    mine = permissions.environments_with(user, permissions.APPLY)
    mine |= permissions.environments_with(user, permissions.ADMINISTER)
    rows = FreezeException.objects.filter(
        is_granted=None,
        covers_until__gt=now,
        digest=F("request__digest"),
        request__state__in=[state.value for state in AWAITING_STATES],
        request__expires_at__gt=now,
    )
    if not user.is_superuser:
        rows = rows.filter(environment__in=mine)
    waiting = rows.exclude(asked_by=user.pk).select_related("request", "window", "asked_by")
    return [_task(one) for one in waiting if str(user.pk) not in one.request.contributor_ids]


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
