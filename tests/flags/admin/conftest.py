"""Fixtures of the admin pages about flags."""

import pytest

from flags.models import Flag
from tests.factories import World, make_served_world, make_world


@pytest.fixture
def world(db: None, request: pytest.FixtureRequest) -> World:
    """A project and its cast; with the flag below where a test asks for it."""
    return make_served_world(share=25) if "flag" in request.fixturenames else make_world()


@pytest.fixture
def flag(world: World) -> Flag:
    """A flag that production serves to 25 % of everyone."""
    return world.first_flag
