"""The end of a flag in its document: reading, writing, the one stored form, and every problem with its path."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from audits.integrity import canonical_json
from flags.documents import initial_document, normalise_config, validate_config
from flags.documents.deprecation import (
    Deprecation,
    Withdrawal,
    deprecation_of,
    is_archived,
    is_withdrawn,
    with_deprecation,
    withdrawal_at,
)

MARCH = datetime(2027, 3, 3, 9, tzinfo=UTC)
JUNE = datetime(2027, 6, 1, tzinfo=UTC)
BASE = initial_document("checkout", "boolean")
FULL = Deprecation(MARCH, JUNE, "new-checkout", "https://example.org/ends", Withdrawal(25_000, None, JUNE), True)


def ending(**fields: Any) -> dict[str, Any]:
    return {**BASE, "deprecation": {"deprecated_at": "2027-03-03T09:00:00Z", **fields}}


def withdrawal(**fields: Any) -> dict[str, Any]:
    return ending(withdrawal={"weight": 25_000, "serves": "off", **fields})


@pytest.mark.parametrize(
    "deprecation",
    [
        None,
        Deprecation(MARCH),
        Deprecation(MARCH, sunset_at=JUNE, is_archived=True),
        Deprecation(MARCH, withdrawal=Withdrawal(100_000, "off")),
        FULL,
    ],
)
def test_with_deprecation__whatever_is_written__is_valid_normal_and_read_again(deprecation: Deprecation | None) -> None:
    before = canonical_json(BASE)

    written = with_deprecation(with_deprecation(BASE, FULL), deprecation)

    assert canonical_json(BASE) == before
    assert deprecation_of(written) == deprecation
    assert validate_config(written, value_type="boolean", segment_keys=()) == []
    assert canonical_json(normalise_config(written)) == canonical_json(written)
    assert ("deprecation" in written) == (deprecation is not None)


def test_normalise_config__fields_that_say_nothing__are_left_out() -> None:
    silent = {"sunset_at": None, "successor": "", "link": None, "withdrawal": None, "is_archived": False}
    assert normalise_config(ending(**silent)) == ending()
    assert normalise_config({**BASE, "deprecation": None}) == BASE
    local = ending(sunset_at="2027-06-01T02:00:00+02:00", withdrawal={"weight": 1, "until": ""})
    assert normalise_config(local)["deprecation"] == {
        "deprecated_at": "2027-03-03T09:00:00Z",
        "sunset_at": "2027-06-01T00:00:00Z",
        "withdrawal": {"weight": 1, "serves": None},
    }


def test_with_deprecation__instant_in_another_zone__is_written_in_utc() -> None:
    local = MARCH.astimezone(timezone(timedelta(hours=5)))
    assert with_deprecation(BASE, Deprecation(local))["deprecation"] == {"deprecated_at": "2027-03-03T09:00:00Z"}


PROBLEMS: list[tuple[dict[str, Any], str, str]] = [
    ({**BASE, "deprecation": []}, "deprecation", "as an object"),
    ({**BASE, "deprecation": {}}, "deprecation.deprecated_at", "Add the field"),
    (ending(deprecated_at="soon"), "deprecation.deprecated_at", "names its zone"),
    (ending(deprecated_at=None), "deprecation.deprecated_at", "names its zone"),
    (ending(sunset_at="2027-06-01"), "deprecation.sunset_at", "or leave it out"),
    (ending(sunset_at="2027-03-03T08:59:59Z"), "deprecation.sunset_at", "before its sunset"),
    (ending(successor=7), "deprecation.successor", "key of the successor"),
    (ending(successor="a\nb"), "deprecation.successor", "invisible"),
    (ending(link="http://example.org"), "deprecation.link", "https://"),
    (ending(link="https://"), "deprecation.link", "https://"),
    (ending(link="https://[x"), "deprecation.link", "https://"),
    (ending(link="https://example.org/>; rel=next"), "deprecation.link", "https://"),
    (ending(link="https://example.org/\r\nX: y"), "deprecation.link", "https://"),
    (ending(link="https://example.org/ä"), "deprecation.link", "https://"),
    (ending(link="https://user@example.org/"), "deprecation.link", "https://"),
    (ending(link="javascript:alert(1)"), "deprecation.link", "https://"),
    (ending(link="https://example.org/" + "a" * 500), "deprecation.link", "Shorten"),
    (ending(is_archived="yes"), "deprecation.is_archived", "Say true"),
    (ending(is_archived=0), "deprecation.is_archived", "Say true"),
    (ending(colour="red"), "deprecation.colour", "unknown field"),
    (ending(withdrawal="all"), "deprecation.withdrawal", "must be an object"),
    (ending(withdrawal={"serves": None}), "deprecation.withdrawal.weight", "Add the field"),
    (withdrawal(weight=0), "deprecation.withdrawal.weight", "from 1 to 100000"),
    (withdrawal(weight=100_001), "deprecation.withdrawal.weight", "from 1 to 100000"),
    (withdrawal(weight=True), "deprecation.withdrawal.weight", "from 1 to 100000"),
    (withdrawal(weight=0.5), "deprecation.withdrawal.weight", "from 1 to 100000"),
    (withdrawal(serves="blue"), "deprecation.withdrawal.serves", "Choose one of the variants"),
    (withdrawal(serves=1), "deprecation.withdrawal.serves", "Choose one of the variants"),
    (withdrawal(until="tomorrow"), "deprecation.withdrawal.until", "names its zone"),
    (withdrawal(salt="x"), "deprecation.withdrawal.salt", "unknown field"),
]


@pytest.mark.parametrize(("document", "path", "words"), PROBLEMS)
def test_validate_config__deprecation_that_cannot_be_served__is_named(
    document: dict[str, Any], path: str, words: str
) -> None:
    problems = validate_config(normalise_config(document), value_type="boolean", segment_keys=())
    assert [problem.path for problem in problems] == [path]
    assert words in problems[0].message


@pytest.mark.parametrize(
    ("found", "at", "in_force", "for_everyone"),
    [
        (None, MARCH, False, False),
        (Withdrawal(100_000, None), MARCH, True, True),
        (Withdrawal(99_999, None), MARCH, True, False),
        (Withdrawal(100_000, "off", JUNE), JUNE - timedelta(microseconds=1), True, True),
        (Withdrawal(100_000, "off", JUNE), JUNE, False, False),
    ],
)
def test_withdrawal_at__share_and_end__are_minded(
    found: Withdrawal | None, at: datetime, in_force: bool, for_everyone: bool
) -> None:
    document = with_deprecation(BASE, Deprecation(MARCH, withdrawal=found))
    assert (withdrawal_at(document, at) is not None, is_withdrawn(document, at)) == (in_force, for_everyone)


@pytest.mark.parametrize(
    ("document", "expected"),
    [(ending(is_archived=True), True), (ending(), False), (BASE, False), ({"deprecation": 3}, False), (None, False)],
)
def test_is_archived__whatever_it_is_given__answers(document: Any, expected: bool) -> None:
    assert is_archived(document) is expected
