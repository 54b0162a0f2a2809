"""The doorbells of telemetry: what they ring for, and that one that fails stops nothing."""

from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.core.management import call_command

from flags import tasks
from flags.models import MetricCount, TelemetryBatch
from flags.services.telemetry import accept
from flags.services.telemetry_ages import BATCHES_KEPT, HOUR
from flagsite.celery import app
from tests.factories import NOW, World
from tests.flags.telemetry.reports import batch, measured


def test_beat__tasks_of_telemetry__exist():
    app.loader.import_default_modules()
    wanted = {
        str(entry["task"]) for entry in settings.CELERY_BEAT_SCHEDULE.values() if "telemetry" in str(entry["task"])
    }

    assert "flags.tasks.age_telemetry" in wanted
    assert ("flags.tasks.drain_telemetry" in wanted) is bool(settings.REDIS_URL)
    assert wanted <= set(app.tasks)


@pytest.mark.django_db
def test_age__old_batches__go_and_hours_stay(world: World):
    accept(batch(measured()), world.production.pk, None, now=NOW)

    with time_machine.travel(NOW + BATCHES_KEPT + 2 * HOUR, tick=False):
        call_command("tick")
        call_command("tick")

    assert not TelemetryBatch.objects.exists()
    assert MetricCount.objects.get(span="hour").count == 10


def test_drain__anything_fails__is_told_and_tried_again(monkeypatch: pytest.MonkeyPatch, caplog: Any):
    def fail(**kwargs: Any) -> int:
        raise OSError("away")

    monkeypatch.setattr(tasks, "drain", fail)

    assert tasks.drain_telemetry() == 0
    assert "Telemetry could not be drained" in caplog.text
