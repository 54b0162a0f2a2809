"""The Celery app. Tasks are doorbells: they carry no authority and no business time."""

import gc
import os

from celery import Celery
from celery.signals import worker_process_init, worker_ready
from kombu.transport import TRANSPORT_ALIASES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flagsite.settings")

TRANSPORT_ALIASES["filesystem"] = "flagsite.broker:Transport"
app = Celery("flagsite")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["rollouts", "flags", "audits"])


def keep_what_is_loaded(**kwargs: object) -> None:
    """Take what the worker has loaded out of garbage collections: it stays for good, and there is much of it."""
    gc.collect()
    gc.freeze()


worker_ready.connect(keep_what_is_loaded)
worker_process_init.connect(keep_what_is_loaded)
