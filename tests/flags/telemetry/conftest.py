"""A world; and labels that have a place are forgotten: environments of remembered worlds come back with their ids."""

from collections.abc import Iterator
from typing import Any

import pytest

from flags.services.telemetry_places import forget_places
from tests.factories import World, make_world


@pytest.fixture(autouse=True)
def _no_places() -> Iterator[None]:
    forget_places()
    yield
    forget_places()


@pytest.fixture
def world(db: Any) -> World:
    """A project with its environments and cast."""
    return make_world()
