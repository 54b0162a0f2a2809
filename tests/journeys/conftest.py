"""One running demo for all journeys of a run."""

from collections.abc import Iterator

import pytest

from tests.journeys.demos import Demo, running_demo


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demo as a newcomer starts it: SQLite, no other server."""
    with running_demo(tmp_path_factory.mktemp("demo")) as demo:
        yield demo
