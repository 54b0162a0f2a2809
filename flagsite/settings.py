"""The one settings file. What differs between installations comes from `flagsite.env`."""

from pathlib import Path

from csp.constants import NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE

from flagsite import env as environment
from flagsite.admin_theme import UNFOLD as UNFOLD
from flagsite.logs import configure_structlog, logging_settings

ENV = environment.read()
BASE_DIR = environment.BASE_DIR
DEBUG = ENV.DEBUG
DEMO = ENV.DEMO
DEMO_SECRET_KEY = "demo-mode-secret-key-that-protects-nothing-and-must-never-leave-a-laptop"  # noqa: S105
SECRET_KEY = ENV.SECRET_KEY or (DEMO_SECRET_KEY if DEMO else "")
ALLOWED_HOSTS = list(ENV.ALLOWED_HOSTS)
CSRF_TRUSTED_ORIGINS = list(ENV.CSRF_TRUSTED_ORIGINS)

if not SECRET_KEY:
    raise environment.ConfigurationError(
        "Flagsite cannot start: SECRET_KEY is not set. Set it to 50 or more random characters. To talk to the demo "
        "that `make demo` runs, put `DEMO=1` in front of the command."
    )

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",  # the full one would replace our admin site with its own
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "unfold.contrib.guardian",
    "unfold.contrib.simple_history",
    "flagsite.apps.FlagsiteAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "guardian",
    "simple_history",
    "axes",
    "csp",
    "django_filters",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "audits",
    "flags",
    "rollouts",
    "flagsite.apps.FlagsiteConfig",
]

MIDDLEWARE = [
    "flagsite.front.EvaluationMiddleware",
    "flagsite.middleware.ReadableRequestMiddleware",
    "flagsite.middleware.ServedHostMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "audits.middleware.CorrelationMiddleware",
    "flagsite.middleware.RequestLogMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "flagsite.urls"
WSGI_APPLICATION = "flagsite.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = ENV.databases
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "flagsite.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
    "flags.backends.LivingGrantsBackend",
]
# guardian looks for its own backend by name; ours is a subclass that knows that grants end.
SILENCED_SYSTEM_CHECKS = ["guardian.W001"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
ANONYMOUS_USER_NAME = None
GUARDIAN_RAISE_403 = True
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = 8
AXES_COOLOFF_TIME = 1
AXES_ENABLE_ADMIN = False
SIMPLE_HISTORY_REVERT_DISABLED = True
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"

LANGUAGE_CODE = "en-gb"
USE_TZ = True
TIME_ZONE = ENV.TIME_ZONE

STATIC_URL = "/static/"
STATIC_ROOT = ENV.STATIC_ROOT
WHITENOISE_USE_FINDERS = DEBUG or DEMO

SESSION_COOKIE_AGE = ENV.SESSION_HOURS * 3600
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = ENV.HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if ENV.HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = ENV.HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if ENV.HTTPS else None
X_FRAME_OPTIONS = "DENY"
# Alpine, which the admin theme uses, evaluates expressions; no page has an inline script.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF, UNSAFE_EVAL],
        "style-src": [SELF, UNSAFE_INLINE],
        "img-src": [SELF, "data:"],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
        "base-uri": [SELF],
        "object-src": [NONE],
    },
}
# The largest legal document (768 KiB) with three bytes for each of its own, as some senders write it, and its reason.
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_500_000

if ENV.REDIS_URL:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": ENV.REDIS_URL}}
else:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

_QUEUE = str(ENV.VAR_DIR / "broker" / "queue")
if not ENV.REDIS_URL:
    # The broker expects its folders; whichever process comes first makes them.
    environment.make_folders(*(ENV.VAR_DIR / "broker" / name for name in ("queue", "control", "processed")))
