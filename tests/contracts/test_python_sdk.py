"""The published Python SDK with its OFREP provider, unmodified, against a live server."""

from collections.abc import Iterator
from typing import Any

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from flags import snapshots
from flags.services.tokens import revoke_token
from tests.factories import NOW, actor_of
from tests.flags.api.plane import DOCUMENTS, Plane

USER = EvaluationContext("user-1", {"plan": "basic"})
BETA = EvaluationContext("user-1", {"plan": "beta"})


def client_for(live_server: Any, secret: str, header: str = "X-API-Key") -> OpenFeatureClient:
    value = secret if header == "X-API-Key" else f"Bearer {secret}"
    api.set_provider(OFREPProvider(live_server.url, headers_factory=lambda: {header: value}))
    return api.get_client()


@pytest.fixture(autouse=True)
def _no_provider() -> Iterator[None]:
    yield
    api.clear_providers()


def test_every_type_and_reason__arrives(live_plane: Plane, live_server: Any):
    client = client_for(live_server, live_plane.secret)
    table: list[tuple[Any, str, Any, EvaluationContext, Any, str, Reason]] = [
        (client.get_boolean_details, "a-boolean", False, USER, True, "on", Reason.STATIC),
        (client.get_string_details, "a-string", "", USER, "grün", "on", Reason.STATIC),
        (client.get_integer_details, "an-integer", 0, USER, 42, "on", Reason.STATIC),
        (client.get_float_details, "a-float", 0.25, USER, 1.0, "on", Reason.STATIC),
        (client.get_object_details, "an-object", {}, USER, {"nested": {"list": [1, "two", None]}}, "on", Reason.STATIC),
        (client.get_boolean_details, "code-default", True, USER, True, "", Reason.DEFAULT),
        (client.get_boolean_details, "code-default", False, USER, False, "", Reason.DEFAULT),
        (client.get_boolean_details, "disabled", True, USER, False, "off", Reason.DISABLED),
        (client.get_boolean_details, "disabled-code-default", True, USER, True, "", Reason.DISABLED),
        (client.get_boolean_details, "targeted", True, USER, False, "off", Reason.DEFAULT),
        (client.get_boolean_details, "targeted", False, BETA, True, "on", Reason.TARGETING_MATCH),
        (client.get_boolean_details, "split", False, EvaluationContext(None, {}), True, "on", Reason.DEFAULT),
    ]
    for ask, key, fallback, context, value, variant, reason in table:
        details = ask(key, fallback, context)

        assert (key, details.error_code) == (key, None)
        assert (details.value, details.variant, details.reason) == (value, variant, reason)
        assert type(details.value) is type(value)
        assert details.flag_metadata["environment"] == "production"


def test_split__many_users__are_divided_and_stay(live_plane: Plane, live_server: Any):
    client = client_for(live_server, live_plane.secret)
    users = [EvaluationContext(f"user-{number}") for number in range(60)]

    first = [client.get_boolean_details("split", False, user) for user in users]
    second = [client.get_boolean_value("split", False, user) for user in users]

    assert {details.reason for details in first} == {Reason.SPLIT}
    assert [details.value for details in first] == second
    assert 15 < sum(second) < 45


def test_failures__reach_the_application_as_its_default_and_a_code(live_plane: Plane, live_server: Any):
    client = client_for(live_server, live_plane.secret)
    table: list[tuple[Any, str, Any, EvaluationContext, ErrorCode]] = [
        (client.get_boolean_details, "unknown", True, USER, ErrorCode.FLAG_NOT_FOUND),
        (client.get_boolean_details, "a-string", True, USER, ErrorCode.TYPE_MISMATCH),
        (client.get_integer_details, "a-float", 7, USER, ErrorCode.TYPE_MISMATCH),
        (
            client.get_boolean_details,
            "a-boolean",
            False,
            EvaluationContext("u", {"targetingKey": 1}),
            ErrorCode.INVALID_CONTEXT,
        ),
    ]
    for ask, key, fallback, context, code in table:
        details = ask(key, fallback, context)

        assert (details.value, details.error_code, details.reason) == (fallback, code, Reason.ERROR)
        assert details.error_message


@pytest.mark.parametrize("header", ["X-API-Key", "Authorization"])
def test_tokens__both_headers__work_until_revoked(header: str, live_plane: Plane, live_server: Any):
    issued = live_plane.issue()
    client = client_for(live_server, issued.secret, header)
    assert client.get_boolean_value("a-boolean", False, USER) is True

    revoke_token(issued.token.pk, actor=actor_of(live_plane.world.ada), now=NOW, reason="Leaked")
    snapshots.store.refresh()
    details = client.get_boolean_details("a-boolean", False, USER)

    assert (details.value, details.error_code, details.error_message) == (False, ErrorCode.GENERAL, "unauthorized")


def test_change__applied__is_seen_by_the_next_evaluation(live_plane: Plane, live_server: Any):
    client = client_for(live_server, live_plane.secret)
    assert client.get_boolean_value("a-boolean", False, USER) is True

    document = {**DOCUMENTS["a-boolean"][1], "default_variant": "off"}
    live_plane.world.serve(live_plane.world.flags["a-boolean"], live_plane.environment, document)

    assert client.get_boolean_value("a-boolean", True, USER) is False
