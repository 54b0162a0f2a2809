"""Health for load balancers and operators: is the process alive, can it answer, and from what?

Nothing here waits for a database: the thread that keeps the snapshots fresh knows whether it answers.
"""

import secrets
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any

from django.conf import settings
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from flags import snapshots
from flags.api.titles import TITLES
from flags.api.tokens import presented_secret
from flags.api.wire import PROBLEM_TYPE, problem_document
from flags.snapshots import SnapshotStore

# What a load balancer waits for the first state of a process that has just begun.
_LOADING_SECONDS = 0.7

View = Callable[[HttpRequest], HttpResponse]


def only_read(view: View) -> View:
    """Decorate a view so that programs get a problem for every other method, and no page about forms."""

    @csrf_exempt
    @never_cache
    @wraps(view)
    def answer(request: HttpRequest) -> HttpResponse:
        if request.method in ("GET", "HEAD"):
            return view(request)
        detail = f"Health is read with GET, not with {str(request.method)[:20]}."
        response = _problem(405, code="method_not_allowed", detail=detail)
        response.headers["Allow"] = "GET, HEAD"
        return response

    return answer


@csrf_exempt
@never_cache
def nothing(request: HttpRequest, *args: str) -> HttpResponse:
    """404 for every other address under /healthz."""
    detail = "There is nothing at this address. Ask /healthz/live, /healthz/ready or /healthz/snapshot."
    return _problem(404, code="not_found", detail=detail)


def _problem(status: int, *, code: str, detail: str) -> HttpResponse:
    document = problem_document(status, code=code, title=TITLES[code], detail=detail)
    return JsonResponse(document, status=status, content_type=PROBLEM_TYPE)


@only_read
def live(request: HttpRequest) -> HttpResponse:
    """200 while the process answers at all."""
    return JsonResponse({"status": "live"})


@only_read
def ready(request: HttpRequest) -> HttpResponse:
    """200 if flags are loaded or the database answers: without a database, evaluation goes on from memory or file."""
    store = snapshots.store
    database = _database_answers(store)
    facts = {"database": database, "snapshots": _condition(store, now=timezone.now())}
    if database or store.is_loaded:
        return JsonResponse({"status": "ready", **facts})
    return JsonResponse({"status": "not ready", **facts}, status=503)


@only_read
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
