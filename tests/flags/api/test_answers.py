"""Entity tags."""

import pytest

from flags.api.answers import etag_of, is_known


def test_etag__same_bytes__same_strong_tag():
    assert etag_of(b"a") == etag_of(b"a") != etag_of(b"b")
    assert etag_of(b"a").startswith('"')
    assert etag_of(b"a").endswith('"')


@pytest.mark.parametrize(
    ("if_none_match", "expected"),
    [
        ('"a"', True),
        ('W/"a"', True),
        ('"b", "a"', True),
        ('"b,c","a"', True),
        ("*", True),
        ('"b"', False),
        ("a", False),
        ('"A"', False),
        ('"*"', False),
        ("", False),
        ('"' * 9_999, False),
    ],
)
def test_is_known__table(if_none_match: str, expected: bool):
    assert is_known('"a"', if_none_match) is expected
