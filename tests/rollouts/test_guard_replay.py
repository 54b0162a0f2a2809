"""Verdicts given again from their evidence."""

import uuid
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from flags.models import MetricCount
from flags.services.tickets import governed_write
from rollouts.models import GuardVerdict, GuardWatch, RolloutPlan
from rollouts.services.guarding import keep_verdict, refresh_guards
from tests.factories import NOW, make_served_world
from tests.rollouts.guard_support import counted, guard, minutes
from tests.rollouts.plans.support import PlanBench, definition_of, stages_of
from tests.support.remembered import remembered

pytestmark = pytest.mark.django_db


@pytest.fixture
def plan(db: None) -> RolloutPlan:
    """A plan whose guard found the treatment healthy, then had no data for a while, then saw it break."""
    return remembered("a plan with verdicts", _make_plan)


def _make_plan() -> RolloutPlan:
    world = make_served_world()
    spec = guard(stale_after_minutes=5)
    plan = PlanBench(world, world.first_flag).started(
        definition_of(stages=stages_of(shares=((50_000, 30),)), guards=(spec,))
    )
    counted(plan.environment, minutes(NOW, 20), on=(500, 5))
    counted(plan.environment, minutes(NOW + timedelta(minutes=40), 20), on=(500, 60))
    for count in (1, 3, 10, 19, 20, 24, 26, 30, 41, 43, 47, 60):
        refresh_guards([plan.pk], now=at(count))
    return plan


def at(count: int) -> datetime:
    return NOW + timedelta(minutes=count, seconds=20)


def said(verdict: GuardVerdict) -> str:
    out = StringIO()
    call_command("replay_verdict", str(verdict.pk), stdout=out)
    return out.getvalue()


def test_replay__every_verdict_of_a_plan__identical(plan: RolloutPlan) -> None:
    verdicts = list(GuardVerdict.objects.all())

    assert {"healthy", "stale", "breach"} <= {verdict.outcome for verdict in verdicts}
    for verdict in verdicts:
        assert said(verdict).rstrip().endswith("identical")
        assert verdict.sentence in said(verdict)


def test_replay__minutes_and_watch_are_gone__identical(plan: RolloutPlan) -> None:
    MetricCount.objects.all().delete()
    GuardWatch.objects.all().delete()

    assert "identical" in said(GuardVerdict.objects.order_by("-number")[0])


def test_replay__watch_was_thrown_away_between_verdicts__identical(plan: RolloutPlan) -> None:
    GuardWatch.objects.all().delete()
    counted(plan.environment, minutes(NOW + timedelta(minutes=60), 5), on=(500, 5))
    [reading] = refresh_guards([plan.pk], now=at(65))[plan.pk]

    assert "identical" in said(keep_verdict(plan, reading, now=at(65)))


def copy_of(verdict: GuardVerdict, **changed: Any) -> GuardVerdict:
    """The verdict as somebody would have it who could write what he likes: the first of an attempt of its own."""
    fields = {f.attname: getattr(verdict, f.attname) for f in GuardVerdict._meta.concrete_fields}
    copy = GuardVerdict(**{**fields, "id": uuid.uuid4(), "attempt": 9, **changed})
    with governed_write(verdict.environment_id):
        copy.save(force_insert=True)
    return copy


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"sentence": "All is well."}, "sentence: kept 'All is well.'"),
        ({"outcome": "breach"}, "outcome: kept 'breach', again 'healthy'"),
        ({"statistics": {"outcome": "breach"}}, "outcome: kept 'breach', again 'healthy'"),
        ({"intervals": []}, "treatment"),
        ({"intervals": [["2026-03-02T09:00:00+00:00", 1, 2, 3, 4, 0, 0]]}, "cannot be"),
        ({"parameters": {"method": 0}}, "cannot be given again"),
    ],
)
def test_replay__evidence_was_tampered_with__says_what_differs(
    changed: dict[str, Any], sentence: str, plan: RolloutPlan
) -> None:
    verdict = GuardVerdict.objects.filter(number=1)[0]

    with pytest.raises(CommandError, match=sentence) as ended:
        said(copy_of(verdict, **changed))
    assert ended.value.returncode == 1


def test_replay__another_version_of_the_method__says_so(plan: RolloutPlan) -> None:
    verdict = GuardVerdict.objects.filter(number=1)[0]

    with pytest.raises(CommandError, match="version 0"):
        said(copy_of(verdict, parameters={**verdict.parameters, "method": 0}))


def test_replay__nobody_knows_the_id__says_where_to_look(db: None) -> None:
    with pytest.raises(CommandError, match="audit trail") as ended:
        call_command("replay_verdict", str(uuid.uuid4()))
    assert ended.value.returncode == 2


def test_verdict__changed_in_the_database__is_refused(plan: RolloutPlan) -> None:
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE rollouts_guardverdict SET outcome = 'healthy'")
