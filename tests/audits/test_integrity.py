"""The pure chain: canonical JSON, hashing, and every way of tampering with a chain of 500 events."""

import itertools
import json
import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audits.integrity import (
    BEGINNING,
    GENESIS_HASH,
    ROW_COLUMNS,
    BadRow,
    Fault,
    Head,
    canonical_json,
    event_hash,
    verify,
)
from tests.audits.trails import CHAIN, forged_chain, seal

LENGTH = 500
ROWS, HEAD = forged_chain(LENGTH)
Row = dict[str, Any]


def before(index: int) -> Head:
    """The head of the chain before the row at `index`."""
    return Head(index, ROWS[index - 1]["hash"]) if index else BEGINNING


def verify_from(index: int, rows: list[Row]) -> BadRow | None:
    """Verify a chain whose first `index` rows are the untouched ones: those are sound, so they are not walked again."""
    return verify(rows, chain=CHAIN, after=before(index), head=HEAD)


def test_verify__untouched_chain__is_sound():
    assert verify(ROWS, chain=CHAIN, head=HEAD) is None


def test_verify__no_events_and_no_head__is_sound():
    assert verify([], chain=CHAIN, head=BEGINNING) is None


def altered_values(row: Row, column: str) -> list[Any]:
    """What a person with access to the database might write into a column."""
    value = row[column]
    if column == "sequence":
        return [value + 1, value - 1, value + 1000, -value, 0, str(value), None]
    values = ["f" * 64, "someone else", "", f"{value} ", value.upper(), value[:-1], 5, None, b"bytes"]
    return [each for each in values if each != value]


@pytest.mark.parametrize("column", ROW_COLUMNS)
def test_verify__column_of_any_row_altered__that_row_is_named(column):
    for index, row in enumerate(ROWS):
        for value in altered_values(row, column):
            bad = verify_from(index, [{**row, column: value}, *ROWS[index + 1 : index + 3]])

            assert bad is not None, (index, column, value)
            assert bad.fault is not Fault.TRUNCATED, (index, column, value, bad)
            if column != "sequence":
                assert bad.sequence == index + 1, (index, column, value, bad)
                assert bad.event_id == str(value if column == "id" else row["id"])


EXPECTED_FAULTS = {"chain": Fault.WRONG_CHAIN, "previous_hash": Fault.WRONG_PREVIOUS_HASH, "sequence": Fault.GAP}


@pytest.mark.parametrize("column", ROW_COLUMNS)
@pytest.mark.parametrize("index", [0, 1, 250, LENGTH - 1])
def test_verify__column_altered__says_which_fact_is_wrong(column, index):
    value = 9_000 if column == "sequence" else "other"
    rows = [*ROWS[:index], {**ROWS[index], column: value}, *ROWS[index + 1 :]]

    bad = verify(sorted(rows, key=lambda row: row["sequence"]), chain=CHAIN, head=HEAD)

    assert bad is not None
    assert bad.fault is EXPECTED_FAULTS.get(column, Fault.WRONG_HASH)
    assert bad.sequence == index + 1


def test_verify__two_neighbouring_columns_share_their_text_differently__is_found():
    """The hash covers names and values, so text cannot move from one column into the next."""
    row = {**ROWS[10], "project_key": "ab", "environment_key": "c"}
    sealed = seal(dict(row), row["previous_hash"])
    moved = {**sealed, "project_key": "a", "environment_key": "bc"}

    bad = verify([moved], chain=CHAIN, after=before(10))

    assert bad is not None
    assert bad.fault is Fault.WRONG_HASH


def test_verify__row_altered_and_hashed_again__the_next_link_is_named():
    for index, row in enumerate(ROWS):
        forged = seal({**row, "reason": "forged"}, row["previous_hash"])

        bad = verify_from(index, [forged, *ROWS[index + 1 : index + 2]])

        assert bad is not None
        if index < LENGTH - 1:
            assert (bad.sequence, bad.fault) == (index + 2, Fault.WRONG_PREVIOUS_HASH)
        else:
            assert (bad.sequence, bad.fault) == (LENGTH, Fault.HEAD_MISMATCH)


def test_verify__every_row_from_one_on_hashed_again__the_head_disagrees():
    rows = [dict(row) for row in ROWS]
    rows[3]["reason"] = "forged"
    for index in range(3, LENGTH):
        seal(rows[index], rows[index - 1]["hash"])

    bad = verify(rows, chain=CHAIN, head=HEAD)

    assert bad is not None
    assert bad.fault is Fault.HEAD_MISMATCH


def test_verify__any_row_removed__the_gap_is_named():
    for index in range(LENGTH):
        bad = verify_from(index, ROWS[index + 1 : index + 3])

        assert bad is not None
        assert bad.sequence == index + 1
        assert bad.fault is (Fault.GAP if index < LENGTH - 1 else Fault.TRUNCATED)


