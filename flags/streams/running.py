"""The stream process: the application with the settings of this installation, and the server around it."""

import resource

import uvicorn
from django.conf import settings
from django.utils import timezone

from flags.snapshots import store
from flags.streams.app import StreamApplication
from flags.streams.connections import Connection, StreamServer
from flags.streams.hub import Limits

# Another process may poll right after our clients were told; a fifth of a second covers the reading itself.
READING_SECONDS = 0.2
STOP_SECONDS = 3
# Files that are no streams: the database, Redis, logs, health checks, connections that have not asked for anything yet.
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
        http=Connection,
        ws="none",
        lifespan="on",
        log_config=None,
        # It would write the query string, which holds tickets.
        access_log=False,
        server_header=False,
        proxy_headers=False,
        # The hub counts streams; who is none is cut off in time.
        limit_concurrency=None,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    return StreamServer(config, application, places=application.hub.limits.streams + SPARE_FILES // 2)


def raise_file_limit(streams: int) -> int:
    """Ask for as many open files as the streams need; answers how many streams the system lets us keep."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = streams + SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return streams if soft == resource.RLIM_INFINITY else max(1, min(streams, soft - SPARE_FILES))
