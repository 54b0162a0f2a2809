"""How debt is counted: since when, and how sure one is."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.lifecycle.debt import debt_of, points_of
from flags.lifecycle.facts import FlagFacts, PlaceFacts
from flags.lifecycle.staleness import judge
from flags.lifecycle.thresholds import NEVER, Thresholds

from .cases import ROLLED_OUT, USED
from .situations import (
    NOW,
    SILENT,
    ago,
    aimed,
    flag,
    place,
    places,
    plain,
    share,
    staging,
    use,
)


def test_debt__counts_weeks_and_how_sure_one_is() -> None:
    sure = judge(flag(place(*ROLLED_OUT, use=use(60)), thresholds=Thresholds(settled=30)), NOW)
    unsure = judge(flag(place(*ROLLED_OUT, figures=SILENT), thresholds=Thresholds(settled=30)), NOW)
    young = judge(flag(place(*ROLLED_OUT), age=3), NOW)

    debt = debt_of([sure, unsure, young], NOW)

    assert (points_of(sure, NOW), points_of(unsure, NOW), points_of(young, NOW)) == (20, 8, 0)
    assert (debt.score, debt.flags, debt.stale) == (28, 3, 2)
    assert debt.parts == {"fully_rolled_out": 28}


SETTLED = Thresholds(settled=30)


@pytest.mark.parametrize(
    ("facts", "days", "points"),
    [
        # The first reason that holds for longer than is usual.
        (flag(place(*ROLLED_OUT, use=use(60)), thresholds=Thresholds(settled=30, unused=30)), 70, 20),
        (flag(place(*ROLLED_OUT, use=use(99)), thresholds=Thresholds(settled=80, unused=30)), 69, 19),
        (flag(place((190, share(10)), (30, share(100)), use=USED), thresholds=SETTLED), 0, 10),
        (flag(place((190, share(10)), (37, share(100)), use=USED), thresholds=SETTLED), 7, 11),
        (flag(place(*ROLLED_OUT, use=USED), thresholds=replace(SETTLED, settled=None, lifetime=190)), 10, 7),
        # Not before the last guard ended.
        (flag(place((29, plain()), use=USED), age=29, thresholds=Thresholds(no_rules=7)), None, 0),
        (flag(place((30, plain()), use=USED), age=30, thresholds=Thresholds(no_rules=7)), 0, 10),
        (flag(place((33, plain()), use=USED), age=33, thresholds=Thresholds(no_rules=7)), 3, 10),
        (flag(place(*ROLLED_OUT, use=USED), staging((15, aimed())), thresholds=SETTLED), 1, 10),
        (flag(place(*ROLLED_OUT, use=USED), snooze_ended_at=ago(8), thresholds=SETTLED), 8, 11),
        (flag(place(*ROLLED_OUT, use=USED), snooze_ended_at=ago(90), thresholds=SETTLED), 70, 20),
        (flag(place(*ROLLED_OUT, use=USED), snoozed_until=ago(-1), thresholds=SETTLED), None, 0),
        (flag(staging(), thresholds=NEVER, age=60), 30, 14),
    ],
)
def test_since__reason_is_due_and_no_guard_holds__points_grow_from_then(
    facts: FlagFacts, days: float | None, points: int
) -> None:
    found = judge(facts, NOW)

    assert found.since == (None if days is None else ago(days))
    assert points_of(found, NOW) == points


@given(places, st.floats(30, 400), st.sampled_from(["release", "experiment", "operational"]))
def test_since__whatever_was_found__is_no_guarded_day(where: PlaceFacts, age: float, kind: str) -> None:
    found = judge(flag(where, kind=kind, age=age), NOW)

    if found.since is not None:
        assert ago(age - 30) <= found.since <= NOW
        assert found.since >= min(each.since for each in found.findings)
