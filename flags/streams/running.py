"""The stream process: the application with the settings of this installation, and the server around it."""

import resource

import uvicorn
from django.conf import settings
from django.utils import timezone

from flags.snapshots import store
from flags.streams.app import StreamApplication
from flags.streams.hub import Limits

# Another process may poll right after our clients were told; a fifth of a second covers the reading itself.
READING_SECONDS = 0.2
STOP_SECONDS = 3
# Files that are no streams: the database, Redis, logs, connections that are being refused.
SPARE_FILES = 500


def make_application(limits: Limits | None = None) -> StreamApplication:
    """The application over the snapshot store of this process."""
    return StreamApplication(
        store,
        clock=timezone.now,
        settle_seconds=settings.SNAPSHOT_POLL_SECONDS + READING_SECONDS,
        origins=settings.CORS_ALLOWED_ORIGINS,
        metrics_token=settings.METRICS_TOKEN,
        limits=limits,
    )


def make_server(application: StreamApplication, *, host: str, port: int) -> uvicorn.Server:
    """The server around it: `run` serves until a signal. It logs nothing of a request; what we log has no query."""
    config = uvicorn.Config(
        application,
        host=host,
        port=port,
        http="h11",
        ws="none",
        lifespan="on",
        log_config=None,
        # It would write the query string, which holds tickets.
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=application.hub.limits.streams + SPARE_FILES,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    return _Server(config, application)


def raise_file_limit(streams: int) -> int:
    """Ask for as many open files as the streams need; answers how many streams the system lets us keep."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = streams + SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return streams if soft == resource.RLIM_INFINITY else max(1, min(streams, soft - SPARE_FILES))


class _Server(uvicorn.Server):
    """Ends streams before it waits for requests to end, which streams never do by themselves."""

    def __init__(self, config: uvicorn.Config, application: StreamApplication) -> None:
        super().__init__(config)
        self._application = application

    async def shutdown(self, sockets: object = None) -> None:
        self._application.close()
        await super().shutdown(sockets)  # type: ignore[arg-type]