def test_verify__several_rows_removed__all_are_named():
    bad = verify_from(40, ROWS[45:])

    assert bad is not None
    assert bad.message == "events 41 to 45 are missing; the next one found is event 46"


def test_verify__tail_cut_anywhere__first_missing_event_is_named():
    for length in range(LENGTH):
        bad = verify_from(max(0, length - 1), ROWS[max(0, length - 1) : length])

        assert bad is not None
        assert (bad.sequence, bad.fault) == (length + 1, Fault.TRUNCATED)


def test_verify__row_inserted_anywhere__is_named():
    for index, row in enumerate(ROWS):
        same_number = seal({**row, "id": "new", "reason": "inserted"}, row["previous_hash"])

        for rows in ([same_number, row], [row, same_number], [row, row]):
            bad = verify_from(index, [*rows, *ROWS[index + 1 : index + 2]])

            assert bad is not None
            assert bad.sequence in (index + 1, index + 2), (index, bad)


def test_verify__row_inserted_and_the_rest_renumbered__is_named():
    for index in range(0, LENGTH, 7):
        inserted = seal({**ROWS[index], "reason": "inserted"}, ROWS[index]["previous_hash"])
        pushed = [{**row, "sequence": row["sequence"] + 1} for row in ROWS[index : index + 2]]

        bad = verify_from(index, [inserted, *pushed])

        assert bad is not None
        assert (bad.sequence, bad.fault) == (index + 2, Fault.WRONG_PREVIOUS_HASH)


def test_verify__row_appended_behind_the_head__is_named():
    appended = seal({**ROWS[-1], "sequence": LENGTH + 1}, HEAD.hash)

    bad = verify([*ROWS, appended], chain=CHAIN, head=HEAD)

    assert bad is not None
    assert (bad.sequence, bad.fault) == (LENGTH + 1, Fault.BEYOND_HEAD)


def test_verify__any_two_rows_swapped__first_of_them_is_named():
    chance = random.Random(7)
    pairs = [(index, index + 1) for index in range(LENGTH - 1)]
    pairs += [(chance.randrange(250), chance.randrange(250, LENGTH)) for _ in range(200)]
    for first, second in pairs:
        rows = ROWS[first : second + 2]
        content, other = rows[0], rows[second - first]
        rows[0] = {**other, "sequence": content["sequence"]}
        rows[second - first] = {**content, "sequence": other["sequence"]}

        bad = verify_from(first, rows)

        assert bad is not None
        assert bad.sequence == first + 1


def test_verify__order_of_rows_changed__is_found():
    bad = verify([ROWS[1], ROWS[0], *ROWS[2:]], chain=CHAIN, head=HEAD)

    assert bad is not None


def test_verify__whole_chain_of_another_project__is_found():
    bad = verify(ROWS, chain="another", head=HEAD)

    assert bad is not None
    assert bad.fault is Fault.WRONG_CHAIN


def test_verify__lone_surrogate_in_a_column__is_named_not_raised():
    bad = verify([{**ROWS[0], "reason": "\ud800"}], chain=CHAIN)

    assert bad is not None
    assert (bad.sequence, bad.fault) == (1, Fault.UNREADABLE)


def test_verify__endless_rows__stops_at_the_first_bad_one():
    endless = itertools.chain(ROWS[:3], itertools.repeat(ROWS[0]))

    bad = verify(endless, chain=CHAIN)

    assert bad is not None
    assert bad.fault is Fault.REPEATED


def test_event_hash__known_facts__never_changes():
    """A stored chain has to verify with every later version."""
    facts = {name: name for name in ROW_COLUMNS if not name.endswith("hash")} | {"sequence": 1}

    assert event_hash(GENESIS_HASH, facts) == "40212e559916bae9a765abcf55c90567713b243853b4a56e98b7ad473300bbb5"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"b": 1, "a": [1, 2.5, None, True]}, b'{"a":[1,2.5,null,true],"b":1}'),
        ({"ü": "é\u2028\x7f"}, '{"ü":"é\u2028\x7f"}'.encode()),
        ('quote " backslash \\ tab \t', b'"quote \\" backslash \\\\ tab \\t"'),
        ({"B": 1, "a": 2, "Ä": 3}, '{"B":1,"a":2,"Ä":3}'.encode()),
    ],
)
def test_canonical_json__value__has_one_byte_form(value, expected):
    assert canonical_json(value) == expected


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "\ud800", {"a": "\udfff"}])
def test_canonical_json__what_json_cannot_say__is_refused(value):
    with pytest.raises(ValueError):  # noqa: PT011 - the standard library words it
        canonical_json(value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_canonical_json__read_back_and_written_again__is_the_same_bytes(value):
    try:
        written = canonical_json(value)
    except UnicodeEncodeError:
        return

    assert canonical_json(json.loads(written)) == written
