"""Entity tags."""

import pytest

from flags.api.answers import is_known


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
