"""Uses of break-glass: which are open, which are overdue, and who may review them."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AbstractUser
from django.db.models import Q, QuerySet

from flags import permissions
from rollouts.models import BreakGlassUse
from rollouts.selectors.desk_kinds import DeskTask


@dataclass(frozen=True, slots=True)
class UseCard:
    """One use as a person sees it: whether he may review it, and why not where he might expect to."""

    use: BreakGlassUse
    may_review: bool
    is_overdue: bool


def visible_uses(user: AbstractUser) -> QuerySet[BreakGlassUse]:
    """The uses in every environment that a person may look at."""
    visible = BreakGlassUse.objects.filter(environment__in=permissions.visible_environments(user))
    return visible.select_related("environment__project", "user", "reviewer")


def overdue_uses(now: datetime) -> QuerySet[BreakGlassUse]:
    """The uses whose review is overdue and that nobody has been told about."""
    return BreakGlassUse.objects.filter(outcome="", escalated_at=None, review_due_at__lte=now)


def use_cards(uses: Collection[BreakGlassUse], user: AbstractUser, *, now: datetime) -> list[UseCard]:
    """Uses as a person sees them: two queries."""
    reviewed = _reviewable(user)
    return [
        UseCard(
            use,
            use.is_open and use.user_id != user.pk and (user.is_superuser or use.environment_id in reviewed),
            use.is_open and use.review_due_at <= now,
        )
        for use in uses
    ]


def open_uses_of(environment_id: uuid.UUID, keys: Collection[str]) -> list[BreakGlassUse]:
    """The open uses in an environment that changed one of these flags or segments: one query."""
    uses = BreakGlassUse.objects.filter(environment=environment_id, outcome="").select_related("user")
    return [use for use in uses if not set(keys).isdisjoint(use.keys)]


def open_count(user: AbstractUser) -> int:
    """How many uses nobody has reviewed, where the person may look."""
    return visible_uses(user).filter(outcome="").count()


def review_tasks(user: AbstractUser, now: datetime) -> list[DeskTask]:
    """What waits for a person's review: three queries."""
    reviewed = _reviewable(user)
    mine = Q() if user.is_superuser else Q(environment__in=reviewed)
    uses = visible_uses(user).filter(mine, outcome="").exclude(user_id=user.pk).order_by("review_due_at")
    return [_task(use, now) for use in uses[:20]]


def _reviewable(user: AbstractUser) -> set[uuid.UUID]:
    """The environments in which a person may review, superusers aside: two queries."""
    wanted = (permissions.APPROVE, permissions.ADMINISTER)
    return set().union(*(permissions.environments_with(user, permission) for permission in wanted))


def _task(use: BreakGlassUse, now: datetime) -> DeskTask:
    is_overdue = use.review_due_at <= now
    name = use.user.get_full_name() or use.user.get_username()
    return DeskTask(
        title=f"Review a break-glass in {use.environment.name}",
        text=f"{name} changed {', '.join(use.keys)} without approval. Was it justified?",
        symbol="emergency_home",
        tone="bad" if is_overdue else "wait",
        route="admin:rollouts_breakglassuse_change",
        arguments=(use.pk,),
        due_at=use.review_due_at,
    )
