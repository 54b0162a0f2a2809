"""Watches that counted on, written together: one statement for any number of them.

What is pending is added to in the database, so that a look neither reads nor sends the minutes of the looks before.
Whoever counted the same minutes at the same moment writes nothing: a row is only taken on from where it was read.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from rollouts.models import GuardWatch


@dataclass(frozen=True, slots=True)
class CountedOn:
    """A stored watch that was counted on: how far it was when it was read, and the intervals that came since."""

    watch: GuardWatch
    was: datetime | None
    intervals: Sequence[Sequence[Any]]


def write_counted(counted: Collection[CountedOn]) -> None:
    """Store where these watches are now. What was said about them is left as it is."""
    if not counted:
        return
    given = json.dumps([_given(number, one) for number, one in enumerate(counted)], separators=(",", ":"))
    with connection.cursor() as cursor:
        cursor.execute(_STATEMENTS[connection.vendor], [given])


def _given(number: int, one: CountedOn) -> dict[str, Any]:
    watch = one.watch
    return {
        "number": number,
        "id": str(GuardWatch._meta.pk.get_db_prep_value(watch.pk, connection, prepared=True)),
        "was": _instant(one.was),
        "through": _instant(watch.through),
        "sampled_at": _instant(watch.sampled_at),
        "control_at": _instant(watch.control_at),
        "treatment_at": _instant(watch.treatment_at),
        "accumulated": watch.accumulated,
        "pending": one.intervals,
        "fresh_minutes": watch.fresh_minutes,
    }


def _instant(value: datetime | None) -> str | None:
    """An instant as the database writes it."""
    return None if value is None else str(connection.ops.adapt_datetimefield_value(value))


# Rows are locked in the order given, plan by plan and guard by guard as verdicts are kept, so that two who write the
# same ones wait for each other instead of for ever.
_STATEMENTS = {
    "postgresql": """
        WITH given AS MATERIALIZED (
            SELECT * FROM jsonb_to_recordset(%s::jsonb) AS given(
                number integer, id uuid, was timestamptz, through timestamptz, sampled_at timestamptz,
                control_at timestamptz, treatment_at timestamptz, accumulated jsonb, pending jsonb,
                fresh_minutes integer
            )
        ), locked AS MATERIALIZED (
            SELECT id FROM rollouts_guardwatch AS row JOIN given USING (id) ORDER BY number FOR NO KEY UPDATE OF row
        )
        UPDATE rollouts_guardwatch AS watch SET
            through = given.through, sampled_at = given.sampled_at, control_at = given.control_at,
            treatment_at = given.treatment_at, accumulated = given.accumulated,
            pending = watch.pending || given.pending, fresh_minutes = given.fresh_minutes
        FROM given JOIN locked USING (id)
        WHERE watch.id = given.id AND watch.through IS NOT DISTINCT FROM given.was""",
    "sqlite": """
        UPDATE rollouts_guardwatch SET
            through = given.value ->> 'through', sampled_at = given.value ->> 'sampled_at',
            control_at = given.value ->> 'control_at', treatment_at = given.value ->> 'treatment_at',
            accumulated = given.value -> 'accumulated', fresh_minutes = given.value ->> 'fresh_minutes',
            pending = (
                SELECT json_group_array(json(both_of.value)) FROM (
                    SELECT value FROM json_each(rollouts_guardwatch.pending)
                    UNION ALL SELECT value FROM json_each(given.value -> 'pending')
                    ORDER BY value
                ) AS both_of
            )
        FROM json_each(%s) AS given
        WHERE rollouts_guardwatch.id = given.value ->> 'id' AND rollouts_guardwatch.through IS given.value ->> 'was'""",
}
