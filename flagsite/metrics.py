"""`GET /metrics` for Prometheus: what this process counted and what it serves. Runs no query; works with every store
away.

Each process counts for itself. `docs/observability.md` says how to scrape several.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, choose_encoder
from prometheus_client.registry import Collector

from flags import snapshots
from flags.api.metrics import BOUNDS, Meters, Series, meters
from flags.api.tokens import presented_secret
from flags.snapshots import SnapshotStore

_PLACE = ("project", "environment")


class FlagsiteCollector(Collector):
    """Turns the counters of the process and the state of its snapshots into metrics, at the moment of a scrape."""

    def __init__(self, *, counters: Meters, store: SnapshotStore, clock: Callable[[], datetime]) -> None:
        self._counters = counters
        self._store = store
        self._clock = clock

    def describe(self) -> Iterable[Metric]:
        """Nothing ahead: the registry need not collect to learn the names."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All metrics of our own."""
        evaluations = self._counters.evaluations()
        yield _evaluations(evaluations)
        yield _requests(self._counters)
        yield _durations(self._counters)
        yield from _cache(self._counters, evaluations)
        yield from _snapshots(self._store, now=self._clock())


def _evaluations(evaluations: dict[Series, int]) -> Metric:
    family = CounterMetricFamily(
        "flagsite_evaluations",
        "Flags evaluated, by the variant answered and the reason. An empty flag: no flag of that key is served.",
        labels=Series._fields,
    )
    for series, count in evaluations.items():
        family.add_metric(series, count)
    return family


def _requests(counters: Meters) -> Metric:
    family = CounterMetricFamily(
        "flagsite_evaluation_requests",
        "Requests to the evaluation API: one flag (single), all flags (bulk) or neither (other), by status.",
        labels=("kind", "status"),
    )
    for (kind, status), count in counters.requests().items():
        family.add_metric((kind, str(status)), count)
    return family


def _durations(counters: Meters) -> Metric:
    family = HistogramMetricFamily(
        "flagsite_evaluation_seconds",
        "Time from the request at the handler to its answer, without the server's own.",
        labels=("kind",),
    )
    bounds = [*(format(bound, "f").rstrip("0") for bound in BOUNDS), "+Inf"]
    for kind, durations in counters.durations().items():
        family.add_metric((kind,), list(zip(bounds, durations.cumulative, strict=True)), durations.total_seconds)
    return family


def _cache(counters: Meters, evaluations: dict[Series, int]) -> Iterator[Metric]:
    rendered = counters.rendered_answers
    yield CounterMetricFamily(
        "flagsite_answer_cache_hits",
        "Flags answered with bytes that were ready-made.",
        value=max(0, sum(evaluations.values()) - rendered),
    )
    yield CounterMetricFamily(
        "flagsite_answer_cache_misses", "Flags whose answer had to be written as JSON first.", value=rendered
    )


def _snapshots(store: SnapshotStore, *, now: datetime) -> Iterator[Metric]:
    if store.looked_at is not None:
        yield GaugeMetricFamily(
            "flagsite_snapshot_age_seconds",
            "Seconds since the flags served were last known to be the current ones.",
            value=max(0.0, (now - store.looked_at).total_seconds()),
        )
    yield GaugeMetricFamily(
        "flagsite_snapshot_failing", "1 while the last look for changes failed.", value=float(store.is_stale)
    )
    yield GaugeMetricFamily(
        "flagsite_snapshot_stale",
        "1 while answers say STALE: looks have failed for STALE_AFTER_SECONDS, or flags come from the saved file.",
        value=float(store.staleness(now=now) is not None),
    )
    yield GaugeMetricFamily(
        "flagsite_kills_in_force",
        "Variants that the kill list of this process forces.",
        value=len(store.effective_kills()),
    )
    revision = GaugeMetricFamily(
        "flagsite_snapshot_revision", "The revision this process serves. Compare processes with it.", labels=_PLACE
    )
    flags = GaugeMetricFamily("flagsite_snapshot_flags", "Flags this process serves.", labels=_PLACE)
    for compiled in store.served.values():
        place = (compiled.snapshot.project_key, compiled.environment_key)
        revision.add_metric(place, compiled.revision)
        flags.add_metric(place, len(compiled.flag_keys))
    yield revision
    yield flags


registry = CollectorRegistry(auto_describe=False)
registry.register(FlagsiteCollector(counters=meters, store=snapshots.store, clock=timezone.now))
ProcessCollector(registry=registry)
PlatformCollector(registry=registry)
GCCollector(registry=registry)


@require_safe
@never_cache
def view(request: HttpRequest) -> HttpResponse:
    """The metrics for whoever presents METRICS_TOKEN; without such a setting there is nothing at this address."""
    expected = settings.METRICS_TOKEN
    if not expected:
        return HttpResponse("There is nothing at this address.\n", status=404, content_type="text/plain")
    presented = presented_secret("", request.META.get("HTTP_AUTHORIZATION", ""))
    if not secrets.compare_digest(presented.encode("utf-8", "surrogatepass"), expected.encode()):
        return HttpResponse(
            "Send the value of METRICS_TOKEN as `Authorization: Bearer`.\n",
            status=401,
            content_type="text/plain",
            headers={"WWW-Authenticate": 'Bearer realm="flagsite-metrics"'},
        )
    encode, content_type = _encoder(request.META.get("HTTP_ACCEPT", ""))
    return HttpResponse(encode(registry), content_type=content_type)


def _encoder(accept: str) -> tuple[Callable[[Collector], bytes], str]:
    """The format a scraper asks for; the oldest one where its wish cannot be read."""
    try:
        return choose_encoder(accept)
    except (ValueError, TypeError, IndexError):
        return generate_latest, CONTENT_TYPE_PLAIN_0_0_4
