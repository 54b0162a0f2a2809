"""The evaluation API through Django: what the adapter and the middlewares add, and that they cost no query."""

import io
import json
import logging
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from django.test import Client, RequestFactory
from structlog.testing import capture_logs

from flags import snapshots
from flags.api import ofrep, views
from flags.services.tokens import revoke_token
from tests.factories import NOW, actor_of
from tests.flags.api.hostile import CONTENT_ENCODINGS, CONTENT_TYPES, INVALID_CONTEXT, MARKER, PARSE_ERROR
from tests.flags.api.plane import BULK, DOCUMENTS, Plane

CONTEXT = {"targetingKey": "user-1", "plan": "beta"}


def test_evaluation__after_warm_up__takes_no_query(plane: Plane, django_assert_num_queries: Any):
    plane.post(None, CONTEXT)
    etag = plane.post(None, CONTEXT).headers["ETag"]

    with django_assert_num_queries(0):
        assert plane.post("targeted", CONTEXT).json()["value"] is True
        assert plane.post("unknown", CONTEXT).status_code == 404
        assert plane.post("split", {}).status_code == 200
        assert plane.post(None, CONTEXT).status_code == 200
        assert plane.post(None, CONTEXT, headers={"If-None-Match": etag}).status_code == 304
        assert plane.post(None, CONTEXT, headers={"X-API-Key": "unknown"}).status_code == 401
        assert plane.post(None, [], body=b"[").status_code == 400


def test_evaluation__session_cookie_along_with_the_token__takes_no_query(plane: Plane, django_assert_num_queries: Any):
    # Asking who is signed in, for the log, would load the session of every request that carries a cookie.
    client = Client()
    client.force_login(plane.world.ada)
    plane.post(None, CONTEXT)

    with django_assert_num_queries(0):
        assert plane.post(None, CONTEXT, client=client).status_code == 200


def test_evaluation__first_one__is_a_handful_of_queries(plane: Plane, django_assert_num_queries: Any):
    with django_assert_num_queries(5):
        assert plane.post(None, CONTEXT).status_code == 200


def test_bulk__through_django__is_what_the_handler_says(plane: Plane):
    response = plane.post(None, CONTEXT)

    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["ETag"] == plane.post(None, CONTEXT).headers["ETag"]
    assert "Set-Cookie" not in response.headers
    assert response.headers["Vary"] == "Accept-Encoding"
    assert [flag["key"] for flag in response.json()["flags"]] == sorted(DOCUMENTS)


def test_bulk__not_modified__has_no_body_and_no_type(plane: Plane):
    etag = plane.post(None, CONTEXT).headers["ETag"]

    response = plane.post(None, CONTEXT, headers={"If-None-Match": f'"x", W/{etag}'})

    assert (response.status_code, response.content) == (304, b"")
    assert "Content-Type" not in response.headers
    assert response.headers["ETag"] == etag


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE"])
def test_method__other_than_post__is_not_allowed(method: str, db: None):
    response = Client().generic(method, BULK)

    assert response.status_code == 405
    assert response.headers["Allow"] == "OPTIONS, POST"


def test_method__options__needs_no_token(db: None):
    response = Client().options(BULK + "/a-boolean")

    assert (response.status_code, response.content, response.headers["Allow"]) == (204, b"", "OPTIONS, POST")


def test_accept__anything__is_answered_in_json(plane: Plane):
    for accept in ["text/html", "application/xml", "", "*/*;q=0"]:
        response = plane.post("a-boolean", CONTEXT, headers={"Accept": accept}, query_params={"format": "xml"})

        assert (response.status_code, response.headers["Content-Type"]) == (200, "application/json")


def test_csrf__check__does_not_apply(plane: Plane):
    client = Client(enforce_csrf_checks=True)
    client.force_login(plane.world.ada)

    assert plane.post("a-boolean", CONTEXT, client=client).status_code == 200


def test_session__of_an_administrator__is_no_token(plane: Plane):
    client = Client()
    client.force_login(plane.world.ada)

    assert plane.post("a-boolean", CONTEXT, client=client, headers={"X-API-Key": ""}).status_code == 401


def test_key__odd__is_not_found_in_the_words_of_the_protocol(plane: Plane):
    for key in ["a%2Fb", "", "%0A", "%FF", "../../admin", "a?b=c"]:
        response = plane.post(key, CONTEXT)

        assert (key, response.status_code) == (key, 404)
        assert response.json()["errorCode"] == "FLAG_NOT_FOUND"


def test_key__with_a_nul__is_a_bad_request_before_anything_reads_it(plane: Plane):
    response = plane.post("%00", CONTEXT)

    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"


def test_token__revoked__is_refused_after_the_next_poll(plane: Plane):
    issued = plane.issue()
    headers = {"X-API-Key": issued.secret}
    assert plane.post("a-boolean", CONTEXT, headers=headers).status_code == 200

    revoke_token(issued.token.pk, actor=actor_of(plane.world.ada), now=NOW, reason="Leaked")
    snapshots.store.refresh()

    assert plane.post("a-boolean", CONTEXT, headers=headers).status_code == 401
    assert plane.post("a-boolean", CONTEXT).status_code == 200


