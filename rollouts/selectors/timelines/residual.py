"""Who still evaluates a flag, as services reported it, for the gates of timelines and for whom to tell."""

import uuid
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet, Sum

from flags.models import EvaluationCount
from flags.selectors.residual import covered, has_figures
from flags.telemetry.labels import TEST_TRAFFIC

# Minutes are kept for 30 days; what is older is known by the hour.
_MINUTES_KEPT = timedelta(days=29)
# Services report every few minutes: after so long without any figures nobody knows what goes on.
_STOPPED_AFTER = timedelta(hours=24)


def residual_evaluations(
    environment_id: uuid.UUID, flag_key: str, *, days: int, now: datetime, at_most: int = 0
) -> int | None:
    """Evaluations of a flag by every service in the last days: three queries at most.

    None where the environment reported no evaluation of any flag in the last day, or not all along these days: figures
    that are missing, or that stopped on the way, are not zero. More than `at_most` is said all the same.
    """
    if not has_figures(environment_id, now - _STOPPED_AFTER):
        return None
    rows = _reported(environment_id, since=now - timedelta(days=days), now=now).filter(flag_key=flag_key)
    total: int = rows.aggregate(total=Sum("count"))["total"] or 0
    return total if total > at_most or covered([environment_id], days=days, now=now) else None


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
    rows = EvaluationCount.objects.filter(in_minutes | in_hours, environment=environment_id)
    # What people send to try guards is nobody's use.
    return rows.exclude(service=TEST_TRAFFIC)
