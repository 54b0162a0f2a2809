"""ASGI entry point: the stream and nothing else. Evaluation and admin are `flagsite.wsgi`.

`manage.py stream` is the usual way to serve it; any other ASGI server works too, if it logs no query strings.
"""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flagsite.settings")
django.setup()

from flags.streams.running import make_application  # noqa: E402 - needs the settings

application = make_application()
