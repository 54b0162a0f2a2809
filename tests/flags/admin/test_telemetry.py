"""The pages about telemetry: who sees what, and that what services sent is only text there."""

import itertools
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.urls import reverse

from flags.admin.telemetry import freshness
from flags.models import EvaluationCount, MetricCount
from flags.selectors.telemetry import latency_lines, refusal_lines
from flags.services.telemetry import accept
from flags.services.telemetry_places import forget_places
from flags.telemetry import latency
from flags.telemetry.rows import RejectedRow
from tests.factories import NOW, World
from tests.flags.telemetry.reports import MINUTE, batch, evaluated, measured, minutes
from tests.support.admin import HOSTILE, signed_in, text_of

LIST = "admin:flags_telemetrybatch_changelist"


@pytest.fixture(autouse=True)
def _at_that_time() -> Any:
    forget_places()
    with time_machine.travel(NOW + minutes(2), tick=False):
        yield


def page_of(environment: Any) -> str:
    return reverse("admin:flags_telemetry", args=[environment.pk])


def report(world: World) -> None:
    refused = RejectedRow("unknown_flag", "The flag “serach” is not set up here.", f'{{"flag":"{HOSTILE}"}}')
    first = batch(evaluated(1200), measured(3400, 12), service="basket", version="7.1", rejected=(refused,))
    accept(first, world.production.pk, None, now=NOW)
    accept(batch(measured(77, 0, at=MINUTE - minutes(5)), service="basket"), world.production.pk, None, now=NOW)


def test_page__what_arrived__is_told(world: World):
    report(world)

    text = text_of(signed_in(world.vera).get(page_of(world.production)))

    for words in ("basket", "7.1", "not set up here", "unknown_flag", "3,400", "1,200", "errors", "Fresh"):
        assert words in text, words
    assert "<script>alert(1)" not in text
    assert "2 batches with 3 rows" in text


def test_page__latencies__are_told_by_variant(world: World):
    fast, slow = ({latency.bucket_of(each): 50, latency.bucket_of(each * 4): 50} for each in (100, 3_000))
    for variant, sketch in (("on", slow), ("off", fast), ("off", fast), ("odd", {1: 0})):
        row = measured(200, 0, name="checkout.duration", variant=variant, sketch=sketch)
        accept(batch(row), world.production.pk, None, now=NOW)

    [off, on] = latency_lines(world.production, NOW)

    assert (off.variant, off.events, on.variant, on.events) == ("off", 200, "on", 100)
    assert (off.half, off.most, off.nearly_all) == pytest.approx((100, 400, 400), rel=0.01)
    assert (on.half, on.most) == pytest.approx((3_000, 12_000), rel=0.01)
    text = text_of(signed_in(world.vera).get(page_of(world.production)))
    assert "Latencies" in text
    assert f"{off.half:.1f} ms" in text


def test_page__many_refused_rows_of_one_kind__hide_no_other(world: World):
    moments = itertools.count()
    for code in ("unknown_variant", *["unknown_flag"] * 30):
        refused = RejectedRow(code, f"Refused as {code}.", "")
        at = NOW + timedelta(seconds=next(moments))
        accept(batch(rejected=(refused,) * 3), world.production.pk, None, now=at)

    lines = refusal_lines(world.production, NOW + minutes(2))

    assert [(line.code, line.count, line.newest.code) for line in lines] == [
        ("unknown_flag", 50, "unknown_flag"),
        ("unknown_variant", 3, "unknown_variant"),
    ]


def test_page__nothing_arrived__says_what_to_do(world: World):
    text = text_of(signed_in(world.ada).get(page_of(world.staging)))

    assert "No service reports here" in text
    assert reverse("admin:flags_environmenttoken_add") in text


def test_pages__without_a_role__show_nothing(world: World):
    report(world)
    client = signed_in(world.otto)

    assert client.get(page_of(world.production)).status_code == 404
    assert "Production" not in text_of(client.get(reverse(LIST)))


def test_list__every_environment_one_may_see__is_there(world: World, django_assert_max_num_queries: Any):
    report(world)
    client = signed_in(world.vera)
    client.get(reverse(LIST))

    with django_assert_max_num_queries(25):
        text = text_of(client.get(reverse(LIST)))

    assert page_of(world.production) in text
    assert "Nothing yet" in text


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_pages__anything_but_reading__is_refused(world: World, method: str):
    report(world)
    client = signed_in(world.ada)
    before = [list(model.objects.values()) for model in (EvaluationCount, MetricCount)]

    for address in (reverse(LIST), page_of(world.production)):
        assert getattr(client, method)(address).status_code == 405

    assert [list(model.objects.values()) for model in (EvaluationCount, MetricCount)] == before


@pytest.mark.parametrize(
    ("age", "word"),
    [(None, "Nothing yet"), (0, "Fresh"), (180, "Fresh"), (181, "Quiet"), (3600, "Quiet"), (3601, "Silent")],
)
def test_freshness__age__has_a_word(age: int | None, word: str):
    newest = None if age is None else NOW - timedelta(seconds=age)

    assert freshness(newest, NOW)[0] == word
