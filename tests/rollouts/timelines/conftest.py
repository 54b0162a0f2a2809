"""Fixtures for deprecation timelines."""

import pytest

from tests.factories import World
from tests.rollouts.timelines.support import TimelineBench


@pytest.fixture
def bench(world: World) -> TimelineBench:
    """A flag in production and staging, and short ways to end it."""
    return TimelineBench(world, world.first_flag)
