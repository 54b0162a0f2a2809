"""A live server with flags of every kind, for published clients."""

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
def live_plane(transactional_db: None) -> Plane:
    """A production environment whose rows the threads of the live server see."""
    return plane_of_its_own()
