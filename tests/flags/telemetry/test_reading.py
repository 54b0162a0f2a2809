"""What a batch may say, row by row; what is refused, and how little of it is repeated."""

import json
import math
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from flags.telemetry.latency import FIRST_BUCKET, LAST_BUCKET
from flags.telemetry.packing import Delivery, pack, unpack
from flags.telemetry.reading import MAX_ROWS, UnusableBatch, checked, parse_batch, read_batch
from flags.telemetry.rows import EvaluationRow, MetricRow
from flags.telemetry.telling import MOST_COMPARED, resembling
from tests.factories import NOW
from tests.flags.telemetry.reports import KNOWN, MINUTE, batch, document, evaluated, evaluation, measured, metric

LONG = "x" * 101
PLANTED = "planted@person.example"

BAD_EVALUATIONS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown flag": ({"flag": "other"}, "unknown_flag"),
    "no flag": ({"flag": None}, "invalid_value"),
    "flag is a number": ({"flag": 7}, "invalid_value"),
    "long flag": ({"flag": LONG}, "too_long"),
    "unknown variant": ({"variant": "c"}, "unknown_variant"),
    "variant of another flag": ({"variant": "a"}, "unknown_variant"),
    "long variant": ({"variant": LONG}, "too_long"),
    "unknown reason": ({"reason": "BECAUSE"}, "unknown_reason"),
    "no reason": ({"reason": None}, "invalid_value"),
    "negative": ({"count": -1}, "negative"),
    "huge": ({"count": 10**9 + 1}, "too_large"),
    "very huge": ({"count": 10**30}, "too_large"),
    "fraction": ({"count": 1.5}, "invalid_value"),
    "true": ({"count": True}, "invalid_value"),
    "text": ({"count": "3"}, "invalid_value"),
    "no count": ({"count": None}, "invalid_value"),
    "no minute": ({"minute": None}, "invalid_value"),
    "no zone": ({"minute": "2026-03-02T09:00:00"}, "invalid_value"),
    "ahead": ({"minute": "2026-03-02T09:03:00Z"}, "minute_in_future"),
    "old": ({"minute": "2026-02-27T08:59:00Z"}, "minute_too_old"),
    "targeting key": ({"targetingKey": PLANTED}, "forbidden_field"),
    "snake case": ({"targeting_key": PLANTED}, "forbidden_field"),
    "context": ({"context": {"mail": PLANTED}}, "forbidden_field"),
    "user": ({"userId": PLANTED}, "forbidden_field"),
    "mail": ({"E-Mail": PLANTED}, "forbidden_field"),
    "value": ({"value": PLANTED}, "unknown_field"),
}
BAD_METRICS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown flag": ({"flag": "other"}, "unknown_flag"),
    "no variant": ({"variant": None}, "invalid_value"),
    "empty variant": ({"variant": ""}, "unknown_variant"),
    "name with a space": ({"metric": "error rate"}, "invalid_metric"),
    "capitals": ({"metric": "Errors"}, "invalid_metric"),
    "empty name": ({"metric": ""}, "invalid_metric"),
    "long name": ({"metric": LONG}, "too_long"),
    "negative bad": ({"bad": -1}, "negative"),
    "more bad than events": ({"bad": 11}, "bad_exceeds_count"),
    "more units than events": ({"units": 11, "bad_units": 1}, "units_exceed_count"),
    "units alone": ({"units": 5}, "invalid_units"),
    "bad units alone": ({"bad_units": 1}, "invalid_units"),
    "more bad units than units": ({"bad": 8, "units": 2, "bad_units": 3}, "invalid_units"),
    "more bad units than bad": ({"units": 5, "bad_units": 3}, "invalid_units"),
    "bad events of nobody": ({"units": 5, "bad_units": 0}, "invalid_units"),
    "more good units than good events": ({"bad": 9, "units": 5, "bad_units": 1}, "invalid_units"),
    "negative sum": ({"sum": -0.5}, "invalid_value"),
    "huge sum": ({"sum": 1e25}, "invalid_value"),
    "sum no float can hold": ({"sum": 10**400}, "invalid_value"),
    "not a number": ({"sum": math.nan}, "invalid_value"),
    "endless": ({"sum_squares": math.inf}, "invalid_value"),
    "sum is a text": ({"sum": "3"}, "invalid_value"),
    "sketch is a list": ({"sketch": [1]}, "invalid_sketch"),
    "sketch by words": ({"sketch": {"fast": 1}}, "invalid_sketch"),
    "sketch of fractions": ({"sketch": {"1": 0.5}}, "invalid_sketch"),
    "sketch of true": ({"sketch": {"1": True}}, "invalid_sketch"),
    "negative bucket count": ({"sketch": {"1": -1}}, "negative"),
    "too many in sketch": ({"sketch": {"1": 6, "2": 5}}, "invalid_sketch"),
    "too many buckets": ({"sketch": {str(each): 0 for each in range(501)}}, "invalid_sketch"),
    "bucket beyond": ({"sketch": {str(LAST_BUCKET + 1): 1}}, "invalid_sketch"),
    "bucket before the first": ({"sketch": {str(FIRST_BUCKET - 1): 1}}, "invalid_sketch"),
    "the same bucket twice": ({"sketch": {"1": 1, "01": 1}}, "invalid_sketch"),
    "ahead": ({"minute": "2026-03-02T09:03:00Z"}, "minute_in_future"),
    "targeting key": ({"targetingKey": PLANTED}, "forbidden_field"),
    "attributes": ({"attributes": {"mail": PLANTED}}, "forbidden_field"),
}