CELERY_BROKER_URL = ENV.REDIS_URL or "filesystem://"
CELERY_BROKER_TRANSPORT_OPTIONS = (
    {}
    if ENV.REDIS_URL
    else {
        "data_folder_in": _QUEUE,
        "data_folder_out": _QUEUE,
        "control_folder": str(ENV.VAR_DIR / "broker" / "control"),
        "processed_folder": str(ENV.VAR_DIR / "broker" / "processed"),
        "store_processed": False,
    }
)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BEAT_ENABLE_REMOTE_CONTROL = True
CELERY_BEAT_SCHEDULE_FILENAME = str(ENV.VAR_DIR / "beat-schedule")
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
_MAIL = ENV.mail
EMAIL_BACKEND = _MAIL.backend
EMAIL_HOST, EMAIL_PORT = _MAIL.host, _MAIL.port
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _MAIL.user, _MAIL.password
EMAIL_USE_SSL, EMAIL_USE_TLS = _MAIL.is_tls, _MAIL.begins_tls
# A mail is sent beside a request: a server that does not answer may hold it up, but not for long.
EMAIL_TIMEOUT = 5
DEFAULT_FROM_EMAIL = ENV.EMAIL_FROM
SITE_URL = ENV.SITE_URL
BREAK_GLASS_REVIEW_HOURS = ENV.BREAK_GLASS_REVIEW_HOURS
DRIFT_AFTER_HOURS = ENV.DRIFT_AFTER_HOURS
TELEMETRY_LATENESS_SECONDS = ENV.TELEMETRY_LATENESS_SECONDS
PROMETHEUS_URL = ENV.PROMETHEUS_URL.rstrip("/")
PROBE_ALLOWED_HOSTS = frozenset(host.lower() for host in ENV.PROBE_ALLOWED_HOSTS)
# Doorbells: a tick says "look now"; due times live in rows. A tick nobody heard is worthless after a while.
CELERY_BEAT_SCHEDULE = {
    name: {"task": task, "schedule": ENV.SWEEP_SECONDS, "options": {"expires": max(15.0, 3 * ENV.SWEEP_SECONDS)}}
    for name, task in {
        "run-due-drills": "rollouts.tasks.run_due_drills",
        "apply-due-changes": "rollouts.tasks.apply_due_changes",
        "advance-due-plans": "rollouts.tasks.advance_due_plans",
        "advance-due-timelines": "rollouts.tasks.advance_due_timelines",
        "expire-old-requests": "rollouts.tasks.expire_old_requests",
        "escalate-break-glass": "rollouts.tasks.escalate_break_glass",
        "end-roles": "rollouts.tasks.end_roles",
        "run-waiting-impacts": "rollouts.tasks.run_waiting_impacts",
        "expire-settings-proposals": "rollouts.tasks.expire_settings_proposals",
    }.items()
}
# Compares whole environments, and nobody waits for it.
CELERY_BEAT_SCHEDULE["refresh-drift"] = {
    "task": "rollouts.tasks.refresh_drift",
    "schedule": 600.0,
    "options": {"expires": 600.0},
}
# Judges the flags of a project once a day; the other times it finds that nothing is left to do.
CELERY_BEAT_SCHEDULE["scan-stale-flags"] = {
    "task": "rollouts.tasks.scan_stale_flags",
    "schedule": 3600.0,
    "options": {"expires": 3600.0},
}
CELERY_BEAT_SCHEDULE["forget-context-samples"] = {
    "task": "rollouts.tasks.forget_context_samples",
    "schedule": 600.0,
    "options": {"expires": 600.0},
}
CELERY_BEAT_SCHEDULE["age-telemetry"] = {
    "task": "flags.tasks.age_telemetry",
    "schedule": 600.0,
    "options": {"expires": 600.0},
}
if ENV.REDIS_URL:
    # What is drained after its minute has closed decides nothing any more, so this is more often than other sweeps.
    CELERY_BEAT_SCHEDULE["drain-telemetry"] = {
        "task": "flags.tasks.drain_telemetry",
        "schedule": 2.0,
        "options": {"expires": 15.0},
    }

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["flagsite.parsers.DeepJSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "flags.api.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "flagsite.problems.problem_handler",
    "UNAUTHENTICATED_USER": None,
}
AUDIT_SCOPE = "flagsite.audit_scope.audit_scope"
SPECTACULAR_SETTINGS = {
    # Fields of different things are called “state”.
    "ENUM_NAME_OVERRIDES": {
        "RequestStateEnum": [
            "draft",
            "in_review",
            "approved",
            "applied",
            "rejected",
            "withdrawn",
            "expired",
            "rolled_back",
        ],
        "FlagKindEnum": ["release", "experiment", "operational", "kill_switch", "permission"],
        "TimelineStateEnum": ["draft", "proposed", "running", "paused", "undone", "done", "ended"],
        "ManifestStateEnum": ["done", "pending", "refused"],
        "DriftStateEnum": ["same", "differs", "intended", "unexplained", "missing"],
        "PlanStateEnum": ["draft", "proposed", "running", "paused", "rolled_back", "completed", "aborted"],
        "TrainStateEnum": ["draft", "running", "paused", "rolled_back", "completed", "aborted"],
    },
    "TITLE": "Flagsite API",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

SNAPSHOT_POLL_SECONDS = ENV.SNAPSHOT_POLL_SECONDS
# Tests move snapshots by hand; everywhere else a background thread of each process keeps them fresh.
SNAPSHOT_POLL_ENABLED = True
SNAPSHOT_FILE = Path(ENV.SNAPSHOT_FILE or ENV.VAR_DIR / "snapshots.json")
ARCHIVE_DIR = Path(ENV.ARCHIVE_DIR or ENV.VAR_DIR / "archive")
RETENTION = ENV.RETENTION
STALE_AFTER_SECONDS = ENV.STALE_AFTER_SECONDS
KILL_LIST = ENV.KILL_LIST
KILL_LIST_FILE = Path(ENV.KILL_LIST_FILE or ENV.VAR_DIR / "kill-list")
STREAM_URL = ENV.STREAM_URL.rstrip("/")
EVALUATION_RATE_LIMIT = ENV.EVALUATION_RATE_LIMIT
CORS_ALLOWED_ORIGINS = frozenset(ENV.CORS_ALLOWED_ORIGINS)
METRICS_TOKEN = ENV.METRICS_TOKEN
REDIS_URL = ENV.REDIS_URL
# Nobody is looked up for a log line: an evaluation runs no query, whatever cookie comes along.
DJANGO_STRUCTLOG_USER_ID_FIELD = ""
configure_structlog()
LOGGING = logging_settings(level=ENV.LOG_LEVEL, json=ENV.LOG_JSON)
