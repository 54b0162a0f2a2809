"""Fixtures for rollout plans."""

import pytest

from tests.factories import World
from tests.rollouts.plans.support import PlanBench


@pytest.fixture
def bench(world: World) -> PlanBench:
    """A flag in production and staging, and short ways to roll it out."""
    return PlanBench(world, world.first_flag)
