"""Reading a context from a body that may be anything."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.api.contexts import MAX_DEPTH, MAX_KEYS, UnusableBody, read_context
from flags.evaluation.resolution import ErrorCode
from tests.flags.api.hostile import INVALID_CONTEXT, MARKER, PARSE_ERROR


def body_of(context: Any) -> bytes:
    return json.dumps({"context": context}).encode()


@pytest.mark.parametrize("body", PARSE_ERROR.values(), ids=PARSE_ERROR)
def test_read_context__unreadable_body__is_a_parse_error(body: bytes):
    with pytest.raises(UnusableBody) as caught:
        read_context(body)

    assert caught.value.code is ErrorCode.PARSE_ERROR
    assert MARKER not in caught.value.message


@pytest.mark.parametrize("body", INVALID_CONTEXT.values(), ids=INVALID_CONTEXT)
def test_read_context__wrong_type__is_an_invalid_context(body: bytes):
    with pytest.raises(UnusableBody) as caught:
        read_context(body)

    assert caught.value.code is ErrorCode.INVALID_CONTEXT
    assert MARKER not in caught.value.message


@pytest.mark.parametrize(
    ("body", "context"),
    [
        (b'{"context":{}}', {}),
        (b'{"context":{"targetingKey":null}}', {}),
        (b'{"context":{"targetingKey":""}}', {"targetingKey": ""}),
        (b' \r\n\t{"context":{"a":1}}\n', {"a": 1}),
        (b'{"context":{"a":1,"a":2}}', {"a": 2}),
        (b'{"context":{"a":1},"context":{"b":2},"further":[1]}', {"b": 2}),
        (b'{"context":{"a":"\\ud83d\\ude00"}}', {"a": "😀"}),
        (b'{"context":{"a":"\\\\ud800"}}', {"a": "\\ud800"}),
        (b'{"context":{"a":1e308}}', {"a": 1e308}),
        (b'{"context":{"a":-0.0,"b":12345678901234567890}}', {"a": 0.0, "b": 12345678901234567890}),
        ('{"context":{"ключ":"значение"}}'.encode(), {"ключ": "значение"}),
        (b'{"context":{"a":"[[[[{{{{\\"::::"}}', {"a": '[[[[{{{{"::::'}),
    ],
)
def test_read_context__usable_body__is_the_context(body: bytes, context: dict[str, Any]):
    assert read_context(body) == context


def nested(levels: int) -> bytes:
    return b'{"context":{"a":' + b"[" * levels + b"]" * levels + b"}}"


def test_read_context__depth__is_counted_exactly():
    assert read_context(nested(MAX_DEPTH - 2))
    with pytest.raises(UnusableBody):
        read_context(nested(MAX_DEPTH - 1))


def test_read_context__many_shallow_brackets__are_no_depth():
    context = {"a": [[] for _ in range(2_000)], "b": "[" * 2_000}

    assert read_context(body_of(context)) == context


def test_read_context__keys__are_counted_exactly():
    context: dict[str, Any] = {f"k{number}": ":" * 5 for number in range(MAX_KEYS - 1)}

    assert read_context(body_of(context)) == context
    with pytest.raises(UnusableBody):
        read_context(body_of({**context, "one": "more"}))


@given(st.binary(max_size=200))
def test_read_context__any_bytes__answer_or_are_unusable(body: bytes):
    with suppress(UnusableBody):
        assert isinstance(read_context(body), dict)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters()), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_read_context__any_json__answer_or_are_unusable(value: Any):
    for body in (json.dumps(value).encode(), body_of(value), body_of({"targetingKey": value})):
        with suppress(UnusableBody):
            assert isinstance(read_context(body), dict)


@pytest.mark.parametrize("filler", [b"[", b'{"a":', b'"', b"\\", b'\\"', b"[]", b'"\\', b":", b'{"a":"\\"[', b"\xf0"])
def test_read_context__largest_body_of_anything__is_quick(filler: bytes):
    body = b'{"context":' + filler * (262_144 // len(filler))

    with pytest.raises(UnusableBody):
        read_context(body)
