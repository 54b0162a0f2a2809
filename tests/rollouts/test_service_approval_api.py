"""Approvals by services over HTTP: what a management token may say, and the problems others meet."""

import json
from typing import Any

import pytest
import time_machine
from django.test import Client

from rollouts.models import ChangeRequest, ServiceApproval
from tests.factories import NOW, percent_document
from tests.flags.api.plane import Plane, plane_of_its_own
from tests.rollouts.support import Bench
from tests.rollouts.test_rule_service import SERVICE, put


@pytest.fixture
def plane(db: None) -> Plane:
    return plane_of_its_own()


@pytest.fixture
def asked(plane: Plane) -> ChangeRequest:
    """A request of production for which a rule demands a service."""
    flag = plane.world.flag("asked")
    plane.world.serve(flag, plane.world.production, percent_document(flag.key, 5))
    put(plane.world, SERVICE)
    return Bench(plane.world, flag).submitted()


def say(plane: Plane, request: ChangeRequest, *, scope: str = "manage", **body: Any) -> Any:
    sender = Client(headers={"x-api-key": plane.issue(scope=scope, name="CI").secret})
    address = f"/api/v1/change-requests/{request.pk}/approvals"
    with time_machine.travel(NOW, tick=False):
        return sender.post(address, json.dumps({"digest": request.digest, **body}), content_type="application/json")


def test_approve__management_token__is_recorded(plane: Plane, asked: ChangeRequest) -> None:
    response = say(plane, asked, comment="Tests are green")

    assert response.status_code == 201
    assert response.json() == {
        "id": str(asked.pk),
        "number": asked.number,
        "state": "in_review",
        "digest": asked.digest,
    }
    assert ServiceApproval.objects.get().comment == "Tests are green"


@pytest.mark.parametrize("scope", ["evaluate", "client", "flagd", "audit"])
def test_approve__other_scope__is_refused(plane: Plane, asked: ChangeRequest, scope: str) -> None:
    assert say(plane, asked, scope=scope).status_code == 403
    assert not ServiceApproval.objects.exists()


PROBLEMS = [
    ({"digest": "0" * 64}, 409, "digest_mismatch"),
    ({"digest": "x"}, 400, "invalid"),
    ({"comment": 5 * ["x"]}, 400, "invalid"),
]


@pytest.mark.parametrize(("body", "status", "code"), PROBLEMS)
def test_approve__something_is_wrong__is_a_problem(
    plane: Plane, asked: ChangeRequest, body: dict[str, Any], status: int, code: str
) -> None:
    response = say(plane, asked, **body)

    assert response.status_code == status
    assert response["Content-Type"] == "application/problem+json"
    assert code in response.json()["code"]


def test_approve__without_a_token__is_401(plane: Plane, asked: ChangeRequest) -> None:
    response = Client().post(f"/api/v1/change-requests/{asked.pk}/approvals", "{}", content_type="application/json")

    assert response.status_code == 401
