"""Fixtures for change requests."""

import pytest

from tests.factories import World, make_world
from tests.rollouts.support import Bench


@pytest.fixture
def world(db: None) -> World:
    """A project and its cast."""
    return make_world()


@pytest.fixture
def bench(world: World) -> Bench:
    """A flag in production, and short ways to ask for changes to it."""
    flag = world.flag()
    world.serve(flag, world.production)
    return Bench(world, flag)
