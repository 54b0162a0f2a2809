"""Fixtures for change requests."""

import pytest

from tests.factories import World, make_served_world, make_world
from tests.rollouts.support import Bench


@pytest.fixture
def world(db: None, request: pytest.FixtureRequest) -> World:
    """A project and its cast; with the bench's flag where a test has a bench."""
    return make_served_world() if "bench" in request.fixturenames else make_world()


@pytest.fixture
def bench(world: World) -> Bench:
    """A flag in production, and short ways to ask for changes to it."""
    return Bench(world, world.first_flag)
