"""`/metrics`: who may read it, what it holds, and that nobody else can make it grow."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from flags.api.metrics import Meters, meters
from flags.snapshots import SnapshotStore
from flagsite.metrics import FlagsiteCollector
from tests.factories import NOW
from tests.flags.api.plane import DOCUMENTS, SECRET, FakeSource, fake_store, plane_of_its_own

TOKEN = "scrape-" + "m" * 40


@pytest.fixture(autouse=True)
def _fresh_meters() -> Iterator[None]:
    meters.reset()
    yield
    meters.reset()


def get(**headers: str) -> Any:
    return Client().get("/metrics", headers=headers)


@pytest.mark.parametrize("authorization", ["", f"Bearer {TOKEN}"])
def test_metrics__no_token_configured__does_not_exist(authorization: str, settings: Any):
    settings.METRICS_TOKEN = ""

    response = get(Authorization=authorization)

    assert response.status_code == 404
    assert b"flagsite_" not in response.content


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        TOKEN,
        f"Basic {TOKEN}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        "Bearer \udcff",
        "Bearer é",
    ],
    ids=["none", "scheme only", "empty", "bare", "basic", "longer", "shorter", "surrogate", "latin"],
)
def test_metrics__wrong_token__is_refused(authorization: str, settings: Any):
    settings.METRICS_TOKEN = TOKEN

    response = get(Authorization=authorization)

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert b"flagsite_" not in response.content


def test_metrics__method_that_writes__is_refused(settings: Any):
    settings.METRICS_TOKEN = TOKEN

    assert Client().post("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 405


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain"),
        ("*/*", "text/plain"),
        ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2", "application/openmetrics-text"),
        ("application/openmetrics-text;version=nonsense", "text/plain"),
        ("text/plain;version=;escaping=x", "text/plain"),
    ],
)
def test_metrics__token__answers_without_a_query(accept: str, content_type: str, settings: Any):
    # No database mark: a query would fail the test.
    settings.METRICS_TOKEN = TOKEN

    response = get(Authorization=f"Bearer {TOKEN}", Accept=accept)

    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith(content_type)
    assert "no-store" in response.headers["Cache-Control"]
    assert b"flagsite_snapshot_stale 0.0" in response.content
    assert b"python_info" in response.content


def scrape(counters: Meters, store: SnapshotStore, *, now: datetime = NOW) -> dict[tuple[str, ...], float]:
    """Every sample of our own by its name and its labels' values (sorted), read back with Prometheus's parser."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(FlagsiteCollector(counters=counters, store=store, clock=lambda: now))
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value for family in families for sample in family.samples
    }


def loaded_store() -> tuple[SnapshotStore, FakeSource]:
    store, source = fake_store()
    store.token(SECRET, now=NOW)
    return store, source


def test_collect__nothing_yet__says_only_that():
    samples = scrape(Meters(), fake_store()[0])

    assert samples[("flagsite_snapshot_stale",)] == 0
    assert not [name for name, *_ in samples if name.startswith(("flagsite_evaluation", "flagsite_snapshot_revision"))]


def test_collect__after_evaluations__counts_by_names():
    counters, (store, _) = Meters(), loaded_store()
    snapshot = next(iter(store.served.values()))
    for key in ("split", "a-boolean", "made-up"):
        counters.answered(snapshot, (snapshot.evaluate(key, {"targetingKey": "user-1"}, NOW),))
        counters.finished("single", 404 if key == "made-up" else 200, 0.0002)
    counters.rendered()

    samples = scrape(counters, store)

    assert samples["flagsite_evaluations_total", "STATIC", "a-boolean", "on", "production", "shop"] == 1
    assert samples["flagsite_evaluations_total", "", "", "ERROR", "production", "shop"] == 1
    assert samples["flagsite_evaluation_requests_total", "200", "single"] == 2
    assert samples["flagsite_evaluation_requests_total", "404", "single"] == 1
    assert samples["flagsite_evaluation_seconds_count", "single"] == 3
    assert samples["flagsite_evaluation_seconds_bucket", "0.0001", "single"] == 0
    assert samples["flagsite_evaluation_seconds_bucket", "0.00025", "single"] == 3
    assert samples["flagsite_evaluation_seconds_bucket", "+Inf", "single"] == 3
    assert samples["flagsite_evaluation_seconds_sum", "single"] == pytest.approx(0.0006)
    assert samples[("flagsite_answer_cache_hits_total",)] == 2
    assert samples[("flagsite_answer_cache_misses_total",)] == 1
    assert samples["flagsite_snapshot_revision", "production", "shop"] == 1
    assert samples["flagsite_snapshot_flags", "production", "shop"] == len(DOCUMENTS)


@pytest.mark.django_db
def test_metrics__after_requests__shows_them_without_another_query(settings: Any, django_assert_num_queries: Any):
    settings.METRICS_TOKEN = TOKEN
    plane = plane_of_its_own()
    for key, status in [("a-boolean", 200), ("a-boolean", 200), ("made-up", 404), (None, 200)]:
        assert plane.post(key, {"targetingKey": "user-1"}).status_code == status

    with django_assert_num_queries(0):
        text = get(Authorization=f"Bearer {TOKEN}").content.decode()

    place = f'environment="production",flag="a-boolean",project="{plane.world.project.key}"'
    assert f'flagsite_evaluations_total{{{place},reason="STATIC",variant="on"}} 3.0' in text
    assert 'flagsite_evaluation_requests_total{kind="single",status="404"} 1.0' in text
    assert 'flagsite_evaluation_requests_total{kind="bulk",status="200"} 1.0' in text
    assert "made-up" not in text
    # The second answer for the boolean, and the one within the answer for all, were ready-made.
    assert "flagsite_answer_cache_hits_total 2.0" in text


def test_collect__keys_nobody_serves__make_no_series():
    counters, (store, _) = Meters(), loaded_store()
    snapshot = next(iter(store.served.values()))
    before = len(scrape(counters, store))
    for number in range(1000):
        counters.answered(snapshot, (snapshot.evaluate(f'odd-{number}\n"', {}, NOW),))

    assert len(scrape(counters, store)) == before + 1


@pytest.mark.parametrize(("seconds", "stale"), [(1, 0), (60, 1)])
def test_collect__source_gone__says_so_and_goes_on(seconds: int, stale: int):
    store, source = loaded_store()
    source.fails = ConnectionError("gone")
    store.try_refresh()

    samples = scrape(Meters(), store, now=datetime.now(UTC) + timedelta(seconds=seconds))

    assert samples[("flagsite_snapshot_failing",)] == 1
    assert samples[("flagsite_snapshot_stale",)] == stale
    assert samples[("flagsite_snapshot_age_seconds",)] == pytest.approx(seconds, abs=0.9)
    assert samples["flagsite_snapshot_revision", "production", "shop"] == 1