@pytest.mark.parametrize("name", BAD_EVALUATIONS)
def test_read__evaluation_that_cannot_be__is_refused_alone(name: str):
    changes, code = BAD_EVALUATIONS[name]

    found = read_batch(document(evaluations=[evaluation(), evaluation(**changes)]), known=KNOWN, now=NOW)

    assert [row.count for row in found.evaluations] == [3]
    (refused,) = found.rejected
    assert refused.code == code
    assert PLANTED not in repr(found)
    assert len(refused.row) <= 1000
    assert json.loads(refused.row)


@pytest.mark.parametrize("name", BAD_METRICS)
def test_read__metric_that_cannot_be__is_refused_alone(name: str):
    changes, code = BAD_METRICS[name]

    found = read_batch(document(metrics=[metric(), metric(**changes)]), known=KNOWN, now=NOW)

    assert [row.count for row in found.metrics] == [10]
    assert [refused.code for refused in found.rejected] == [code]
    assert PLANTED not in repr(found)


@pytest.mark.parametrize("item", [None, 1, "x", [], [[]]])
def test_read__row_that_is_no_object__is_refused_alone(item: Any):
    found = read_batch(document(evaluations=[item, evaluation()]), known=KNOWN, now=NOW)

    assert len(found.evaluations) == 1
    assert [refused.code for refused in found.rejected] == ["not_an_object"]


def test_read__everything_a_metric_may_say__is_kept():
    row = metric(
        units=6, bad_units=2, sum=12.5, sum_squares=80, sketch={"-3": 4, "12": 6}, minute="2026-03-02T09:00:59+00:00"
    )

    (found,) = read_batch(document(metrics=[row]), known=KNOWN, now=NOW).metrics

    assert found == MetricRow("errors", "checkout", "on", MINUTE, 10, 2, 6, 2, 12.5, 80.0, {-3: 4, 12: 6})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"variant": None}, ("", "SPLIT")),
        ({"variant": ""}, ("", "SPLIT")),
        ({"reason": "targeting_match"}, ("on", "TARGETING_MATCH")),
        ({"minute": "2026-03-02T09:02:00Z"}, ("on", "SPLIT")),
        ({"minute": "2026-02-27T09:00:00Z"}, ("on", "SPLIT")),
        ({"count": 0}, ("on", "SPLIT")),
        ({"count": 10**9}, ("on", "SPLIT")),
    ],
)
def test_read__evaluation_at_the_edge__is_counted(changes: dict[str, Any], expected: tuple[str, str]):
    found = read_batch(document(evaluations=[evaluation(**changes)]), known=KNOWN, now=NOW)

    assert [(row.variant, row.reason) for row in found.evaluations] == [expected]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ([], "invalid_batch"),
        ({}, "invalid_batch"),
        (document(batch_id=""), "invalid_batch"),
        (document(batch_id="x" * 65), "invalid_batch"),
        (document(batch_id=7), "invalid_batch"),
        (document(service=""), "invalid_batch"),
        (document(service="(other)"), "invalid_batch"),
        (document(service="a\x00"), "invalid_batch"),
        (document(service=LONG), "invalid_batch"),
        (document(version=[]), "invalid_batch"),
        (document(evaluations={}) | {"evaluations": {}}, "invalid_batch"),
        (document() | {"metrics": "many"}, "invalid_batch"),
        (document(extra=1), "invalid_batch"),
        (document(targetingKey=PLANTED), "forbidden_field"),
        (document(context={"mail": PLANTED}), "forbidden_field"),
        (document(evaluations=[{}] * MAX_ROWS, metrics=[{}]), "too_many_rows"),
    ],
)
def test_read__no_batch__is_refused_as_a_whole(given: Any, code: str):
    with pytest.raises(UnusableBatch) as refused:
        read_batch(given, known=KNOWN, now=NOW)

    assert refused.value.code == code
    assert PLANTED not in refused.value.message


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b'{"a": NaN}', "invalid_json"),
        (b"\xff\xfe", "invalid_json"),
        (b'["\\ud800"]', "invalid_json"),
        (b"[" * 5_000 + b"]" * 5_000, "invalid_json"),
        (b"[" * 20_000, "too_many_rows"),
    ],
)
def test_parse__body_that_is_no_json__is_refused(body: bytes, code: str):
    with pytest.raises(UnusableBatch) as refused:
        parse_batch(body)

    assert refused.value.code == code


