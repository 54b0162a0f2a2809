"""The evaluation API without a framework: every status, over a store in memory."""

import json
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from flags.api.ofrep import MAX_BULK_BYTES, MAX_SINGLE_BYTES, handle
from flags.api.wire import WireRequest, WireResponse
from flags.evaluation.compile import CompiledSnapshot
from flags.snapshots import SnapshotStore
from tests.factories import NOW
from tests.flags.api.hostile import CONTENT_ENCODINGS, CONTENT_TYPES, INVALID_CONTEXT, MARKER, PARSE_ERROR
from tests.flags.api.plane import BULK, DOCUMENTS, SECRET, VALUES, FakeSource, decoded, fake_store, wire

EXPOSED = "ETag, Retry-After, Deprecation, Sunset, Link"
ANY_ORIGIN = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": EXPOSED}
METADATA = {"environment": "production", "revision": 1, "version": 1}


@pytest.fixture
def store() -> SnapshotStore:
    return fake_store()[0]


def ask(store: SnapshotStore, request: WireRequest) -> WireResponse:
    return handle(request, store=store, now=NOW)


def body_of(**context: Any) -> bytes:
    return json.dumps({"context": context}).encode()


@pytest.mark.parametrize(
    ("key", "answer"),
    [
        *((key, {"reason": "STATIC", "variant": "on", "value": on}) for key, (_, on, _off) in VALUES.items()),
        ("code-default", {"reason": "DEFAULT", "variant": ""}),
        ("disabled", {"reason": "DISABLED", "variant": "off", "value": False}),
        ("disabled-code-default", {"reason": "DISABLED", "variant": ""}),
        ("split", {"reason": "SPLIT", "variant": "off", "value": False}),
        ("targeted", {"reason": "DEFAULT", "variant": "off", "value": False}),
    ],
)
def test_single__flag__is_answered(key: str, answer: dict[str, Any], store: SnapshotStore):
    for _ in range(2):
        response = ask(store, wire(key))

        assert response.status == 200
        assert response.headers == {
            "Content-Type": "application/json",
            "Cache-Control": "no-store",
            "Content-Length": str(len(response.body)),
            **ANY_ORIGIN,
        }
        assert decoded(response) == {"key": key, "metadata": METADATA, **answer}


def test_single__float__is_written_as_one(store: SnapshotStore):
    assert b'"value":1.0' in ask(store, wire("a-float")).body


def test_single__attributes__decide(store: SnapshotStore):
    response = ask(store, wire("targeted", body_of(plan="beta")))

    assert decoded(response)["reason"] == "TARGETING_MATCH"
    assert decoded(response)["value"] is True


def test_single__split_without_targeting_key__is_the_default(store: SnapshotStore):
    response = ask(store, wire("split", body_of(plan="beta")))

    assert (response.status, decoded(response)["reason"], decoded(response)["variant"]) == (200, "DEFAULT", "on")


@pytest.mark.parametrize("key", ["unknown", "", "a/b", "ÿ\n", "%2e", "\ud800", "x" * 5_000])
def test_single__unknown_flag__is_not_found(key: str, store: SnapshotStore):
    for _ in range(2):
        response = ask(store, wire(key))

        assert response.status == 404
        assert decoded(response)["key"] == key
        assert decoded(response)["errorCode"] == "FLAG_NOT_FOUND"
        assert decoded(response)["errorDetails"]


def test_single__flag_whose_config_is_broken__fails_alone():
    store, _ = fake_store({**DOCUMENTS, "broken": ("boolean", {"schema": 1})})

    single, bulk = ask(store, wire("broken")), ask(store, wire())

    assert single.status == 400
    assert decoded(single)["errorCode"] == "PARSE_ERROR"
    assert bulk.status == 200
    assert decoded(single) in decoded(bulk)["flags"]
    assert len(decoded(bulk)["flags"]) == len(DOCUMENTS) + 1


def test_bulk__all_flags__are_listed_as_they_are_answered_alone(store: SnapshotStore):
    response = ask(store, wire())

    assert response.status == 200
    assert response.headers["Cache-Control"] == "private, no-cache"
    assert decoded(response)["metadata"] == {"environment": "production", "revision": 1}
    assert decoded(response)["flags"] == [decoded(ask(store, wire(key))) for key in DOCUMENTS]


def test_bulk__environment_without_flags__is_an_empty_list():
    store, _ = fake_store({})

    assert decoded(ask(store, wire()))["flags"] == []


# Entity tags


def etag_of(store: SnapshotStore, body: bytes = b'{"context":{}}') -> str:
    return ask(store, wire(None, body)).headers["ETag"]


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', '"other",W/{}', '{}, "other"', "  {}  ", "*", " * "])
def test_bulk__tag_that_is_known__is_not_modified(form: str, store: SnapshotStore):
    etag = etag_of(store)

    response = ask(store, wire(None, b'{"context":{}}', if_none_match=form.format(etag)))

    headers = {"ETag": etag, "Cache-Control": "private, no-cache", "Vary": "Accept-Encoding", **ANY_ORIGIN}
    assert response == WireResponse(304, headers, b"")


