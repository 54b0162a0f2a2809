"""Labels that have a place are forgotten between tests: environments of remembered worlds come back with their ids."""

from collections.abc import Iterator

import pytest

from flags.services.telemetry_places import forget_places


@pytest.fixture(autouse=True)
def _no_places() -> Iterator[None]:
    forget_places()
    yield
    forget_places()
