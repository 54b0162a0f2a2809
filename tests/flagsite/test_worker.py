"""What a Celery worker does once it is loaded."""

import gc

import pytest
from celery.signals import worker_process_init, worker_ready


@pytest.mark.parametrize("signal", [worker_ready, worker_process_init], ids=["ready", "process"])
def test_worker__that_is_loaded__is_not_collected_over_and_over(signal: object) -> None:
    # What the whole run has frozen stays so, or every later test pays for it.
    before = gc.get_freeze_count()
    loaded = [[number] for number in range(20_000)]

    signal.send(sender=None)  # type: ignore[attr-defined]

    assert gc.get_freeze_count() >= before + len(loaded)