@pytest.mark.parametrize("form", ['"other"', 'W/"other"', "", "garbage", '"', "**", '"*"', "{bare}", '"x{bare}"'])
def test_bulk__tag_that_is_not_known__is_answered(form: str, store: SnapshotStore):
    bare = etag_of(store).strip('"')

    assert ask(store, wire(None, b'{"context":{}}', if_none_match=form.replace("{bare}", bare))).status == 200


def test_bulk__tag__depends_on_the_context_not_on_the_revision_alone():
    store, source = fake_store()
    beta = etag_of(store, body_of(plan="beta"))

    def status(**context: Any) -> int:
        return ask(store, wire(None, body_of(**context), if_none_match=beta)).status

    assert status(plan="basic") == 200
    assert status(plan="beta") == 304

    source.move(next(iter(source.snapshots)), 2)
    store.refresh()

    assert status(plan="beta") == 200
    assert etag_of(store, body_of(plan="beta")) != beta


def test_bulk__changed_config__is_rendered_anew():
    store, source = fake_store()
    environment_id = next(iter(source.snapshots))
    before = ask(store, wire("a-string"))
    document = source.snapshots[environment_id].flags["a-string"].document

    document["variants"][0]["value"] = "rot"
    source.move(environment_id, 2)
    store.refresh()

    assert decoded(before)["value"] == "grün"
    assert decoded(ask(store, wire("a-string")))["value"] == "rot"
    assert decoded(ask(store, wire("a-string")))["metadata"]["revision"] == 2


def test_single__if_none_match__means_nothing(store: SnapshotStore):
    assert ask(store, wire("a-boolean", if_none_match="*")).status == 200


# Tokens


def token_cases(source: FakeSource) -> dict[str, str]:
    environment_id = next(iter(source.snapshots))
    source.add_token(environment_id, "fse_expired", expires_at=NOW - timedelta(seconds=1))
    return {
        "none": "",
        "unknown": "fse_unknown",
        "expired": "fse_expired",
        "revoked": "fse_revoked",
        "cut off": SECRET[:-1],
        "too long": SECRET + "s" * 1_000,
        "not ascii": "fse_ÿé",
        "blank": "   ",
    }


def test_token__every_unusable_one__gets_the_same_answer():
    store, source = fake_store()
    cases = token_cases(source)

    answers = {name: ask(store, wire("a-boolean", secret=secret)) for name, secret in cases.items()}

    assert {answer.status for answer in answers.values()} == {401}
    assert len({answer.body for answer in answers.values()}) == 1
    first = answers["none"]
    assert first.headers["Content-Type"] == "application/problem+json"
    assert first.headers["WWW-Authenticate"].startswith("Bearer")
    assert decoded(first)["code"] == "token_required"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"authorization": f"Bearer {SECRET}"}, 200),
        ({"authorization": f"bearer   {SECRET} "}, 200),
        ({"x_api_key": f" {SECRET} "}, 200),
        ({"x_api_key": SECRET, "authorization": "Bearer other"}, 200),
        ({"x_api_key": "", "authorization": f"Bearer {SECRET}"}, 200),
        ({"x_api_key": "other", "authorization": f"Bearer {SECRET}"}, 401),
        ({"authorization": SECRET}, 401),
        ({"authorization": f"Basic {SECRET}"}, 401),
        ({"authorization": f"Token {SECRET}"}, 401),
        ({"authorization": "Bearer"}, 401),
        ({"authorization": "Bearer "}, 401),
        ({"authorization": f"Bearer{SECRET}"}, 401),
        ({"cookie": f"token={SECRET}"}, 401),
    ],
)
def test_token__places__are_api_key_and_bearer(headers: dict[str, Any], status: int, store: SnapshotStore):
    assert ask(store, wire("a-boolean", secret="", **headers)).status == status


def test_token__query_parameter__is_never_read(store: SnapshotStore):
    request = WireRequest("POST", BULK, {}, f"x-api-key={SECRET}&token={SECRET}", b'{"context":{}}')

    assert ask(store, request).status == 401


@pytest.mark.parametrize("key", [None, "a-boolean"])
def test_token__other_scope__is_forbidden(key: str | None):
    store, source = fake_store()
    source.add_token(next(iter(source.snapshots)), "fsa_audit", scope="audit")

    response = ask(store, wire(key, secret="fsa_audit"))

    assert response.status == 403
    assert decoded(response)["code"] == "wrong_scope"


def test_token__other_environment__sees_its_own_flags_only():
    store, source = fake_store()
    other = source.add_environment({"only-here": DOCUMENTS["a-boolean"]})
    source.add_token(other, "fse_other")

    response = ask(store, wire(secret="fse_other"))

    assert [flag["key"] for flag in decoded(response)["flags"]] == ["only-here"]
    assert ask(store, wire("a-string", secret="fse_other")).status == 404


