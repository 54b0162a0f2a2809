"""Telemetry's doorbells: each looks what there is to do and may run twice without harm."""

import logging

from celery import shared_task
from django.utils import timezone

from flags.services.telemetry_ages import forget_old, roll_up
from flags.services.telemetry_buffer import drain

logger = logging.getLogger(__name__)


@shared_task(acks_late=True)  # type: ignore[untyped-decorator]
def drain_telemetry() -> int:
    """Store the batches that wait in the buffer; how many were counted. What cannot be stored now waits on."""
    try:
        return drain(now=timezone.now())
    except Exception:
        logger.exception("Telemetry could not be drained; the next look tries again")
        return 0


@shared_task(acks_late=True)  # type: ignore[untyped-decorator]
def age_telemetry() -> int:
    """Add minutes up to hours and delete what is old; how many rows went."""
    now = timezone.now()
    roll_up(now=now)
    return forget_old(now=now)
