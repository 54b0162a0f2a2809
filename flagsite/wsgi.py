"""WSGI entry point: evaluation, audit API and admin."""

import os

from django.core.wsgi import get_wsgi_application

from flagsite.charsets import only_known_charsets

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flagsite.settings")
application = only_known_charsets(get_wsgi_application())
