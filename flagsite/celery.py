"""The Celery app. Tasks are doorbells: they carry no authority and no business time."""

import os

from celery import Celery
from kombu.transport import TRANSPORT_ALIASES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flagsite.settings")

TRANSPORT_ALIASES["filesystem"] = "flagsite.broker:Transport"
app = Celery("flagsite")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["rollouts", "flags", "audits"])
