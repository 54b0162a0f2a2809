"""Every error of the API is a problem; every other page keeps its own."""

import dataclasses
import json
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.test import Client, RequestFactory
from rest_framework import exceptions, serializers
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from audits.errors import GovernanceError
from flags.documents import Problem
from flags.errors import InvalidDocument, PermissionMissing, StaleChange
from flagsite import problems

ID = uuid.UUID(int=7)
INSTANT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def raised(error: Exception) -> HttpResponse:
    """The answer of an API view that raises."""

    class View(APIView):
        authentication_classes = ()
        permission_classes = ()

        def get(self, request: Any) -> None:
            raise error

    return View.as_view()(APIRequestFactory().get("/api/v1/x"))


def body_of(response: Any) -> Any:
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["Cache-Control"] == "no-store"
    body = json.loads(response.content)
    assert body["status"] == response.status_code
    assert {"type", "title", "status", "detail", "code"} <= body.keys()
    return body


def test_governance_error__is_a_problem_with_its_code_and_facts():
    error = StaleChange("It moved. Look again.", moved={"a": [1, 2]}, by=ID, at=INSTANT)

    response = raised(error)

    assert body_of(response) == {
        "type": "urn:problem-type:flagsite:stale_change",
        "title": "Something changed meanwhile",
        "status": 409,
        "detail": "It moved. Look again.",
        "code": "stale_change",
        "moved": {"a": [1, 2]},
        "by": str(ID),
        "at": "2026-03-02T09:00:00Z",
    }


def test_governance_error__facts_of_any_kind__never_break_the_answer():
    class Odd:
        pass

    loop: list[Any] = []
    loop.append(loop)
    error = InvalidDocument(
        "No.", problems=[Problem("rules[0]", "is wrong")], odd=Odd(), loop=loop, number=float("nan"), keys={"b", "a"}
    )

    body = body_of(raised(error))

    assert body["problems"] == [dataclasses.asdict(Problem("rules[0]", "is wrong"))]
    assert body["keys"] == ["a", "b"]
    assert not {"odd", "loop", "number"} & body.keys()


def test_governance_error__facts__never_replace_the_members_of_a_problem():
    body = body_of(raised(PermissionMissing("You may not.", status=200, code="fine", type="x", headers={})))

    assert (body["status"], body["code"]) == (403, "permission_missing")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Http404("secret internals"), 404, "not_found"),
        (PermissionDenied("secret internals"), 403, "permission_denied"),
        (exceptions.NotAuthenticated(), 403, "not_authenticated"),
        (exceptions.MethodNotAllowed("GET"), 405, "method_not_allowed"),
        (exceptions.UnsupportedMediaType("text/plain"), 415, "unsupported_media_type"),
        (exceptions.ParseError(), 400, "parse_error"),
        (GovernanceError("No."), 400, "governance_error"),
    ],
)
def test_error__of_every_kind__is_a_problem(error: Exception, status: int, code: str):
    response = raised(error)

    assert response.status_code == status
    assert body_of(response)["code"] == code
    assert b"secret" not in response.content


def test_throttled__says_when_to_come_back():
    response = raised(exceptions.Throttled(wait=12.3))

    assert response.status_code == 429
    assert response.headers["Retry-After"] == "13"


def test_validation_error__tree__is_a_list_of_paths():
    class Inner(serializers.Serializer[Any]):
        share = serializers.IntegerField()

    class Outer(serializers.Serializer[Any]):
        name = serializers.CharField()
        rules = Inner(many=True)

    serializer = Outer(data={"rules": [{"share": 1}, {"share": "x"}]})
    with pytest.raises(exceptions.ValidationError) as caught:
        serializer.is_valid(raise_exception=True)

    body = body_of(raised(caught.value))

    assert body["code"] == "invalid_input"
    assert [item["path"] for item in body["problems"]] == ["name", "rules[1].share"]


def test_bug__is_left_to_django():
    with pytest.raises(ZeroDivisionError):
        raised(ZeroDivisionError())


@pytest.mark.parametrize("path", ["/api/nothing", "/api/v1/nothing/", "/ofrep/", "/ofrep/v2/evaluate/flags", "/api/"])
def test_not_found__under_the_api__is_a_problem(path: str, db: None):
    for method in ("get", "post"):
        response = getattr(Client(), method)(path)

        assert response.status_code == 404
        assert body_of(response)["code"] == "not_found"


def test_not_found__elsewhere__is_a_page(db: None):
    response = Client().get("/nothing")

    assert response.status_code == 404
    assert response.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize(
    ("handler", "status"),
    [(problems.bad_request, 400), (problems.permission_denied, 403), (problems.page_not_found, 404)],
)
def test_handler__by_path__problem_or_page(handler: Any, status: int, rf: RequestFactory):
    assert body_of(handler(rf.get("/api/x"), ValueError("secret")))["status"] == status
    page = handler(rf.get("/admin/x"), ValueError("secret"))
    assert (page.status_code, page.headers["Content-Type"].split(";")[0]) == (status, "text/html")


def test_server_error__by_path__problem_or_page(rf: RequestFactory):
    assert body_of(problems.server_error(rf.get("/ofrep/v1/x")))["code"] == "internal_error"
    assert problems.server_error(rf.get("/admin/x")).headers["Content-Type"].startswith("text/html")


def test_host__not_allowed__is_a_problem_under_the_api(db: None):
    response = Client().get("/api/schema/", headers={"host": "evil.example"})

    assert response.status_code == 400
    assert body_of(response)["code"] == "bad_request"
