"""The product's settings with what tests need otherwise: quick hashing, no background threads, throw-away databases."""

import os

from flagsite.settings import *  # noqa: F403
from flagsite.settings import DATABASES, ENV

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
AXES_ENABLED = False
SNAPSHOT_POLL_ENABLED = False
WHITENOISE_USE_FINDERS = True
# A static file is looked for when it is asked for: no client lists all of them before its first page.
WHITENOISE_AUTOREFRESH = True
CELERY_TASK_ALWAYS_EAGER = False

if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # A file: threads and the live server see the same database, as processes do in the embedded arrangement.
    DATABASES["default"]["TEST"] = {"NAME": str(ENV.VAR_DIR / "test.sqlite3")}
else:
    DATABASES["default"]["TEST"] = {"NAME": f"flagsite_test_{os.getpid()}"}
