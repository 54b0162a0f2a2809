"""One installation for all tests of a module: whatever a test did to it is mended before the next."""

from collections.abc import Iterator

import pytest

from tests.faults.installation import Installation, installation


@pytest.fixture(scope="session")
def _installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installation(tmp_path_factory.mktemp("faults")) as made:
        yield made


@pytest.fixture
def site(_installation: Installation) -> Installation:
    """Everything runs, and the web process serves what the database holds."""
    _installation.heal()
    return _installation
