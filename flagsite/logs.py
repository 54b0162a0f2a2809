"""Logging: structlog for our lines and everybody else's, as text for people or JSON for machines."""

from typing import Any

import structlog

from audits.context import open_correlation_id


def add_correlation_id(logger: object, method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """Name the act under way, so that a line leads to the audit events and the answer (`X-Correlation-Id`) of it."""
    correlation_id = open_correlation_id()
    if correlation_id is not None:
        event.setdefault("correlation_id", str(correlation_id))
    return event


_SHARED: tuple[structlog.types.Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    add_correlation_id,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def configure_structlog() -> None:
    """Hand our lines to the logging module. Once per process: a logger keeps the processors of its first line."""
    structlog.configure(
        processors=[
            *_SHARED,
            structlog.processors.format_exc_info,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def logging_settings(*, level: str, json: bool) -> dict[str, Any]:
    """The LOGGING setting, with one formatter in which our lines and everybody else's meet."""
    # Plain tracebacks: the values of local variables hold passwords and tokens, and logs are read by many.
    console = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    renderer: list[structlog.types.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()] if json else [console]
    )
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        "foreign_pre_chain": list(_SHARED),
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": formatter},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            # The development server's lines hold the query, and with it what is secret in it.
            "django.server": {"level": "CRITICAL"},
            # A caller's mistake is an answer, not an event of ours; the access log has its status.
            "django.request": {"level": "ERROR"},
            "django_structlog": {"level": "WARNING"},
            "axes": {"level": "WARNING"},
        },
    }
