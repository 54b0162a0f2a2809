"""WSGI entry point: evaluation, audit API and admin."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flagsite.settings")
application = get_wsgi_application()
