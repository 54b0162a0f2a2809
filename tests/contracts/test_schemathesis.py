"""The API against its own description: schemathesis asks what the schema allows, and what it does not, as everybody.

Every operation of the schema is asked, so new ones join by themselves. The examples are the same in every run.
"""

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from flags.models.tokens import TokenScope
from flagsite.wsgi import application
from tests.flags.api.plane import Plane, plane_of_its_own
from tests.support.admin import signed_in

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = 8
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
# Names that exist, for every other legal question: chance alone never finds them.
KNOWN_PATHS = {"/ofrep/v1/evaluate/flags/{key}": "split", "/api/v1/environments/{key}/flagd.json": "production"}
# What everybody may read: nothing of an installation is in it, and nothing can be asked for wrongly.
OPEN = "manifest_schema"
# What somebody must have met, or the test asked nothing of worth. Everybody else is refused everywhere.
MET = {
    "administrator": {
        ("audit_events_list", 200),
        ("audit_events_list", 400),
        ("trains", 200),
        ("start_train", 403),
        ("undo_timeline", 403),
    },
    "evaluate": {("evaluate_flag", 200), ("evaluate_flag", 404), ("evaluate_flags", 200), ("evaluate_flags", 400)},
    "client": {("evaluate_flags", 200), ("evaluate_flag", 404)},
    "flagd": {("flagd_definition", 200)},
    "manage": {
        ("explain_evaluation", 200),
        ("explain_evaluation", 400),
        ("explain_evaluation", 404),
        ("project_calendar", 404),
        ("approve_change_request_as_service", 400),
        ("approve_change_request_as_service", 404),
        ("open_incident", 201),
        ("open_incident", 400),
        ("close_incident", 404),
        ("change_requests", 200),
        ("change_requests", 400),
        ("change_request", 404),
        ("plans", 200),
        ("plans", 400),
        ("plan", 404),
        ("timelines", 200),
        ("timelines", 400),
        ("timeline", 404),
        ("start_timeline", 404),
        ("postpone_milestone", 400),
        ("postpone_milestone", 404),
        ("undo_timeline", 404),
        ("trains", 200),
        ("trains", 400),
        ("train", 404),
        ("start_train", 404),
        ("roll_back_train", 404),
        ("project_drift", 404),
        ("read_manifest", 404),
        ("plan_manifest", 404),
        ("apply_manifest", 404),
        ("stale_flags", 404),
        ("flag_lifecycle", 404),
        ("flag_debt", 404),
        ("unknown_keys", 404),
        ("ask_impact", 404),
        ("read_impact", 404),
        ("flag_releases", 404),
        ("flag_releases", 400),
    },
    "telemetry": {("report_telemetry", 202), ("report_telemetry", 400)},
    "references": {("report_code_references", 400), ("flag_keys", 404)},
    "audit": {("audit_events_list", 200), ("audit_events_list", 400)},
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The OpenAPI document as clients read it."""
    found: dict[str, Any] = json.loads(json.dumps(SchemaGenerator().get_schema(request=None, public=True), default=str))
    return found


@pytest.fixture(autouse=True)
def _one_connection() -> Iterator[None]:
    """Requests stay in the transaction of their test, as those of Django's own test client do."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def plane(db: None) -> Plane:
    """A production environment with flags of every kind."""
    return plane_of_its_own()


def operations(document: dict[str, Any]) -> Iterator[Any]:
    """Every operation of the schema, ready to be asked through our WSGI application."""
    schema = schemathesis.openapi.from_dict(document)
    schema.app = application
    for result in schema.get_all_operations():
        assert isinstance(result, Ok)
        yield result.ok()


def credentials(plane: Plane, who: str) -> dict[str, dict[str, str]]:
    """What somebody sends to say who he is: a token, a session or nothing."""
    if who in TokenScope.values:
        return {"headers": {"X-API-Key": plane.issue(scope=who, name=who).secret}}
    if who == "nobody":
        return {}
    cookies = signed_in(plane.world.ada).cookies
    return {"cookies": {name: morsel.value for name, morsel in cookies.items()}}


def aim(case: Any, number: int) -> None:
    """Let every other question be about something that exists."""
    if number % 2:
        return
    if case.operation.path in KNOWN_PATHS:
        case.path_parameters = {"key": KNOWN_PATHS[case.operation.path]}
    if isinstance(case.body, dict) and "flag" in case.body:
        case.body["flag"] = "split"
    if case.operation.path == "/api/v1/audit-events":
        case.query = {}


def ask_all(operation: Any, mode: GenerationMode, put: Callable[[Any], None]) -> None:
    """Put every example of an operation; the same ones in every run."""

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        put(case)

    ask()


@pytest.mark.parametrize("who", ["nobody", "administrator", *TokenScope.values])
def test_api__whatever_is_asked__answers_as_described(who: str, plane: Plane, document: dict[str, Any]):
    sent = credentials(plane, who)
    met: Counter[tuple[str, int]] = Counter()

    def put(case: Any) -> None:
        if case.meta.generation.mode is GenerationMode.POSITIVE:
            aim(case, met.total())
        response = case.call_and_validate(**sent, checks=CHECKS)
        met[str(case.operation.definition.raw["operationId"]), response.status_code] += 1

    for operation, mode in itertools.product(operations(document), MODES):
        if mode is GenerationMode.POSITIVE or operation.definition.raw["operationId"] != OPEN:
            ask_all(operation, mode, put)

    assert met.keys() >= MET.get(who, set())
    if who not in MET:
        assert {status for name, status in met if name != OPEN} <= {400, 401, 403, 404, 406, 415}
