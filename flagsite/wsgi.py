"""WSGI entry point: evaluation, audit API and admin."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flagsite.settings")
_django = get_wsgi_application()

# Imported with the apps ready: the evaluation API reads the settings.
from flags import snapshots  # noqa: E402
from flagsite.charsets import only_readable_content_types  # noqa: E402
from flagsite.front import EvaluationFront  # noqa: E402

application = EvaluationFront(only_readable_content_types(_django))
# The flags are there before the first request asks for them.
snapshots.store.start()
