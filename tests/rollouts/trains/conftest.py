"""Fixtures for release trains."""

import pytest

from tests.factories import World
from tests.rollouts.trains.support import TrainBench


@pytest.fixture
def bench(world: World) -> TrainBench:
    """Flags in production and staging, and short ways to put plans for them together."""
    return TrainBench(world, world.first_flag)
