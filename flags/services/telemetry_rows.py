"""Adding to counts: many rows in one statement, whether they exist or not, in one order so that nobody deadlocks."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from django.db import connection, models

from flags.models import EvaluationCount, MetricCount
from flags.telemetry.rows import MetricRow


class EvaluationKey(NamedTuple):
    """What evaluations are counted by."""

    environment_id: uuid.UUID
    at: datetime
    flag_key: str
    variant: str
    reason: str
    service: str
    version: str


class MetricKey(NamedTuple):
    """What a metric is counted by."""

    environment_id: uuid.UUID
    at: datetime
    metric: str
    flag_key: str
    variant: str


@dataclass(slots=True)
class MetricSums:
    """The columns of a `MetricCount` that add up."""

    count: int = 0
    bad: int = 0
    units: int = 0
    bad_units: int = 0
    without_units: int = 0
    bad_without_units: int = 0
    total: float = 0.0
    total_squares: float = 0.0
    late_count: int = 0
    late_bad: int = 0
    sketch: dict[int, int] = field(default_factory=dict)

    def add(self, row: MetricRow, *, is_late: bool) -> None:
        """Count a reported row. What is late decides nothing, so only how much it was is kept."""
        if is_late:
            self.late_count += row.count
            self.late_bad += row.bad
            return
        self.count += row.count
        self.bad += row.bad
        if row.units is None or row.bad_units is None:
            self.without_units += row.count
            self.bad_without_units += row.bad
        else:
            self.units += row.units
            self.bad_units += row.bad_units
        self.total += row.total
        self.total_squares += row.total_squares
        self.add_sketch(row.sketch)

    def add_sketch(self, sketch: Mapping[int, int]) -> None:
        """Merge a sketch: buckets add up."""
        for bucket, count in sketch.items():
            self.sketch[bucket] = self.sketch.get(bucket, 0) + count


# The names of sums in their order, the sketch last.
SUMS = tuple(MetricSums.__dataclass_fields__)


def add_evaluations(counts: Mapping[EvaluationKey, int], *, span: str = "minute", replaces: bool = False) -> None:
    """Add to the counts of evaluations, or put these in their place."""
    rows = [(*key[:1], span, *key[1:], count) for key, count in sorted(counts.items()) if count]
    _add_or_replace(EvaluationCount, ("environment_id", "span", *EvaluationKey._fields[1:]), ("count",), rows, replaces)


def add_metrics(sums: Mapping[MetricKey, MetricSums], *, span: str = "minute", replaces: bool = False) -> None:
    """Add to the counts of metrics, or put these in their place."""
    rows = [
        (*key[:1], span, *key[1:], *(_column_value(each, name) for name in SUMS)) for key, each in sorted(_items(sums))
    ]
    _add_or_replace(MetricCount, ("environment_id", "span", *MetricKey._fields[1:]), SUMS, rows, replaces)


def _items(sums: Mapping[MetricKey, MetricSums]) -> Iterable[tuple[MetricKey, MetricSums]]:
    # Keys are unique, so sums are never compared.
    return sums.items()


def _column_value(sums: MetricSums, name: str) -> Any:
    if name != "sketch":
        return getattr(sums, name)
    return orjson.dumps(sums.sketch, option=orjson.OPT_NON_STR_KEYS).decode()


def _add_or_replace(
    model: type[models.Model], keys: Sequence[str], sums: Sequence[str], rows: list[tuple[Any, ...]], replaces: bool
) -> None:
    changes = ", ".join(f"{name} = {_changed(model._meta.db_table, name, replaces)}" for name in sums)
    upsert(model, keys, sums, rows, f"SET {changes}")


def upsert(
    model: type[models.Model], keys: Sequence[str], others: Sequence[str], rows: list[tuple[Any, ...]], change: str
) -> None:
    """Insert rows, or carry out `change` where there is one with these keys; rows of one call differ in their keys."""
    if not rows:
        return
    columns = (*keys, *others)
    into = f"INSERT INTO {model._meta.db_table} ({', '.join(columns)})"
    conflict = f"ON CONFLICT ({', '.join(keys)}) DO UPDATE {change}"
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            types = [_postgresql_type(model, name) for name in columns]
            arrays = ", ".join(f"%s::{'text' if each == 'jsonb' else each}[]" for each in types)
            values = ", ".join(f"given.c{number}::{each}" for number, each in enumerate(types))
            names = ", ".join(f"c{number}" for number in range(len(types)))
            source = f"SELECT {values} FROM unnest({arrays}) AS given({names})"  # noqa: S608 - names are ours
            cursor.execute(f"{into} {source} {conflict}", [list(each) for each in zip(*rows, strict=True)])
        else:
            fields = [model._meta.get_field(name) for name in columns]
            marks = ", ".join(["%s"] * len(columns))
            plain = [[_plain(field, value) for field, value in zip(fields, row, strict=True)] for row in rows]
            cursor.executemany(f"{into} VALUES ({marks}) {conflict}", plain)


def _plain(field: Any, value: Any) -> Any:
    """A value as SQLite keeps it. Sketches are JSON already."""
    return value if isinstance(field, models.JSONField) else field.get_db_prep_save(value, connection)


def _postgresql_type(model: type[models.Model], name: str) -> str:
    kinds = {
        models.ForeignKey: "uuid",
        models.DateTimeField: "timestamptz",
        models.BigIntegerField: "bigint",
        models.BooleanField: "boolean",
        models.FloatField: "double precision",
        models.JSONField: "jsonb",
    }
    return kinds.get(type(model._meta.get_field(name)), "text")


def _changed(table: str, name: str, replaces: bool) -> str:
    if replaces:
        return f"excluded.{name}"
    if name != "sketch":
        return f"{table}.{name} + excluded.{name}"
    return _MERGED[connection.vendor].format(table=table)


_MERGED = {
    "postgresql": """CASE WHEN excluded.sketch = '{{}}'::jsonb THEN {table}.sketch ELSE (
        SELECT jsonb_object_agg(bucket, held) FROM (
            SELECT both_of.key AS bucket, SUM(both_of.value::bigint) AS held FROM (
                SELECT * FROM jsonb_each_text({table}.sketch) UNION ALL SELECT * FROM jsonb_each_text(excluded.sketch)
            ) AS both_of GROUP BY both_of.key
        ) AS merged
    ) END""",
    "sqlite": """CASE WHEN excluded.sketch = '{{}}' THEN {table}.sketch ELSE (
        SELECT json_group_object(bucket, held) FROM (
            SELECT both_of.key AS bucket, SUM(both_of.value) AS held FROM (
                SELECT key, value FROM json_each({table}.sketch)
                UNION ALL SELECT key, value FROM json_each(excluded.sketch)
            ) AS both_of GROUP BY both_of.key
        ) AS merged
    ) END""",
}
