"""Pages of other origins: which of them may evaluate, and that errors tell them why not."""

from typing import Any

import pytest

from flags.api.cors import cors_headers
from flags.api.edge import Edge
from flags.api.ofrep import handle
from flags.api.wire import WireResponse
from tests.factories import NOW
from tests.flags.api.plane import fake_store, wire

SHOP, EVIL = "https://shop.example.org", "https://evil.example.org"
ONE, NONE, ANY = frozenset({SHOP}), frozenset[str](), frozenset({"*"})


def ask(allowed: frozenset[str], key: str | None = None, **given: Any) -> WireResponse:
    return handle(wire(key, **given), store=fake_store()[0], now=NOW, edge=Edge(allowed_origins=allowed))


@pytest.mark.parametrize(
    ("allowed", "origin", "expected"),
    [
        (ANY, SHOP, "*"),
        (ANY, "", "*"),
        (ANY, "null", "*"),
        (ONE, SHOP, SHOP),
        (ONE, EVIL, None),
        (ONE, "", None),
        (ONE, "null", None),
        (ONE, SHOP + "/", None),
        (ONE, SHOP.upper(), None),
        (ONE, f"{SHOP}, {EVIL}", None),
        (ONE, "https://shop.example.org.evil.example.org", None),
        (frozenset({SHOP, EVIL}), EVIL, EVIL),
        (NONE, SHOP, None),
        (ANY | ONE, EVIL, "*"),
    ],
)
def test_origin__table(allowed: frozenset[str], origin: str, expected: str | None):
    headers = cors_headers(allowed, origin)

    assert headers.get("Access-Control-Allow-Origin") == expected
    assert ("Access-Control-Expose-Headers" in headers) is (expected is not None)
    assert headers.get("Vary") == (None if "*" in allowed else "Origin")
    assert "Access-Control-Allow-Credentials" not in headers


REFUSED: dict[str, tuple[int, dict[str, Any]]] = {
    "evaluated": (200, {}),
    "not found": (404, {"key": "unknown"}),
    "no json": (400, {"body": b"["}),
    "no token": (401, {"secret": ""}),
    "method": (405, {"method": "GET"}),
    "too large": (413, {"body": b" " * 300_000}),
    "type": (415, {"content_type": "text/plain"}),
    "not modified": (304, {"if_none_match": "*"}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_answer__of_any_status__can_be_read_by_the_page(name: str):
    status, given = REFUSED[name]

    response = ask(ONE, **given, origin=SHOP)

    assert response.status == status
    assert response.headers["Access-Control-Allow-Origin"] == SHOP
    assert response.headers["Access-Control-Expose-Headers"] == "ETag, Retry-After, Deprecation, Sunset, Link"
    assert "Origin" in response.headers["Vary"].split(", ")


def test_bulk__answer_that_depends_on_origin_and_encoding__says_both():
    assert ask(ONE, origin=SHOP).headers["Vary"] == "Accept-Encoding, Origin"
    assert ask(ONE, "a-boolean", origin=SHOP).headers["Vary"] == "Origin"
    assert ask(ANY, origin=SHOP).headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize("key", [None, "a-boolean"])
def test_preflight__without_a_token__names_what_sdks_send(key: str | None):
    response = ask(ONE, key, method="OPTIONS", secret="", origin=SHOP, access_control_request_method="POST")

    assert (response.status, response.body) == (204, b"")
    assert response.headers["Access-Control-Allow-Origin"] == SHOP
    assert response.headers["Access-Control-Allow-Methods"] == "POST"
    allowed = set(response.headers["Access-Control-Allow-Headers"].split(", "))
    assert {"content-type", "authorization", "x-api-key", "if-none-match"} <= allowed
    assert int(response.headers["Access-Control-Max-Age"]) >= 600


def test_preflight__of_a_page_that_may_not__names_no_origin():
    response = ask(ONE, method="OPTIONS", secret="", origin=EVIL)

    assert response.status == 204
    assert "Access-Control-Allow-Origin" not in response.headers