# Methods, media types, sizes


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE", "post", "", "X" * 100])
@pytest.mark.parametrize("key", [None, "a-boolean"])
def test_method__other_than_post__is_not_allowed(method: str, key: str | None, store: SnapshotStore):
    response = ask(store, wire(key, method=method))

    assert response.status == 405
    assert response.headers["Allow"] == "OPTIONS, POST"
    assert decoded(response)["status"] == 405


def test_method__options__needs_no_token(store: SnapshotStore):
    response = ask(store, wire(method="OPTIONS", secret=""))

    assert (response.status, response.body, response.headers["Allow"]) == (204, b"", "OPTIONS, POST")
    assert "Content-Length" not in response.headers


@pytest.mark.parametrize("path", ["/", "", "/ofrep/v1/evaluate/flag", BULK + "s", "/ofrep/v2/evaluate/flags"])
def test_path__of_something_else__is_not_found(path: str, store: SnapshotStore):
    response = ask(store, WireRequest("POST", path, {"x-api-key": SECRET}, "", b"{}"))

    assert response.status == 404
    assert decoded(response)["code"] == "not_found"


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "application/json; charset=UTF8; profile=x",
    ],
)
def test_content_type__of_json__is_accepted(content_type: str, store: SnapshotStore):
    assert ask(store, wire("a-boolean", content_type=content_type)).status == 200


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_content_type__of_anything_else__is_unsupported(content_type: str, store: SnapshotStore):
    response = ask(store, wire("a-boolean", content_type=content_type))

    assert response.status == 415
    assert decoded(response)["code"] == "unsupported_media_type"


@pytest.mark.parametrize("encoding", CONTENT_ENCODINGS)
def test_content_encoding__is_unsupported(encoding: str, store: SnapshotStore):
    response = ask(store, wire("a-boolean", content_encoding=encoding))

    assert response.status == 415
    assert decoded(response)["code"] == "unsupported_encoding"


@pytest.mark.parametrize(("key", "limit"), [("a-boolean", MAX_SINGLE_BYTES), (None, MAX_BULK_BYTES)])
def test_size__is_judged_exactly_and_before_parsing(key: str | None, limit: int, store: SnapshotStore):
    body = b'{"context":{}}'

    assert ask(store, wire(key, body + b" " * (limit - len(body)))).status == 200
    for too_large in (body + b" " * (limit + 1 - len(body)), b"[" * (limit + 1)):
        response = ask(store, wire(key, too_large))
        assert response.status == 413
        assert decoded(response)["code"] == "body_too_large"


# Hostile bodies


@pytest.mark.parametrize("key", [None, "a-boolean"])
@pytest.mark.parametrize(
    ("name", "error_code"),
    [*((name, "PARSE_ERROR") for name in PARSE_ERROR), *((name, "INVALID_CONTEXT") for name in INVALID_CONTEXT)],
)
def test_body__hostile__is_a_failure_that_repeats_nothing(
    key: str | None, name: str, error_code: str, store: SnapshotStore
):
    body = (PARSE_ERROR | INVALID_CONTEXT)[name]

    with capture_logs() as logs:
        response = ask(store, wire(key, body))

    assert response.status == 400
    assert response.headers["Content-Type"] == "application/json"
    given = decoded(response)
    assert given.pop("key", None) == key
    assert given.pop("errorDetails")
    assert given == {"errorCode": error_code}
    assert MARKER.encode() not in response.body
    assert logs == []


# When things go wrong


def test_store__never_loaded__is_unavailable():
    store, source = fake_store()
    source.fails = ConnectionError("gone")

    response = ask(store, wire())

    assert response.status == 503
    assert response.headers["Retry-After"] == "1"
    assert decoded(response)["code"] == "snapshots_unavailable"


def test_store__source_gone_after_the_first_load__goes_on_answering():
    store, source = fake_store()
    before = ask(store, wire())

    source.fails = ConnectionError("gone")
    store.try_refresh()

    assert ask(store, wire()) == before


def test_handle__bug__is_an_answer_and_a_log_line_without_the_context(
    store: SnapshotStore, monkeypatch: pytest.MonkeyPatch
):
    def explode(self: CompiledSnapshot, flag_key: str, context: dict[str, Any], now: object) -> None:
        raise ValueError(f"cannot handle {context}")

    monkeypatch.setattr(CompiledSnapshot, "evaluate", explode)
    with capture_logs() as logs:
        response = ask(store, wire("a-boolean", body_of(secret=MARKER)))

    assert response.status == 500
    assert decoded(response)["errorCode"] == "GENERAL"
    assert [entry["event"] for entry in logs] == ["evaluation_failed"]
    assert MARKER not in str(logs)
    assert MARKER.encode() not in response.body
