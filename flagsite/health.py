"""Health for load balancers and operators: is the process alive, can it answer, and from what?

Nothing here waits for a database: the thread that keeps the snapshots fresh knows whether it answers.
"""

import secrets
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from flags import snapshots
from flags.api.tokens import presented_secret
from flags.snapshots import SnapshotStore

# What a load balancer waits for the first state of a process that has just begun.
_LOADING_SECONDS = 0.7


@require_safe
@never_cache
def live(request: HttpRequest) -> HttpResponse:
    """200 while the process answers at all."""
    return JsonResponse({"status": "live"})


@require_safe
@never_cache
def ready(request: HttpRequest) -> HttpResponse:
    """200 if flags are loaded or the database answers: without a database, evaluation goes on from memory or file."""
    store = snapshots.store
    database = _database_answers(store)
    facts = {"database": database, "snapshots": _condition(store, now=timezone.now())}
    if database or store.is_loaded:
        return JsonResponse({"status": "ready", **facts})
    return JsonResponse({"status": "not ready", **facts}, status=503)


@require_safe
@never_cache
def snapshot(request: HttpRequest) -> HttpResponse:
    """What this process answers from, and since when. 200 also when that is stale: it answers all the same.

    Which projects and environments there are is for whoever presents METRICS_TOKEN.
    """
    store, now = snapshots.store, timezone.now()
    if store.start():
        store.wait_until_tried(seconds=_LOADING_SECONDS)
    elif not store.is_loaded:
        # Snapshots are moved by hand here, so nobody else loads them.
        store.try_refresh()
    facts = _facts(store, now=now)
    if _is_operator(request):
        facts["revisions"] = {
            f"{compiled.snapshot.project_key}/{compiled.environment_key}": compiled.revision
            for compiled in store.served.values()
        }
    return JsonResponse(facts, status=200 if store.is_loaded else 503)


def _is_operator(request: HttpRequest) -> bool:
    expected = settings.METRICS_TOKEN
    presented = presented_secret("", request.META.get("HTTP_AUTHORIZATION", ""))
    return bool(expected) and secrets.compare_digest(presented.encode("utf-8", "surrogatepass"), expected.encode())


def _facts(store: SnapshotStore, *, now: datetime) -> dict[str, Any]:
    looked_at, staleness = store.looked_at, store.staleness(now=now)
    effective = store.effective_kills()
    return {
        "status": _condition(store, now=now),
        "origin": store.origin if store.is_loaded else None,
        "looked_at": looked_at.isoformat() if looked_at else None,
        "age_seconds": max(0.0, round((now - looked_at).total_seconds(), 3)) if looked_at else None,
        "stale_seconds": None if staleness is None else round(staleness, 3),
        "last_error": store.failure or None,
        "environments": len(store.served),
        "kill_list": {
            "entries": len(store.kills.entries),
            "in_force": len(effective),
            "lines_ignored": len(store.kills.problems),
        },
    }


def _condition(store: SnapshotStore, *, now: datetime) -> str:
    """`none`, `fresh`, `failing` (looks fail, but not for long) or `stale`."""
    if not store.is_loaded:
        return "none"
    if store.staleness(now=now) is not None:
        return "stale"
    return "failing" if store.is_stale else "fresh"


def _database_answers(store: SnapshotStore) -> bool:
    if store.start():
        store.wait_until_tried(seconds=_LOADING_SECONDS)
        return store.looked_at is not None and not store.is_stale
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return False
    return True
