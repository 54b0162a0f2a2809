"""Semantic versions: what is one, and how they order."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.evaluation.versions import parse_version


@pytest.mark.parametrize(
    "text",
    [
        "", "v", "x", "1.", ".1", "1..2", "1.2.3.4", "-1", "1.-2", "01", "1.02", "1.2.03", "1-rc.1", "1.2-rc.1",
        "1.2.3-",
        "1.2.3-rc..1", "1.2.3-01", "1.2.3+", "1.2.3 ", " 1.2.3", "1.2.3\n", "１.2.3", "1.2.3-ä", "vv1.2.3", "1,2",
        "9" * 101, "1.2.3-" + "a" * 100, "\ud800", "latest",
    ],
)  # fmt: skip
def test_parse_version__not_a_version__is_none(text: str) -> None:
    assert parse_version(text) is None


@pytest.mark.parametrize("value", [None, True, 1, 1.2, [], {}, b"1.2.3", ["1.2.3"]])
def test_parse_version__not_a_text__is_none(value: object) -> None:
    assert parse_version(value) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", "1.0.0"),
        ("1.2", "1.2.0"),
        ("v1.2.3", "1.2.3"),
        ("V1.2.3", "1.2.3"),
        ("1.2.3+build.5", "1.2.3"),
        ("1.2.3-rc.1+a", "1.2.3-rc.1+b"),
        ("1.2+5", "1.2.0"),
    ],
)
def test_parse_version__two_spellings__are_equal(one: str, other: str) -> None:
    assert parse_version(one) is not None
    assert parse_version(one) == parse_version(other)


def test_parse_version__precedence__is_that_of_semver_2() -> None:
    ascending = [
        "0", "0.0.1", "0.1", "0.9.10", "0.10.0", "1.0.0-1", "1.0.0-2", "1.0.0-11", "1.0.0--", "1.0.0-alpha",
        "1.0.0-alpha.1", "1.0.0-alpha.1.0", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0", "1.0.1", "1.2", "1.10", "2", "10", "99999999999999999999.0.0",
    ]  # fmt: skip
    for lower, higher in pairwise(ascending):
        one, other = parse_version(lower), parse_version(higher)
        assert one is not None
        assert other is not None
        assert one < other, (lower, higher)


@given(st.text())
def test_parse_version__any_text__never_raises(text: str) -> None:
    found = parse_version(text)
    assert found is None or min(found[:3]) >= 0
