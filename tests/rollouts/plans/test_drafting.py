"""Shaping a plan: create, edit, put on new ground, propose, take back."""

import pytest

from tests.rollouts.plans.support import PlanBench

pytestmark = pytest.mark.django_db


def test_started(bench: PlanBench) -> None:
    plan = bench.started()
    assert (plan.state, plan.stage, bench.share_of(plan)) == ("running", 1, 10_000)


def test_approved(bench: PlanBench) -> None:
    plan = bench.approved_and_started()
    assert (plan.state, plan.stage, bench.share_of(plan)) == ("running", 1, 10_000)