def test_checked__rows_from_elsewhere__are_judged_alike():
    given = batch(evaluated(), evaluated(flag_key="other"), measured(), measured(bad=11), measured(variant="z"))

    found = checked(given, known=KNOWN, now=NOW)

    assert (len(found.evaluations), len(found.metrics)) == (1, 1)
    assert [refused.code for refused in found.rejected] == ["unknown_flag", "bad_exceeds_count", "unknown_variant"]
    assert json.loads(found.rejected[1].row)["bad"] == 11


def test_checked__nothing_wrong__is_the_batch_itself():
    given = batch(evaluated(), measured())

    assert checked(given, known=KNOWN, now=NOW) is given


def test_pack__any_delivery__comes_back_as_it_was():
    rows = (
        EvaluationRow("checkout", "", "DEFAULT", MINUTE, 10**9),
        measured(units=5, bad_units=2, total=0.1, total_squares=1e24, sketch={-7: 3}),
        measured(),
    )
    refused = read_batch(document(metrics=[metric(bad=-1)]), known=KNOWN, now=NOW).rejected
    received = datetime(2026, 3, 2, 9, 0, 1, 123457, tzinfo=UTC)
    delivery = Delivery(replace(batch(*rows), rejected=refused), uuid.uuid4(), uuid.uuid4(), received)

    assert unpack(pack(delivery)) == delivery
    assert unpack(pack(replace(delivery, token_id=None))).token_id is None


@pytest.mark.parametrize("packed", [b"", b"{}", b"[2]", b'[1,"x",null,"x",[],[],[],[]]', b"[1,2,3,4,5,6,7,8]"])
def test_unpack__something_else__raises(packed: bytes):
    with pytest.raises((ValueError, TypeError, KeyError)):
        unpack(packed)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"flag": "chekout"}, "Was “checkout” meant?"),
        ({"flag": "Checkout"}, "Was “checkout” meant?"),
        ({"flag": "check\x00out"}, "resembles"),
        ({"flag": "search", "variant": "alice"}, "resembles"),
        ({"varient": "on"}, "Was “variant” meant?"),
        ({"colour": "red"}, "Send bad, bad_units, count,"),
    ],
)
def test_read__misspelt__says_what_was_probably_meant(changes: dict[str, Any], told: str):
    (refused,) = read_batch(document(metrics=[metric(**changes)]), known=KNOWN, now=NOW).rejected

    assert told in refused.message
    assert "\x00" not in refused.message


SOMEBODY = [
    {"flag": "0b9c7b1e-5f3d-4c58-9c7e-2f0f5f3f1a11"},
    {"variant": "user-4711"},
    {"variant": "alice"},
    {"flag": "alice", "variant": "on", "count": "x"},
    {"alice-4711": 1},
    {"alice-account": 1},
    {"count": 4915112345678},
    {"sum": "4915112345678"},
    {"bad": 4915112345678.5},
    {"metric": "Alice Smith"},
]


@pytest.mark.parametrize("changes", SOMEBODY)
def test_read__somebody_where_a_key_belongs__nothing_of_him_is_kept(changes: dict[str, Any]):
    found = read_batch(document(metrics=[metric(**changes)]), known=KNOWN, now=NOW)

    assert found.rejected
    for somebody in ("0b9c7b1e", "4711", "alice", "Alice", "4915112345678"):
        assert somebody not in repr(found.rejected)


@pytest.mark.parametrize(
    ("text", "known", "expected"),
    [
        ("serach", ("search", "checkout"), "search"),
        ("user-4711", ("user-1", "user-4712"), None),
        ("Checkout_Redesign", ("checkout-redesign",), "checkout-redesign"),
        ("no", ("on", "off"), None),
        ("x" * 100, ("x",), None),
        ("", ("a",), None),
    ],
)
def test_resembling__text__is_near_a_key_or_nobodys(text: str, known: tuple[str, ...], expected: str | None):
    assert resembling(text, known) == expected


def test_telling__more_texts_than_are_compared__are_not_shown():
    rows = [metric(flag=f"chekout{'x' * (number % 2)}-{number}") for number in range(MOST_COMPARED)]

    *_, last = read_batch(document(metrics=[*rows, metric(flag="chekout")]), known=KNOWN, now=NOW).rejected

    assert "chekout" not in last.message
