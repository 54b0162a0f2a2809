"""The catalogue of guard metrics: its service, its pages, and what a plan takes from it."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from audits.models import AuditEvent
from flags.errors import AlreadyExists, InvalidInput, NotFound, PermissionMissing
from flags.models import MetricCount
from flags.services.tickets import governed_write
from flags.telemetry.latency import sketch_of
from rollouts.models import GuardMetric
from rollouts.plans.definition import GUARD_QUERIES, GuardAction, GuardSource, GuardSpec, MetricKind
from rollouts.selectors.guard_metrics import metrics_of, spec_of, traffic_of
from rollouts.services.guard_metrics import MetricFields, add_metric, change_metric, retire_metric
from tests.factories import NOW, World, actor_of
from tests.support.admin import HOSTILE, signed_in, text_of

pytestmark = pytest.mark.django_db

ERRORS = MetricFields(name="Errors at checkout", kind=MetricKind.ERROR_RATE)
LIST = "admin:rollouts_guardmetric_changelist"
ASKED = {name: f"sum({name})" for name in GUARD_QUERIES}


def added(world: World, key: str = "errors", fields: MetricFields = ERRORS, *, by: str = "rita") -> GuardMetric:
    return add_metric(world.project.pk, key, fields, actor=actor_of(getattr(world, by)), now=NOW)


def add_url(world: World) -> str:
    return reverse("admin:rollouts_guardmetric_add", args=[world.project.pk])


def metric_url(metric: GuardMetric, name: str = "change") -> str:
    return reverse(f"admin:rollouts_guardmetric_{name}", args=[metric.pk])


def posted(**fields: Any) -> dict[str, Any]:
    """What the form sends."""
    return {
        "key": "errors",
        "name": "Errors at checkout",
        "kind": "error_rate",
        "source": "telemetry",
        "margin": "20",
        "tolerable": "2",
        "minimum_sample": "100",
        "on_breach": "roll_back",
        "is_guardrail": "on",
        "on_missing": "pause",
        "missing_after_minutes": "60",
        "on_stale": "hold",
        "stale_after_minutes": "15",
        "on_probe_error": "hold",
        "design_effect": "1",
        "weight": "1",
        **fields,
    }


def test_add__editor__metric_and_event(world: World) -> None:
    metric = added(world)

    event = AuditEvent.objects.get(action="guard_metric.saved")
    data = json.loads(event.data)
    assert (event.target_id, data["key"], data["before"]) == (str(metric.pk), "errors", None)
    assert data["after"]["defaults"]["margin"] == 0.1


@pytest.mark.parametrize("who", ["abel", "rolf", "vera", "otto", "ada"])
def test_add_change_retire__no_editor__is_refused(who: str, world: World) -> None:
    metric, actor = added(world), actor_of(getattr(world, who))

    with pytest.raises(PermissionMissing):
        add_metric(world.project.pk, "more", ERRORS, actor=actor, now=NOW)
    with pytest.raises(PermissionMissing):
        change_metric(metric.pk, ERRORS, actor=actor, now=NOW)
    with pytest.raises(PermissionMissing):
        retire_metric(metric.pk, actor=actor, now=NOW)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"margin": -0.1}, "margin"),
        ({"margin": float("nan")}, "margin"),
        ({"margin": 1.5}, "tolerable"),
        ({"tolerable": 101.0}, "tolerable"),
        ({"minimum_sample": 0}, "minimum_sample"),
        ({"weight": 0.0}, "weight"),
        ({"design_effect": 0.5}, "design_effect"),
        ({"stale_after_minutes": 60}, "missing_after_minutes"),
        ({"kind": MetricKind.LATENCY}, "limit"),
        ({"kind": MetricKind.LATENCY, "limit": -1.0}, "limit"),
        ({"on_missing": GuardAction.ROLL_BACK}, "on_missing"),
        ({"on_stale": GuardAction.ROLL_BACK}, "on_stale"),
        ({"on_probe_error": GuardAction.ROLL_BACK}, "on_probe_error"),
        ({"source": GuardSource.PROMETHEUS}, "n_control"),
        ({"source": GuardSource.PROMETHEUS, "queries": {**ASKED, "x_treatment": " "}}, "x_treatment"),
        ({"source": GuardSource.PROMETHEUS, "queries": {**ASKED, "x_control": "a" * 2001}}, "x_control"),
    ],
)
def test_add__impossible_field__is_named(changed: dict[str, Any], field: str, world: World) -> None:
    with pytest.raises(InvalidInput) as caught:
        added(world, fields=replace(ERRORS, **changed))

    assert [item["path"] for item in caught.value.facts["problems"]] == [field]
    assert not GuardMetric.objects.exists()


def test_add__key_is_taken_or_bad__is_refused(world: World) -> None:
    added(world)

    with pytest.raises(AlreadyExists):
        added(world)
    with pytest.raises(InvalidInput):
        added(world, "two words")
    with pytest.raises(NotFound):
        add_metric(world.rita.pk and world.production.pk, "x", ERRORS, actor=actor_of(world.rita), now=NOW)


def test_change__same_again__leaves_no_event(world: World) -> None:
    metric = added(world)

    change_metric(metric.pk, ERRORS, actor=actor_of(world.rita), now=NOW)
    change_metric(metric.pk, replace(ERRORS, margin=0.5), actor=actor_of(world.rita), now=NOW)

    changes = [
        json.loads(event.data) for event in AuditEvent.objects.filter(action="guard_metric.saved").order_by("sequence")
    ]
    assert [item["after"]["defaults"]["margin"] for item in changes] == [0.1, 0.5]


def test_retire__and_use_again__is_offered_again(world: World) -> None:
    metric = added(world)

    retire_metric(metric.pk, actor=actor_of(world.rita), now=NOW)
    retire_metric(metric.pk, actor=actor_of(world.rita), now=NOW)
    assert list(metrics_of(world.project)) == []
    change_metric(metric.pk, ERRORS, actor=actor_of(world.rita), now=NOW)

    assert list(metrics_of(world.project)) == [metric]
    assert AuditEvent.objects.filter(action="guard_metric.retired").count() == 1


def test_metric__written_past_the_service__is_refused_by_the_database(world: World) -> None:
    metric = added(world)

    with pytest.raises(DatabaseError):
        GuardMetric.objects.filter(pk=metric.pk).update(name="Other")


def test_metric__deleted_with_a_ticket__is_refused_by_the_database(world: World) -> None:
    metric = added(world)

    with pytest.raises(DatabaseError), governed_write(world.project.pk):
        metric.delete()


def test_spec_of__metric__is_a_guard_of_a_plan(world: World) -> None:
    fields = replace(ERRORS, margin=0.3, source=GuardSource.PROMETHEUS, queries=ASKED)
    metric = GuardMetric.objects.get(pk=added(world, fields=fields).pk)

    spec = spec_of(metric, flag_key="checkout", treatment="on", control="off", weight=2.0)

    assert spec == GuardSpec(
        metric="errors",
        name="Errors at checkout",
        kind=MetricKind.ERROR_RATE,
        flag_key="checkout",
        treatment="on",
        control="off",
        source=GuardSource.PROMETHEUS,
        margin=0.3,
        weight=2.0,
        queries=ASKED,
    )


def test_traffic__hours_of_the_last_week__people_an_hour_and_what_it_takes(world: World) -> None:
    metric = added(world, fields=replace(ERRORS, margin=0.0))
    MetricCount.objects.bulk_create(
        MetricCount(
            environment=world.production,
            span="hour",
            at=NOW - timedelta(hours=number),
            metric="errors",
            flag_key="checkout",
            variant=variant,
            units=500,
            bad_units=5,
        )
        for number in range(1, 5)
        for variant in ("on", "off")
    )

    [line] = traffic_of(metric, world.vera, now=NOW)

    assert (line.environment, line.units_per_hour, line.base_rate) == (world.production, 1000.0, 0.01)
    assert [need.ratio for need in line.needs] == [1.5, 2.0, 3.0]
    assert traffic_of(metric, world.otto, now=NOW) == []


def test_traffic__slow_answers_in_sketches__are_told_by_the_limit(world: World) -> None:
    metric = added(world, fields=replace(ERRORS, kind=MetricKind.LATENCY, limit=800.0))
    arm = {"environment": world.production, "span": "hour", "metric": "errors", "flag_key": "checkout"}
    fields = {**arm, "at": NOW - timedelta(hours=1), "count": 100, "without_units": 100}
    sketch = {str(bucket): count for bucket, count in sketch_of([90.0] * 96 + [900.0] * 4).items()}
    MetricCount.objects.bulk_create(
        [
            MetricCount(variant="on", sketch=sketch, **fields),
            MetricCount(variant="off", bad_without_units=2, **fields),
        ]
    )

    [line] = traffic_of(metric, world.vera, now=NOW)

    assert line.base_rate == 0.03
    assert spec_of(metric, flag_key="checkout", treatment="on", control="off").limit == 800.0


@pytest.mark.parametrize(
    ("role", "listed", "form"),
    [("rita", 200, 200), ("abel", 200, 403), ("rolf", 200, 403), ("vera", 200, 403), ("otto", 200, 404)],
)
def test_pages__every_role__shown_or_refused(role: str, listed: int, form: int, world: World) -> None:
    metric, client = added(world), signed_in(getattr(world, role))

    page = client.get(reverse(LIST))

    assert page.status_code == listed
    assert ("Errors at checkout" in text_of(page)) == (role != "otto")
    assert ("Add a metric" in text_of(page)) == (role == "rita")
    assert client.get(add_url(world)).status_code == form
    assert client.get(metric_url(metric)).status_code == form
    assert client.post(metric_url(metric), posted()).status_code == form or role == "rita"
    assert client.post(metric_url(metric, "retire")).status_code in ({302} if role == "rita" else {403, 404})
    assert GuardMetric.objects.get().is_retired == (role == "rita")


def test_form__filled_in__adds_the_metric(world: World) -> None:
    response = signed_in(world.rita).post(add_url(world), posted(kind="conversion"))

    assert response.status_code == 302
    metric = GuardMetric.objects.get()
    assert (metric.key, metric.kind, metric.defaults["is_success_metric"]) == ("errors", "conversion", True)
    assert metric.defaults["margin"] == pytest.approx(0.2)
    assert metric.defaults["minimum_sample"] == 100


def test_form__wrong__keeps_what_was_typed(world: World) -> None:
    response = signed_in(world.rita).post(add_url(world), posted(kind="latency", name=HOSTILE, margin="150"))

    assert response.status_code == 400
    assert "must be worse than what is tolerated" in text_of(response)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text_of(response)
    assert "<script>alert(1)" not in text_of(response)
    assert not GuardMetric.objects.exists()


def test_form__prometheus__needs_its_queries(world: World) -> None:
    client = signed_in(world.rita)

    refused = client.post(add_url(world), posted(source="prometheus"))
    response = client.post(add_url(world), posted(source="prometheus", **ASKED))

    assert "Give all four queries" in text_of(refused)
    assert response.status_code == 302
    assert GuardMetric.objects.get().defaults["queries"] == ASKED


def test_form__work_it_out__says_what_it_takes_and_saves_nothing(world: World) -> None:
    traffic = {"people_per_hour": "2000", "bad_percent": "2", "work_out": "1"}

    response = signed_in(world.rita).post(add_url(world), posted(margin="0", name="Half typed", key="", **traffic))

    assert response.status_code == 200
    assert "2,000 people an hour" in text_of(response)
    assert "Half typed" in text_of(response)
    assert "Nothing was saved yet" not in text_of(response)
    assert not GuardMetric.objects.exists()


def test_form__existing_metric__keeps_its_key(world: World) -> None:
    metric = added(world)

    response = signed_in(world.rita).post(metric_url(metric), posted(key="other", name="Failures"))

    assert response.status_code == 302
    assert GuardMetric.objects.values_list("key", "name").get() == ("errors", "Failures")


@pytest.mark.parametrize(("method", "name"), [("delete", "change"), ("put", "change"), ("get", "retire")])
def test_pages__other_method__not_allowed(method: str, name: str, world: World) -> None:
    metric = added(world)

    assert getattr(signed_in(world.rita), method)(metric_url(metric, name)).status_code == 405


def test_list__ten_times_the_metrics__as_many_queries(world: World) -> None:
    added(world)
    client = signed_in(world.rita)
    client.get(reverse(LIST))
    with CaptureQueriesContext(connection) as few:
        client.get(reverse(LIST))
    for number in range(10):
        added(world, f"errors-{number}")

    with CaptureQueriesContext(connection) as many:
        client.get(reverse(LIST))

    assert len(many) == len(few)
