"""What services are told of a deprecated flag: headers of single evaluations, and the metadata of every answer."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from flags.api.ofrep import handle
from flags.api.wire import WireResponse
from flags.evaluation.instants import instant_text
from tests.factories import NOW
from tests.flags.api.plane import DOCUMENTS, HALVES, decoded, document, fake_store, rule, wire

MARCH = "2025-03-03T09:00:00Z"
SINGLE = "/ofrep/v1/evaluate/flags/"


def ask(fields: dict[str, Any], *, now: datetime = NOW, key: str | None = "checkout", **options: Any) -> WireResponse:
    stored = {**DOCUMENTS, "checkout": ("boolean", document("checkout", **options, deprecation=fields))}
    return handle(wire(key), store=fake_store(stored)[0], now=now)


def told(response: WireResponse) -> dict[str, str]:
    return {name: response.headers[name] for name in ("Deprecation", "Sunset", "Link") if name in response.headers}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {}),
        ({"sunset_at": "2027-06-01T00:00:00Z"}, {"Sunset": "Tue, 01 Jun 2027 00:00:00 GMT"}),
        ({"sunset_at": "2027-06-01T01:30:00.25+02:00"}, {"Sunset": "Mon, 31 May 2027 23:30:00 GMT"}),
        ({"successor": "new-checkout"}, {"Link": f'<{SINGLE}new-checkout>; rel="successor-version"'}),
        (
            {"successor": "new.one", "link": "https://example.org/a?b=c#d"},
            {"Link": f'<{SINGLE}new.one>; rel="successor-version", <https://example.org/a?b=c#d>; rel="deprecation"'},
        ),
        # What validation refuses, a document from around it might hold.
        ({"successor": "a/../b"}, {"Link": f'<{SINGLE}a%2F..%2Fb>; rel="successor-version"'}),
        (
            {"successor": 'x>; rel="next"\r\nX: y,é'},
            {"Link": f'<{SINGLE}x%3E%3B%20rel%3D%22next%22%0D%0AX%3A%20y%2C%C3%A9>; rel="successor-version"'},
        ),
        (
            {"link": 'https://a.test/>; rel="x"\r\nX: ü'},
            {"Link": '<https://a.test/%3E;%20rel=%22x%22%0D%0AX:%20%C3%BC>; rel="deprecation"'},
        ),
    ],
)
def test_single__deprecated_flag__says_so_in_its_headers(fields: dict[str, Any], expected: dict[str, str]) -> None:
    response = ask({"deprecated_at": MARCH, **fields})

    assert response.status == 200
    assert told(response) == {"Deprecation": "@1740992400", **expected}
    assert list(response.headers)[:3] == ["Content-Type", "Cache-Control", "Deprecation"]
    assert all(name.isascii() and value.isascii() and value.isprintable() for name, value in response.headers.items())


@pytest.mark.parametrize(
    ("now", "headers", "metadata"),
    [
        (NOW - timedelta(microseconds=1), {}, {}),
        (NOW, {"Deprecation": f"@{int(NOW.timestamp())}"}, {"deprecated": True}),
    ],
)
def test_single__before_and_after_the_announced_instant__is_told_from_then_on(
    now: datetime, headers: dict[str, str], metadata: dict[str, Any]
) -> None:
    response = ask({"deprecated_at": instant_text(NOW)}, now=now)

    assert told(response) == headers
    assert decoded(response)["metadata"] == {"environment": "production", "revision": 1, "version": 1, **metadata}


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        ({"weight": 100_000, "serves": "off"}, {"reason": "STATIC", "variant": "off", "value": False}),
        ({"weight": 99_999, "serves": "off"}, {"reason": "SPLIT", "variant": "off", "value": False}),
        ({"weight": 100_000, "serves": None}, {"reason": "DEFAULT", "variant": ""}),
    ],
)
def test_single__withdrawn__is_told_with_the_answer(fields: dict[str, Any], answer: dict[str, Any]) -> None:
    found = decoded(ask({"deprecated_at": MARCH, "successor": "new", "withdrawal": fields}))

    assert {name: found[name] for name in answer} == answer
    assert ("value" in found) == ("value" in answer)
    assert found["metadata"].items() >= {"deprecated": True, "successor": "new", "withdrawn": True}.items()


def test_bulk__deprecated_flag__says_so_in_its_metadata_and_in_no_header() -> None:
    response = ask({"deprecated_at": MARCH, "sunset_at": "2027-06-01T00:00:00Z"}, key=None)

    assert told(response) == {}
    metadata = {flag["key"]: flag["metadata"] for flag in decoded(response)["flags"]}
    assert metadata["checkout"].items() >= {"deprecated": True, "sunsetAt": "2027-06-01T00:00:00Z"}.items()
    assert "deprecated" not in metadata["split"]


def test_single__archived_flag__is_byte_for_byte_one_that_does_not_exist() -> None:
    archived = ask({"deprecated_at": MARCH, "successor": "new", "is_archived": True})

    missing = handle(wire("checkout"), store=fake_store(DOCUMENTS)[0], now=NOW)

    assert (archived.status, archived.headers, archived.body) == (missing.status, missing.headers, missing.body)
    assert archived.status == 404


def test_single__flag_that_does_not_end__has_no_such_header() -> None:
    response = handle(wire("split"), store=fake_store()[0], now=NOW)
    assert told(response) == {}


def test_bulk__brownout_ends__the_tag_is_another() -> None:
    until = NOW + timedelta(minutes=30)
    withdrawal = {"weight": 100_000, "serves": "off", "until": instant_text(until)}
    fields = {"deprecated_at": MARCH, "withdrawal": withdrawal}
    store = fake_store({"checkout": ("boolean", document("checkout", rules=[rule(HALVES)], deprecation=fields))})[0]
    tags = [handle(wire(), store=store, now=now).headers["ETag"] for now in (NOW, until - timedelta(seconds=1), until)]

    assert tags[0] == tags[1] != tags[2]


@pytest.mark.parametrize(
    ("visible", "successor_visible", "is_told"),
    [(True, False, False), (True, True, True), (False, False, True), (True, None, False)],
)
def test_single__flag_that_browsers_see__names_no_successor_that_they_may_not_see(
    visible: bool, successor_visible: bool | None, is_told: bool
) -> None:
    ending = document("checkout", deprecation={"deprecated_at": MARCH, "successor": "new"}, client_visible=visible)
    stored = {**DOCUMENTS, "checkout": ("boolean", ending)}
    if successor_visible is not None:
        stored["new"] = ("boolean", document("new", client_visible=successor_visible))

    one = handle(wire("checkout"), store=fake_store(stored)[0], now=NOW)
    everything = handle(wire(None), store=fake_store(stored)[0], now=NOW)
    [flag] = [flag for flag in decoded(everything)["flags"] if flag["key"] == "checkout"]

    assert decoded(one)["metadata"]["deprecated"] is True
    assert ("successor" in decoded(one)["metadata"], "Link" in told(one)) == (is_told, is_told)
    assert ("successor" in flag["metadata"]) is is_told