def test_token__issued_while_running__works_after_its_commit(plane: Plane, django_capture_on_commit_callbacks: Any):
    plane.post("a-boolean", CONTEXT)

    with django_capture_on_commit_callbacks(execute=True):
        issued = plane.issue()

    assert plane.post("a-boolean", CONTEXT, headers={"X-API-Key": issued.secret}).status_code == 200


def test_change__is_served_after_its_commit(plane: Plane, django_capture_on_commit_callbacks: Any):
    before = plane.post("a-boolean", CONTEXT).json()

    with django_capture_on_commit_callbacks(execute=True):
        flag = plane.world.flags["a-boolean"]
        plane.world.serve(flag, plane.environment, {**DOCUMENTS["a-boolean"][1], "default_variant": "off"})

    after = plane.post("a-boolean", CONTEXT).json()
    assert (before["value"], after["value"]) == (True, False)
    assert after["metadata"]["revision"] == before["metadata"]["revision"] + 1


# Hostile requests


class LogText(logging.Handler):
    """Everything any logger says, as text."""

    def __init__(self) -> None:
        super().__init__(level=logging.DEBUG)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += f"{record.getMessage()} {record.args} {record.exc_info} {record.__dict__}\n"


@pytest.fixture
def logged() -> Iterator[LogText]:
    """Listens at the root, at every level, with the noisy loggers opened."""
    handler, root = LogText(), logging.getLogger()
    names = ["", *(name for name in root.manager.loggerDict if name.startswith(("django", "flags", "audits", "axes")))]
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.DEBUG)
    root.addHandler(handler)
    yield handler
    root.removeHandler(handler)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def hostile_requests() -> Iterator[tuple[bytes, dict[str, str]]]:
    """Body and headers of every request nobody should send."""
    fine = json.dumps({"context": {"secret": MARKER}}).encode()
    for body in (*PARSE_ERROR.values(), *INVALID_CONTEXT.values()):
        yield body, {}
    for content_type in CONTENT_TYPES:
        yield fine, {"Content-Type": content_type}
    for encoding in CONTENT_ENCODINGS:
        yield fine, {"Content-Encoding": encoding}
    yield b'{"context":{"a":"' + MARKER.encode() * 600_000 + b'"}}', {}
    yield b"[" * 10_000_000, {}
    yield fine, {"X-API-Key": ""}
    yield fine, {"X-API-Key": "ÿ" * 10_000}


def test_hostile_requests__all__are_client_errors_that_leave_no_trace(plane: Plane, logged: LogText):
    client = Client(raise_request_exception=False)
    seen, traces = set(), []

    with capture_logs() as entries:
        for path, (body, headers) in product([BULK, f"{BULK}/targeted", f"{BULK}/unknown"], hostile_requests()):
            given = {"X-API-Key": plane.secret, "Content-Type": "application/json", **headers}
            content_type = given.pop("Content-Type")
            response = client.generic("POST", path, body, content_type=content_type, headers=given)
            seen.add(response.status_code)
            traces.append(MARKER.encode() in response.content)

    assert seen == {400, 401, 413, 415}
    assert not any(traces)
    assert MARKER not in logged.text
    assert MARKER not in str(entries)


def test_body__of_ten_megabytes__is_not_read_whole(plane: Plane, rf: RequestFactory):
    class Counting(io.BytesIO):
        taken = 0

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            self.taken += len(data)
            return data

    source = Counting(b"[" * 10_000_000)
    request = rf.generic("POST", BULK, content_type="application/json", HTTP_X_API_KEY=plane.secret)
    request.META.update({"wsgi.input": source, "CONTENT_LENGTH": "10000000"})

    response = views.answer(request)

    assert response.status_code == 413
    assert source.taken == ofrep.MAX_BULK_BYTES + 1


# Bodies in chunks


def chunked(rf: RequestFactory, plane: Plane, body: bytes, **extra: Any) -> Any:
    request = rf.generic("POST", f"{BULK}/a-boolean", HTTP_TRANSFER_ENCODING="chunked", HTTP_X_API_KEY=plane.secret)
    request.META.pop("CONTENT_LENGTH", None)
    request.META.update({"wsgi.input": io.BytesIO(body), "CONTENT_TYPE": "application/json", **extra})
    return views.answer(request)


def test_chunks__server_that_marks_the_end__are_read(plane: Plane, rf: RequestFactory):
    response = chunked(rf, plane, b'{"context":{}}', **{"wsgi.input_terminated": True})

    assert response.status_code == 200


def test_chunks__larger_than_the_limit__are_refused(plane: Plane, rf: RequestFactory):
    response = chunked(rf, plane, b"[" * 10_000_000, **{"wsgi.input_terminated": True})

    assert response.status_code == 413


def test_chunks__server_that_does_not_mark_the_end__need_a_length(plane: Plane, rf: RequestFactory):
    response = chunked(rf, plane, b'{"context":{}}')

    assert response.status_code == 411
    assert json.loads(response.content)["code"] == "length_required"


def test_body__client_that_went_away__is_no_server_error(plane: Plane, rf: RequestFactory):
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError("connection reset")

    request = rf.generic("POST", BULK, b"{}", content_type="application/json", HTTP_X_API_KEY=plane.secret)
    request.META["wsgi.input"] = Broken()

    assert views.answer(request).status_code == 400
