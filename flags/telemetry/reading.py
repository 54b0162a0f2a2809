"""From a JSON body to a batch of checked rows. Rows are judged one by one: a wrong one never spoils its neighbours.

What is refused is told by its reason, and as much of it is shown as `flags.telemetry.telling` allows.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

import orjson

from flags.evaluation.instants import parse_instant
from flags.telemetry import labels
from flags.telemetry.closing import minute_of
from flags.telemetry.latency import FIRST_BUCKET, LAST_BUCKET
from flags.telemetry.rows import Batch, EvaluationRow, MetricRow, RejectedRow
from flags.telemetry.telling import LARGEST_COUNT, Known, Telling, resembling
from flags.telemetry.unknown_keys import Keeping

MAX_ROWS = 5_000
MOST_BUCKETS = 500
LARGEST_SUM = 1e24
# What is larger still is taken for this: it is refused as well, and any float can hold it.
_BEYOND = 1e300
AHEAD = timedelta(minutes=2)
KEPT = timedelta(hours=72)

_Row = TypeVar("_Row", EvaluationRow, MetricRow)
_BATCH_FIELDS = frozenset({"batch_id", "service", "version", "evaluations", "metrics"})
_EVALUATION_FIELDS = frozenset({"flag", "variant", "reason", "minute", "count"})
_METRIC_FIELDS = frozenset(
    {"metric", "flag", "variant", "minute", "count", "bad", "units", "bad_units", "sum", "sum_squares", "sketch"}
)


class UnusableBatch(ValueError):
    """The body is no batch at all. `message` repeats names of fields at most; it is told, and kept nowhere."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class _Refused(ValueError):
    """A row that is not counted."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def parse_batch(body: bytes) -> Any:
    """The JSON document in a body. Raises UnusableBatch; how much there is to parse is known before it is parsed."""
    if body.count(b"{") + body.count(b"[") > 2 * MAX_ROWS + 8:
        raise _too_many()
    try:
        return orjson.loads(body)
    except ValueError as error:
        what = "nested too deep" if is_too_deep(error) else "not valid JSON in UTF-8"
        raise UnusableBatch("invalid_json", f"The body is {what}. Send a JSON object.") from None


def is_too_deep(error: Exception) -> bool:
    """Whether JSON could not be read or written for its depth, and not for its form."""
    return isinstance(error, RecursionError) or any(words in str(error) for words in ("depth limit", "Recursion limit"))


def read_batch(document: Any, *, known: Known, now: datetime) -> Batch:
    """The batch that a document describes, with the rows that are refused among `rejected`. Raises UnusableBatch."""
    if not isinstance(document, dict):
        raise UnusableBatch("invalid_batch", "The body is not a JSON object. Send {“batch_id”: …, “service”: …}.")
    _check_members(document)
    if not labels.is_batch_id(document.get("batch_id")):
        raise UnusableBatch(
            "invalid_batch", "“batch_id” is missing or has another form than 1 to 64 letters, digits and “._:-”."
        )
    if not labels.is_service(document.get("service")):
        raise UnusableBatch(
            "invalid_batch", "“service” is missing or no name. Send up to 100 letters, digits, “ ._:/+-”."
        )
    if not labels.is_version(document.get("version", "")):
        raise UnusableBatch("invalid_batch", "“version” is no version. Send up to 100 letters, digits and “ ._:/+-”.")
    evaluations, metrics = (_list_of(document, name) for name in ("evaluations", "metrics"))
    if len(evaluations) + len(metrics) > MAX_ROWS:
        raise _too_many()
    rejected: list[RejectedRow] = []
    telling = Telling(known)
    batch = Batch(
        document["batch_id"],
        document["service"],
        document.get("version", ""),
        tuple(_read(evaluations, _evaluation, _EVALUATION_FIELDS, rejected, telling)),
        tuple(_read(metrics, _metric, _METRIC_FIELDS, rejected, telling)),
        tuple(rejected),
    )
    return checked(batch, known=known, now=now)


def checked(batch: Batch, *, known: Known, now: datetime) -> Batch:
    """The batch without rows that say something impossible, or of something this environment does not serve."""
    rejected: list[RejectedRow] = []
    telling = Telling(known)

    def check_evaluation(row: EvaluationRow) -> None:
        _check_served(row.flag_key, row.variant, known, telling, is_code_default=not row.variant)
        _check_evaluation(row, now)

    def check_metric(row: MetricRow) -> None:
        _check_metric_name(row)
        _check_served(row.flag_key, row.variant, known, telling)
        _check_metric(row, now)

    evaluations = _passing(batch.evaluations, check_evaluation, rejected, telling)
    metrics = _passing(batch.metrics, check_metric, rejected, telling)
    if not rejected:
        return batch
    return replace(batch, evaluations=evaluations, metrics=metrics, rejected=(*batch.rejected, *rejected))


def _too_many() -> UnusableBatch:
    return UnusableBatch("too_many_rows", f"The batch has more than {MAX_ROWS:,} rows. Send several batches.")


def _check_members(document: dict[str, Any]) -> None:
    others = sorted(document.keys() - _BATCH_FIELDS)
    if not others:
        return
    names = ", ".join(f"“{labels.tellable_name(name)}”" for name in others[:5])
    if any(map(labels.is_personal, others)):
        raise UnusableBatch(
            "forbidden_field",
            f"The batch has fields that may say who somebody is: {names}. Nothing of it was kept. Send counts only.",
        )
    raise UnusableBatch("invalid_batch", f"The batch has fields that are not part of the contract: {names}.")


def _list_of(document: dict[str, Any], name: str) -> list[Any]:
    found = document.get(name, [])
    if not isinstance(found, list):
        raise UnusableBatch("invalid_batch", f"“{name}” is not a list.")
    return found


def _read(
    items: Iterable[Any],
    make: Callable[[dict[str, Any]], _Row],
    fields: frozenset[str],
    rejected: list[RejectedRow],
    telling: Telling,
) -> Iterable[_Row]:
    """Rows of the right types; the others are put with the rejected ones."""
    for item in items:
        if not isinstance(item, dict):
            rejected.append(RejectedRow("not_an_object", "The row is not a JSON object.", ""))
            continue
        try:
            if not item.keys() <= fields:
                _refuse_fields(sorted(item.keys() - fields), fields)
            yield make(item)
        except _Refused as error:
            rejected.append(RejectedRow(error.code, error.message, telling.row(item, fields)))


def _passing(
    rows: tuple[_Row, ...], check: Callable[[_Row], None], rejected: list[RejectedRow], telling: Telling
) -> tuple[_Row, ...]:
    passing, keeping = [], Keeping()
    for row in rows:
        try:
            check(row)
        except _Refused as error:
            rejected.append(_rejected(row, error, telling, keeping))
        else:
            passing.append(row)
    return tuple(passing)


def _rejected(row: EvaluationRow | MetricRow, error: _Refused, telling: Telling, keeping: Keeping) -> RejectedRow:
    told = telling.checked_row(row)
    if error.code != "unknown_flag":
        return RejectedRow(error.code, error.message, told)
    asked = max(0, min(row.count, LARGEST_COUNT)) if isinstance(row, EvaluationRow) else 0
    mark, kept = labels.flag_mark(row.flag_key), keeping.kept(row.flag_key)
    return RejectedRow(error.code, error.message, told, mark, kept, asked)


def _refuse_fields(others: list[str], fields: frozenset[str]) -> None:
    if any(map(labels.is_personal, others)):
        raise _Refused(
            "forbidden_field",
            "The row has a field that may say who somebody is, such as a targeting key, a context or a user. Neither "
            "its name nor its value was kept. Send counts only.",
        )
    meant = next((each for name in others[:5] if (each := resembling(name, fields))), None)
    raise _Refused(
        "unknown_field",
        "The row has a field that is not part of the contract. "
        + (f"Was “{meant}” meant?" if meant else f"Send {', '.join(sorted(fields))} only."),
    )


def _evaluation(item: dict[str, Any]) -> EvaluationRow:
    reason = _text(item, "reason").upper()
    if reason not in labels.REASONS:
        raise _Refused("unknown_reason", f"“reason” is none of {', '.join(sorted(labels.REASONS))}.")
    flag_key, variant = _text(item, "flag"), "" if item.get("variant") is None else _text(item, "variant")
    return EvaluationRow(flag_key, variant, reason, _minute(item), _whole(item, "count"))


def _metric(item: dict[str, Any]) -> MetricRow:
    return MetricRow(
        metric=_text(item, "metric"),
        flag_key=_text(item, "flag"),
        variant=_text(item, "variant"),
        minute=_minute(item),
        count=_whole(item, "count"),
        bad=_whole(item, "bad") if "bad" in item else 0,
        units=None if item.get("units") is None else _whole(item, "units"),
        bad_units=None if item.get("bad_units") is None else _whole(item, "bad_units"),
        total=_number(item, "sum"),
        total_squares=_number(item, "sum_squares"),
        sketch=_sketch(item.get("sketch")),
    )


def _text(item: dict[str, Any], name: str) -> str:
    value = item.get(name)
    if not isinstance(value, str):
        raise _Refused("invalid_value", f"“{name}” is missing or not a text.")
    if len(value) > 100:
        raise _Refused("too_long", f"“{name}” has more than 100 characters.")
    return value


def _whole(item: dict[str, Any], name: str) -> int:
    value = item.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _Refused("invalid_value", f"“{name}” is missing or not a whole number.")
    return value


def _number(item: dict[str, Any], name: str) -> float:
    value = item.get(name)
    if value is None:
        return 0.0
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _Refused("invalid_value", f"“{name}” is not a number.")
    return float(max(-_BEYOND, min(_BEYOND, value)))


def _minute(item: dict[str, Any]) -> datetime:
    instant = parse_instant(item.get("minute"))
    if instant is None:
        raise _Refused("invalid_value", "“minute” is no instant with a zone. Send one like 2026-11-21T09:30:00Z.")
    return minute_of(instant)


def _sketch(given: Any) -> dict[int, int]:
    if given is None:
        return {}
    if not isinstance(given, dict) or len(given) > MOST_BUCKETS:
        raise _Refused("invalid_sketch", f"“sketch” is not an object of at most {MOST_BUCKETS} buckets and counts.")
    try:
        found = {int(bucket): count for bucket, count in given.items() if len(bucket) <= 7}
    except ValueError:
        found = {}
    if len(found) != len(given) or not all(type(count) is int for count in found.values()):
        raise _Refused("invalid_sketch", "“sketch” has a bucket or a count that is no whole number.")
    return found


def _check_served(
    flag_key: str, variant: str, known: Known, telling: Telling, *, is_code_default: bool = False
) -> None:
    if flag_key not in known:
        raise _unknown_flag(flag_key, telling.flag(flag_key))
    if not is_code_default and variant not in known[flag_key]:
        raise _unknown_variant(flag_key, variant, telling.variant(flag_key, variant))


def _check_evaluation(row: EvaluationRow, now: datetime) -> None:
    _check_minute(row.minute, now)
    _check_counts(row.count)


def _check_metric_name(row: MetricRow) -> None:
    if not labels.is_metric_name(row.metric):
        raise _Refused(
            "invalid_metric", "“metric” is no name of a metric: lower-case letters, digits and “_.-”, 100 at most."
        )


def _check_metric(row: MetricRow, now: datetime) -> None:
    _check_minute(row.minute, now)
    _check_counts(row.count, row.bad, row.units or 0, row.bad_units or 0, *row.sketch.values())
    if row.bad > row.count:
        raise _Refused("bad_exceeds_count", "“bad” is larger than “count”: no more events can be bad than there were.")
    if row.units is not None or row.bad_units is not None:
        _check_units(row)
    if not all(math.isfinite(each) and 0 <= each <= LARGEST_SUM for each in (row.total, row.total_squares)):
        raise _Refused("invalid_value", "“sum” or “sum_squares” is negative, too large or no number.")
    if any(not FIRST_BUCKET <= bucket <= LAST_BUCKET for bucket in row.sketch) or sum(row.sketch.values()) > row.count:
        raise _Refused("invalid_sketch", "“sketch” holds more events than “count”, or a bucket that does not exist.")


def _check_units(row: MetricRow) -> None:
    if row.units is None or row.bad_units is None:
        raise _Refused("invalid_units", "“units” and “bad_units” go together: send both or neither.")
    if row.units > row.count:
        raise _Refused("units_exceed_count", "“units” is larger than “count”: every unit has at least one event.")
    if row.bad_units > min(row.units, row.bad) or (row.bad and not row.bad_units):
        raise _Refused("invalid_units", "“bad_units” does not fit “units” and “bad”.")
    if row.units - row.bad_units > row.count - row.bad:
        raise _Refused("invalid_units", "There are more units without a bad event than events that were not bad.")


def _check_minute(minute: datetime, now: datetime) -> None:
    if minute > now + AHEAD:
        raise _Refused("minute_in_future", "“minute” is more than two minutes ahead of us. Check the sender's clock.")
    if minute < now - KEPT:
        raise _Refused("minute_too_old", "“minute” is more than 72 hours ago. Nothing that old is counted any more.")


def _check_counts(*counts: int) -> None:
    if min(counts) < 0:
        raise _Refused("negative", "A count is negative.")
    if max(counts) > LARGEST_COUNT:
        raise _Refused("too_large", f"A count is larger than {LARGEST_COUNT:,}.")


def _unknown_flag(key: str, meant: str | None) -> _Refused:
    if meant:
        return _Refused("unknown_flag", f"The flag “{key}” is not set up in this environment. Was “{meant}” meant?")
    return _Refused(
        "unknown_flag",
        "A flag is not set up in this environment, and no key here resembles the one that was sent. Check the keys in "
        "the service, and whether its token is for another project or environment.",
    )


def _unknown_variant(key: str, variant: str, meant: str | None) -> _Refused:
    if meant:
        told = f"The flag “{key}” has no variant “{variant}” in this environment. Was “{meant}” meant?"
    else:
        told = f"The flag “{key}” has no variant in this environment that resembles the one that was sent."
    return _Refused("unknown_variant", told)
