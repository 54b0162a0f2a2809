"""HTTP without a framework: what the evaluation API takes and gives. Any server can stand in front of it."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from flags.api.titles import TITLES

JSON_TYPE = "application/json"
PROBLEM_TYPE = "application/problem+json"


class WireRequest(NamedTuple):
    """A request: `path` percent-decoded, header names in lower case, a body over the limit cut off beyond it."""

    method: str
    path: str
    headers: Mapping[str, str]
    query: str
    body: bytes


class WireResponse(NamedTuple):
    """An answer; a body that is empty has no content type."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Refused(Exception):
    """Carries the answer to a request that goes no further."""

    def __init__(self, response: WireResponse) -> None:
        super().__init__(response.status)
        self.response = response


def to_json(value: Any) -> bytes:
    """Compact JSON in UTF-8; floats keep their point (1.0). NaN, which no document may hold, becomes null."""
    try:
        return orjson.dumps(value)
    except TypeError:
        # Halves of surrogate pairs and integers beyond 64 bits: written in ASCII, so that nothing can spoil the UTF-8.
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")


def json_response(status: int, body: bytes, **headers: str) -> WireResponse:
    """An answer with a JSON body. Header names are given with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return WireResponse(status, {"Content-Type": JSON_TYPE, "Cache-Control": "no-store", **named}, body)


def problem_document(
    status: int, *, code: str, title: str, detail: str, facts: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """An RFC 9457 problem. `code` is what programs switch on, `facts` what they may read besides."""
    type_ = f"urn:problem-type:flagsite:{code}"
    return {**(facts or {}), "type": type_, "title": title, "status": status, "detail": detail, "code": code}


def problem_response(status: int, *, code: str, detail: str, **headers: str) -> WireResponse:
    """A problem as an answer, with the title of its code. Header names are given with underscores."""
    body = to_json(problem_document(status, code=code, title=TITLES[code], detail=detail))
    return json_response(status, body, **{"Content_Type": PROBLEM_TYPE, **headers})
