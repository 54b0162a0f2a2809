"""Fixtures of the snapshots."""

from collections.abc import Iterator

import pytest

from flags import snapshots
from tests.flags.api.plane import Plane, plane_of_its_own


@pytest.fixture(autouse=True)
def _fresh_store() -> Iterator[None]:
    """What one test loaded is not served to the next."""
    snapshots.store.reset()
    yield
    snapshots.store.reset()


@pytest.fixture
def plane(db: None) -> Plane:
    """A production environment with flags of every kind."""
    return plane_of_its_own()
