"""Fixtures of the admin pages about flags."""

import pytest

from flags.models import Flag
from tests.factories import World, make_world, percent_document


@pytest.fixture
def world(db: None) -> World:
    """A project and its cast."""
    return make_world()


@pytest.fixture
def flag(world: World) -> Flag:
    """A flag that production serves to 25 % of everyone."""
    flag = world.flag()
    world.serve(flag, world.production, percent_document(flag.key, 25))
    return flag
