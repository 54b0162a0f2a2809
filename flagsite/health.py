"""Health for load balancers: is the process alive, can it answer?"""

from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from flags import snapshots


@require_safe
@never_cache
def live(request: HttpRequest) -> HttpResponse:
    """200 while the process answers at all."""
    return JsonResponse({"status": "live"})


@require_safe
@never_cache
def ready(request: HttpRequest) -> HttpResponse:
    """200 if the database answers or flags are loaded: without a database, evaluation goes on from memory."""
    database = _database_answers()
    loaded = snapshots.store.is_loaded
    facts = {
        "database": database,
        "snapshots": "none" if not loaded else "stale" if snapshots.store.is_stale else "fresh",
    }
    if database or loaded:
        return JsonResponse({"status": "ready", **facts})
    return JsonResponse({"status": "not ready", **facts}, status=503)


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return False
    return True
