"""Sweepers: each asks the database what is due now, does it once, and may run twice without harm.

A tick is a doorbell and carries nothing. Every request is handled in transactions of its own, and one that fails does
not stop the others.
"""

import logging
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from celery import shared_task
from django.db.models import QuerySet
from django.utils import timezone
from kombu.exceptions import OperationalError

from audits.context import correlation
from flags.models import Project
from flags.selectors.grants import ended_grants
from flags.services.roles import end_role_if_due
from flags.services.samples import forget_old_samples
from rollouts.guarding.scenarios import chosen
from rollouts.selectors.drills import drills_to_alarm, due_drills
from rollouts.selectors.due import due_changes, old_requests, partly_approved
from rollouts.selectors.emergencies import overdue_uses
from rollouts.selectors.impact import old_uploads, silent_runs, waiting_runs
from rollouts.selectors.plans.rollbacks import unverified_rollbacks
from rollouts.selectors.settings import lapsed_proposals
from rollouts.selectors.trains import moving_trains
from rollouts.services.change_requests import apply_if_due, expire_if_due, pass_review_if_due
from rollouts.services.drift import refresh_drift as refresh_project_drift
from rollouts.services.drills import alarm_if_overdue, run_if_due
from rollouts.services.emergencies import escalate_if_overdue
from rollouts.services.impact import carry_out_impact, drop_upload, revive_impact
from rollouts.services.plans.engine import advance_due
from rollouts.services.plans.rollback import verify_if_left
from rollouts.services.settings import expire_if_due as expire_proposal_if_due
from rollouts.services.stale_nudges import nudge_owners
from rollouts.services.staleness import scan_stale, unscanned_projects
from rollouts.services.test_traffic import EVERY_SECONDS, Run, send_some
from rollouts.services.timelines.engine import advance_due as advance_timelines
from rollouts.services.train_moves import carry_on

logger = logging.getLogger(__name__)

BATCH = 50


@shared_task(acks_late=True)  # type: ignore[untyped-decorator]
def apply_due_changes() -> int:
    """Apply every approved change whose time has come; how many were applied."""
    now = timezone.now()
    with correlation():
        _sweep(partly_approved(now), pass_review_if_due, now=now)
        return _sweep(due_changes(now), apply_if_due, now=now)


@shared_task(acks_late=True)  # type: ignore[untyped-decorator]
def advance_due_plans() -> int:
    """Look at every running rollout plan that is due and at every release train; how many plans moved by themselves."""
    now = timezone.now()
    with correlation():
        moved = advance_due(now)
        _sweep(moving_trains(now), carry_on, now=now)
        _sweep(unverified_rollbacks(now), verify_if_left, now=now)
        return moved


@shared_task(acks_late=True)  # type: ignore[untyped-decorator]
def advance_due_timelines() -> int:
    """Look at every deprecation timeline that is due; how many milestones were reached or passed by themselves."""
    now = timezone.now()
    with correlation():
        return advance_timelines(now)


@shared_task(acks_late=True)  # type: ignore[untyped-decorator]
def expire_old_requests() -> int:
    """End every request that was not applied before it expired; how many were ended."""
    now = timezone.now()
    with correlation():
        return _sweep(old_requests(now), expire_if_due, now=now)


@shared_task(acks_late=True)  # type: ignore[untyped-decorator]
def escalate_break_glass() -> int:
    """Tell administrators of every use of break-glass whose review is overdue; of how many they were told now."""
    now = timezone.now()
    with correlation():
        return _sweep(overdue_uses(now), escalate_if_overdue, now=now)


@shared_task(acks_late=True)  # type: ignore[untyped-decorator]
def end_roles() -> int:
    """Close the roles that have ended, which give no right any more already; how many were closed."""
    now = timezone.now()
    with correlation():
        return _sweep(ended_grants(now), end_role_if_due, now=now)


