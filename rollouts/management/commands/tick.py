"""Do once what beat makes workers do all the time: for cron, and for installations without Celery."""

from typing import Any

from django.core.management.base import BaseCommand

from flags.tasks import age_telemetry, drain_telemetry
from rollouts.tasks import (
    advance_due_plans,
    advance_due_timelines,
    apply_due_changes,
    end_roles,
    escalate_break_glass,
    expire_old_requests,
    expire_settings_proposals,
    forget_context_samples,
    refresh_drift,
    run_due_drills,
    run_waiting_impacts,
    scan_stale_flags,
)


class Command(BaseCommand):
    """Runs every sweeper in this process."""

    help = "Apply what is due, move plans and timelines on and end what has expired, once. Safe to run twice."

    def handle(self, *args: Any, **options: Any) -> None:
        """Sweep and say what was done."""
        # First: what is judged below rests on it.
        drain_telemetry()
        expired = expire_old_requests()
        applied = apply_due_changes()
        moved = advance_due_plans()
        reached = advance_due_timelines()
        escalate_break_glass()
        end_roles()
        expire_settings_proposals()
        run_due_drills()
        refresh_drift()
        run_waiting_impacts()
        forget_context_samples()
        age_telemetry()
        scan_stale_flags()
        changes, plans = "change" if applied == 1 else "changes", "plan" if moved == 1 else "plans"
        milestones = "milestone" if reached == 1 else "milestones"
        self.stdout.write(
            f"Applied {applied} due {changes}, ended {expired} expired, moved {moved} {plans}, "
            f"reached {reached} {milestones} of timelines."
        )
