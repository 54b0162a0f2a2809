"""The demo tells a story that holds together, and shows every part of the product once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flags.documents import validate_config
from flags.documents.references import environment_problems
from flags.models import ContextAttribute, Environment, FlagConfig, MetricCount, Segment
from flags.selectors.lint import findings_for, findings_for_segment
from flagsite.demo.story import Story
from rollouts.models import GuardMetric, GuardVerdict, GuardWatch, PlanTemplate, RolloutPlan

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]
NOW = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)


def _documents() -> list[dict[str, Any]]:
    return list(FlagConfig.objects.values_list("document", flat=True))


def test_story__told__is_valid_shows_every_part_and_one_finding_of_the_linter() -> None:
    Story(NOW).tell()

    documents = _documents()
    rules = [rule for document in documents for rule in document["rules"]]
    assert [document for document in documents if document.get("prerequisites")]
    assert [document for document in documents if document.get("targets")]
    assert [rule for rule in rules if "bucket_by" in rule]
    assert [rule for rule in rules if rule.get("starts_at", "") > NOW.isoformat()]
    assert [segment for segment in Segment.objects.all() if "segment" in str(segment.document["condition"])]
    assert ContextAttribute.objects.filter(grants_access=False).exists()
    production = FlagConfig.objects.filter(environment__key="production", environment__project__key="storefront")
    visible = [config.flag.key for config in production.order_by("flag__key") if config.document.get("client_visible")]
    assert visible == ["hero-banner", "season-sale"]
    _assert_all_valid()
    _assert_plans()
    assert _findings(NOW) == ["season-sale in development: rule_unreachable"]
    # Once the sale is over, its rules have ended, and that is a note.
    assert _findings(NOW + timedelta(days=40)) == []


def _assert_all_valid() -> None:
    for environment in Environment.objects.all():
        rows = FlagConfig.objects.filter(environment=environment).select_related("flag")
        configs = {row.flag.key: row.document for row in rows}
        segments = dict(Segment.objects.filter(environment=environment).values_list("key", "document"))
        assert environment_problems(configs, segments) == []
        for row in rows:
            assert not validate_config(row.document, value_type=row.flag.value_type, segment_keys=segments)


def _findings(now: datetime) -> list[str]:
    found = [
        f"{row.flag.key} in {row.environment.key}: {finding.code}"
        for row in FlagConfig.objects.select_related("flag", "environment").order_by("flag__key")
        for finding in findings_for(row.flag, row.environment, row.document, now=now)
        if finding.severity == "warning"
    ]
    for segment in Segment.objects.select_related("environment"):
        found += [
            item.code for item in findings_for_segment(segment.key, segment.environment, segment.document, now=now)
        ]
    return found


def _assert_plans() -> None:
    """One in motion beside healthy guards, one that took itself back with its evidence, one to approve, one done."""
    plans = {plan.title: plan for plan in RolloutPlan.objects.all()}
    assert {title: (plan.state, plan.stage) for title, plan in plans.items()} == {
        "Saved baskets for everybody": ("completed", 3),
        "Gift wrapping in the checkout": ("rolled_back", 1),
        "Address suggestions step by step": ("proposed", 0),
        "Delivery estimate in the basket": ("running", 3),
    }
    moving, broken = plans["Delivery estimate in the basket"], plans["Gift wrapping in the checkout"]
    assert not moving.is_blocked
    assert set(GuardWatch.objects.filter(plan=moving).values_list("outcome", flat=True)) == {"healthy"}
    assert [(one.metric, one.action) for one in GuardVerdict.objects.filter(plan=broken, outcome="breach")] == [
        ("errors", "roll_back")
    ]
    assert broken.steps.get(act="roll_back").is_automatic
    assert GuardMetric.objects.count() == 2
    assert not MetricCount.objects.exclude(late_count=0).exists()
    assert PlanTemplate.objects.get().kinds == ["release"]
