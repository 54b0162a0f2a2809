"""Bodies that nest too deep are refused like any other that cannot be read."""

import pytest

from tests.factories import make_served_world
from tests.rollouts.test_change_request_api import client_of

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_body__nested_too_deep__cannot_be_read(opening: str) -> None:
    client = client_of(make_served_world())

    answer = client.post("/api/v1/incidents", opening * 100_000, content_type="application/json")

    assert answer.status_code == 400, answer.content
    assert answer.headers["Content-Type"] == "application/problem+json"
