"""Who still evaluates a flag, as services reported it, for the gates of timelines and for whom to tell."""

import uuid
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet, Sum

from flags.models import EvaluationCount
from flags.selectors.residual import has_figures

# Minutes are kept for 30 days; what is older is known by the hour.
_MINUTES_KEPT = timedelta(days=29)
# Services report every few minutes: after so long without any figures nobody knows what goes on.
_STOPPED_AFTER = timedelta(hours=24)


def residual_evaluations(environment_id: uuid.UUID, flag_key: str, *, days: int, now: datetime) -> int | None:
    """Evaluations of a flag by every service in the last days: two queries.

    None where the environment reported no evaluation of any flag in the last day: figures that are missing, or that
    stopped on the way, are not zero.
    """
    since = now - timedelta(days=days)
    if not has_figures(environment_id, now - _STOPPED_AFTER):
        return None
    rows = _reported(environment_id, since=since, now=now).filter(flag_key=flag_key)
    total: int | None = rows.aggregate(total=Sum("count"))["total"]
    return total or 0


def residual_services(environment_id: uuid.UUID, flag_key: str, *, days: int, now: datetime) -> list[str]:
    """The services that evaluated a flag in the last days, by name: one query."""
    rows = _reported(environment_id, since=now - timedelta(days=days), now=now).filter(flag_key=flag_key, count__gt=0)
    return list(rows.order_by("service").values_list("service", flat=True).distinct())


def _reported(environment_id: uuid.UUID, *, since: datetime, now: datetime) -> QuerySet[EvaluationCount]:
    """Each evaluation once: hours repeat what their minutes say, as long as there are minutes."""
    begins = since.replace(minute=0, second=0, microsecond=0)
    minutes_from = max(begins, (now - _MINUTES_KEPT).replace(minute=0, second=0, microsecond=0))
    in_minutes = Q(span="minute", at__gte=minutes_from)
    in_hours = Q(span="hour", at__gte=begins, at__lt=minutes_from)
    return EvaluationCount.objects.filter(in_minutes | in_hours, environment=environment_id)
