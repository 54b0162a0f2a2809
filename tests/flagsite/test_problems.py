"""Every error of the API is a problem; every other page keeps its own."""

import ast
import dataclasses
import json
import uuid
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.test import Client, RequestFactory
from rest_framework import exceptions, serializers
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from audits.errors import GovernanceError
from flags.api.titles import TITLES
from flags.api.tokens import TOKEN_REQUIRED
from flags.documents import Problem
from flags.errors import InvalidDocument, PermissionMissing, StaleChange
from flagsite import problems
from tests.factories import NOW, World, make_served_world
from tests.rollouts.test_change_request_api import client_of
from tests.support.admin import signed_in

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
        (exceptions.NotAuthenticated(), 403, "token_required"),
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


SINGLE = "/ofrep/v1/evaluate/flags/x"
PLAN, ACT = f"/api/v1/plans/{ID}", f"/api/v1/trains/{ID}/start"
YAML, JSON = "application/yaml", "application/json"


@pytest.fixture
def world(db: None) -> Iterator[World]:
    with time_machine.travel(NOW, tick=False):
        yield make_served_world()


def test_titles__of_every_code__are_one_title(world: World):
    manager, evaluator, nobody = client_of(world), client_of(world, scope="evaluate"), Client()
    forged = Client(enforce_csrf_checks=True)
    forged.force_login(world.ada, backend="django.contrib.auth.backends.ModelBackend")
    answers = [
        *(nobody.get(PLAN), nobody.post(SINGLE, {}, JSON), nobody.post("/api/v1/telemetry", {}, JSON)),
        *(evaluator.get(PLAN), manager.post(SINGLE, {}, JSON)),
        *(nobody.get("/api/nothing"), manager.get(PLAN), evaluator.post("/ofrep/v1/nothing", {}, JSON)),
        *(manager.put(PLAN), evaluator.put(SINGLE)),
        *(manager.post(ACT, "a: b", YAML), evaluator.post(SINGLE, "a: b", YAML)),
        *(manager.post(ACT, [1], JSON), manager.get("/api/v1/plans?x=1")),
        *(manager.post(ACT, "{", JSON), manager.post("/api/v1/evaluate/explain", "{", JSON)),
        *(nobody.get("/api/schema/", headers={"accept": "image/png"}), forged.post(ACT, {}, JSON)),
    ]

    titles = defaultdict(set)
    for answer in answers:
        body = body_of(answer)
        titles[body["code"]].add(body["title"])
    assert titles.keys() == {
        *("token_required", "wrong_scope", "not_found", "method_not_allowed", "unsupported_media_type"),
        *("invalid_input", "parse_error", "not_acceptable", "csrf_failed"),
    }
    assert {code: found for code, found in titles.items() if len(found) != 1} == {}


def test_titles__of_rules_and_of_everything_else__do_not_differ():
    titles = defaultdict(set, {code: {title} for code, title in TITLES.items()})
    kinds = [GovernanceError]
    while kinds:
        kind = kinds.pop()
        titles[kind.code].add(kind.title)
        kinds += kind.__subclasses__()

    assert {code: found for code, found in titles.items() if len(found) != 1} == {}


def test_titles__of_codes_that_are_written_in_the_source__are_there():
    makers, written = {"refused", "UnusableBatch", "problem_response"}, set()
    for text in map(Path.read_text, (Path(settings.BASE_DIR) / "flags").rglob("*.py")):
        if not any(f"{maker}(" in text for maker in makers):
            continue
        for call in (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)):
            if getattr(call.func, "id", "") in makers:
                given = [*call.args[:2], *(keyword.value for keyword in call.keywords if keyword.arg == "code")]
                written |= {one.value for one in given if isinstance(one, ast.Constant) and isinstance(one.value, str)}
    # Of the texts among them, codes are those without a space.
    written = {text for text in written if " " not in text}

    assert {"token_required", "forbidden_field", "unusable_scan"} <= written
    assert written <= TITLES.keys()


def test_token__missing_or_unknown__gets_the_same_words_at_every_door(world: World):
    answers = [client.get(PLAN) for client in (Client(), Client(headers={"X-API-Key": "fsm_unknown"}))]
    answers.append(Client().post(SINGLE, {}, JSON))

    assert [(one.status_code, one.json()["code"], one.json()["detail"]) for one in answers] == [
        (401, "token_required", TOKEN_REQUIRED)
    ] * 3
    assert "X-API-Key" in TOKEN_REQUIRED
    assert "Authorization: Bearer" in TOKEN_REQUIRED


def test_token__missing_while_signed_in__is_told_that_a_session_is_none(world: World):
    body = body_of(signed_in(world.ada).get(PLAN))

    assert (body["status"], body["code"]) == (401, "token_required")
    assert "this address takes a token, not a session. Send one as X-API-Key" in body["detail"]


def test_token__missing_where_people_may_ask_too__says_so():
    assert "signed in" in body_of(Client().get(f"/api/v1/trains/{ID}"))["detail"]


def test_csrf__failed__names_the_header(world: World):
    forged = Client(enforce_csrf_checks=True)
    forged.force_login(world.ada, backend="django.contrib.auth.backends.ModelBackend")

    body = body_of(forged.post(ACT, {}, JSON))

    assert (body["status"], body["code"]) == (403, "csrf_failed")
    assert "X-CSRFToken" in body["detail"]


@pytest.mark.parametrize(
    ("method", "address", "sent", "words"),
    [
        ("post", ACT, {"data": "[1]", "content_type": JSON}, "body: Send a JSON object"),
        ("post", ACT, {"data": '{"a":\n1,}', "content_type": JSON}, "not valid JSON (line 2, column 3)"),
        ("post", ACT, {"data": b'{"a": "\xff"}', "content_type": JSON}, "not text in UTF-8"),
        ("post", ACT, {"data": '{"a": NaN}', "content_type": JSON}, "number that JSON does not have"),
        ("post", ACT, {"data": "[" * 100_000, "content_type": JSON}, "nested too deep"),
        ("post", ACT, {"data": "a: b", "content_type": YAML}, "The body must be application/json in UTF-8"),
        ("get", "/api/v1/audit-events", {"headers": {"accept": "image/png"}}, "answers as application/json"),
        ("put", ACT, {}, "does not take PUT. Use POST."),
        ("delete", PLAN, {}, "does not take DELETE. Use GET."),
    ],
)
def test_refusal__that_the_framework_finds__says_in_our_words_what_to_send(
    world: World, method: str, address: str, sent: dict[str, Any], words: str
):
    client = signed_in(world.ada) if "audit" in address else client_of(world)

    assert words in body_of(getattr(client, method)(address, **sent))["detail"]