@shared_task(acks_late=True)  # type: ignore[untyped-decorator]
def expire_settings_proposals() -> int:
    """End every proposed setting that nobody decided on in time; how many were ended."""
    now = timezone.now()
    with correlation():
        return _sweep(lapsed_proposals(now), expire_proposal_if_due, now=now)


@shared_task(acks_late=True)  # type: ignore[untyped-decorator]
def run_due_drills() -> int:
    """Run every rollback drill that is due and raise the alarm for those overdue; how many were run."""
    now = timezone.now()
    with correlation():
        done = _sweep(due_drills(now), run_if_due, now=now)
        _sweep(drills_to_alarm(now), alarm_if_overdue, now=now)
        return done


@shared_task(acks_late=True)  # type: ignore[untyped-decorator]
def run_waiting_impacts() -> int:
    """Carry out every impact run that waits, after those whose worker is gone were put back; how many have ended."""
    now = timezone.now()
    with correlation():
        _sweep(old_uploads(now), drop_upload, now=now)
        _sweep(silent_runs(now), revive_impact, now=now)
        return sum(carry_out_impact(run_id, clock=timezone.now) for run_id in _ids(waiting_runs()))


def ring_for_impacts() -> None:
    """Let a worker look for impact runs at once. Where no broker answers, the next sweep finds them."""
    try:
        run_waiting_impacts.apply_async(retry=False)
    except OperationalError:
        logger.warning("No broker took the bell for impact runs; the next sweep finds them")


@shared_task  # type: ignore[untyped-decorator]
def send_test_traffic(plan_id: str = "", scenario: str = "", began_at: str = "") -> bool:
    """Send some test traffic of a plan and ring for more, until its ten minutes are over; whether there is more."""
    found = chosen(scenario)
    if found is None:
        return False
    run = Run(uuid.UUID(plan_id), found, datetime.fromisoformat(began_at))
    return send_some(run, now=timezone.now()) and ring_for_test_traffic(run, seconds=EVERY_SECONDS)


def ring_for_test_traffic(run: Run, *, seconds: int = 0) -> bool:
    """Let a worker send test traffic in so many seconds; whether a broker took the bell."""
    told = {"plan_id": str(run.plan_id), "scenario": run.scenario.key, "began_at": run.began_at.isoformat()}
    try:
        send_test_traffic.apply_async(kwargs=told, countdown=seconds, retry=False)
    except OperationalError:
        logger.warning("No broker took the bell for test traffic; it has ended")
        return False
    return True


@shared_task(acks_late=True)  # type: ignore[untyped-decorator]
def refresh_drift() -> int:
    """Compare the environments of every project with their neighbours; in how many projects anything moved."""
    now = timezone.now()
    with correlation():
        return _sweep(Project.objects.all(), refresh_project_drift, now=now)


@shared_task(acks_late=True)  # type: ignore[untyped-decorator]
def scan_stale_flags() -> int:
    """Judge the flags of every project once a day and tell owners once a month; how many projects were judged."""
    now = timezone.now()
    with correlation():
        judged = _sweep(unscanned_projects(now), scan_stale, now=now)
        nudge_owners(now=now)
        return judged


@shared_task(acks_late=True)  # type: ignore[untyped-decorator]
def forget_context_samples() -> int:
    """Delete sampled contexts of people not seen for a week; how many."""
    with correlation():
        return forget_old_samples(now=timezone.now())


def _sweep(rows: QuerySet[Any], do: Callable[..., bool], *, now: datetime) -> int:
    done = 0
    for row_id in _ids(rows):
        try:
            done += do(row_id, now=now)
        except Exception:
            logger.exception("%s failed for %s; the next sweep tries again", do.__name__, row_id)
    return done


def _ids(found: QuerySet[Any]) -> Iterator[uuid.UUID]:
    """The ids in small batches, each row once: a row that stays due cannot keep the others waiting."""
    rows = found.order_by("pk").values_list("pk", flat=True)
    batch = list(rows[:BATCH])
    while batch:
        yield from batch
        batch = list(rows.filter(pk__gt=batch[-1])[:BATCH])
