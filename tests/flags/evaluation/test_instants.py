"""RFC 3339 instants."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.evaluation.instants import parse_instant

EIGHT = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21T08:00:00Z", "2026-11-21t08:00:00z", "2026-11-21 08:00:00Z", "2026-11-21T09:00:00+01:00",
        "2026-11-21T03:30:00-04:30", "2026-11-21T08:00:00.000Z", "2026-11-21T08:00:00.000000999Z",
    ],
)  # fmt: skip
def test_parse_instant__every_spelling__is_the_same_instant(text: str) -> None:
    assert parse_instant(text) == EIGHT


@pytest.mark.parametrize(
    "value",
    [
        None, True, 5, 1_763_700_000, [], {}, "", "2026-11-21", "2026-11-21T08:00:00", "2026-11-21T08:00Z",
        "20261121T080000Z",
        "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-11-21T24:00:00Z", "2026-11-21T08:00:60Z",
        "2026-W47-6T08:00:00Z",
        "2026-11-21T08:00:00+0100", "2026-11-21T08:00:00+25:00", "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "２026-11-21T08:00:00Z", "2026-11-21T08:00:00Z\n", "2026-11-21T08:00:00.1234567891Z", "\ud800",
    ],
)  # fmt: skip
def test_parse_instant__anything_else__is_none(value: object) -> None:
    assert parse_instant(value) is None


@given(st.text() | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[+-][0-9]{2}:[0-9]{2}"))
def test_parse_instant__any_text__never_raises(text: str) -> None:
    found = parse_instant(text)
    assert found is None or found.utcoffset() is not None
