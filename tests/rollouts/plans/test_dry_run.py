"""When stages come at the earliest: over freezes, dates, soaks and people, months ahead."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollouts.plans.definition import Check, CheckKind, Gates, Patch, Stage
from rollouts.plans.dry_run import Freeze, timeline
from rollouts.plans.strategies import canary, ring
from rollouts.plans.words import amount, instant, people, span
from tests.rollouts.plans.shapes import KEY, plan, share, stage

START = datetime(2026, 11, 20, 9, tzinfo=UTC)
SMOKE = Check("Smoke test", CheckKind.HTTP, url="https://example.org")


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def hours_of(entries) -> list[float]:
    return [(entry.earliest_at - START) / timedelta(hours=1) for entry in entries]


def frozen(start: float, end: float, title: str = "Sale", *keys: str) -> Freeze:
    return Freeze(at(start), at(end), title, frozenset(keys))


THREE = plan(*(stage(str(n), share(n * 30_000), soak_minutes=60) for n in (1, 2, 3)))
FROZEN = [
    ("no freeze", (), [0, 1, 2]),
    ("over already", (frozen(-5, 0),), [0, 1, 2]),
    ("at the start", (frozen(-1, 5),), [5, 6, 7]),
    ("between two stages", (frozen(0.5, 48),), [0, 48, 49]),
    ("begins right then", (frozen(1, 2),), [0, 2, 3]),
    ("two that touch", (frozen(1, 2), frozen(2, 4)), [0, 4, 5]),
    ("one within another", (frozen(0.5, 9), frozen(1, 2)), [0, 9, 10]),
    ("given in any order", (frozen(2, 4), frozen(1, 2)), [0, 4, 5]),
    ("of another flag", (frozen(0, 9, "Sale", "search"),), [0, 1, 2]),
    ("of this flag", (frozen(0, 9, "Sale", "search", KEY),), [9, 10, 11]),
    ("months", (frozen(0.5, 24 * 90),), [0, 24 * 90, 24 * 90 + 1]),
]


@pytest.mark.parametrize(("freezes", "expected"), [case[1:] for case in FROZEN], ids=[case[0] for case in FROZEN])
def test_timeline__freezes__put_stages_off(freezes, expected):
    assert hours_of(timeline(THREE, starts_at=START, freezes=freezes)) == expected


def test_timeline__freeze_in_the_way__is_named():
    entries = timeline(THREE, starts_at=START, freezes=[frozen(0.5, 48)])

    assert entries[1].waits_for == ("soak", "freeze")
    assert entries[1].sentences == ("After 1 hour.", "Frozen by “Sale” until 22 November 2026 09:00 UTC.")
    assert entries[1].is_certain


def test_timeline__every_gate__is_what_the_next_stage_waits_for():
    gates = Gates(90, at(50), 2, 1_500, True, (SMOKE,))
    definition = plan(Stage("a", (share(1_000),), gates), stage("b", share(100_000), soak_minutes=15))

    first, second = timeline(definition, starts_at=START, approvals_take=timedelta(hours=4))

    assert (first.earliest_at, first.leaves_at, first.waits_for) == (START, at(54), ())
    assert (second.earliest_at, second.leaves_at) == (at(54), at(54.25))
    assert second.waits_for == ("soak", "not_before", "sample", "guards", "check", "approval")
    assert second.sentences == (
        "After 1 hour 30 minutes with fresh data.",
        "Not before 22 November 2026 11:00 UTC.",
        "Once 1,500 people were seen with each variant.",
        "Once every guard has shown that it is safe.",
        "Once Smoke test passes.",
        "Once there are 2 approvals.",
    )
    assert first.is_certain
    assert not second.is_certain


def test_timeline__shares__are_those_of_the_first_flag():
    stages = [
        stage("a", Patch(KEY, variant="on", segment="staff")),
        stage("b", share(7_000), share(9_000, key="search")),
        stage("c", share(9_500, key="search")),
        stage("d", share(100_000)),
    ]

    entries = timeline(plan(*stages, flags=(KEY, "search")), starts_at=START)

    assert [entry.share for entry in entries] == [None, 7_000, 7_000, 100_000]


def test_timeline__strategies__take_as_long_as_they_say():
    small, everybody = timeline(plan(*canary(KEY, variant="on")), starts_at=START)
    rings = timeline(plan(*ring(KEY, variant="on", segments=["a", "b"], minutes=60)), starts_at=START)

    assert (everybody.earliest_at, everybody.leaves_at) == (at(24), at(25))
    assert [entry.name for entry in (small, *rings)] == ["5 %", "a", "b", "Everyone"]
    assert hours_of(rings) == [0, 1, 2]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2_000), st.integers(1, 400)), max_size=6),
    st.lists(st.integers(0, 600), min_size=1, max_size=6),
)
def test_timeline__any_freezes__no_stage_falls_into_one_or_comes_early(windows, soaks):
    freezes = [frozen(start / 60, (start + length) / 60) for start, length in windows]
    definition = plan(*(stage(str(n), share(n + 1), soak_minutes=soak) for n, soak in enumerate(soaks)))

    entries = timeline(definition, starts_at=START, freezes=freezes)

    plain = timeline(definition, starts_at=START)
    assert all(late.earliest_at >= early.earliest_at for late, early in zip(entries, plain, strict=True))
    for entry in entries:
        assert not any(freeze.starts_at <= entry.earliest_at < freeze.ends_at for freeze in freezes)
        assert entry.leaves_at - entry.earliest_at == timedelta(minutes=soaks[entry.stage - 1])


SPANS: list[tuple[float, str]] = [
    (0, "0 minutes"),
    (1, "1 minute"),
    (60, "1 hour"),
    (90, "1 hour 30 minutes"),
    (1_440, "1 day"),
]
LONGER: list[tuple[float, str]] = [(2_880 + 61, "2 days 1 hour"), (0.5, "1 minute"), (-5, "0 minutes")]


@pytest.mark.parametrize(("minutes", "expected"), SPANS + LONGER)
def test_span__durations__are_rounded_up_to_minutes(minutes, expected):
    assert span(timedelta(minutes=minutes)) == expected


def test_words__instants_and_amounts__read_as_people_write_them():
    later = datetime(2026, 11, 20, 14, 5, tzinfo=UTC)

    assert instant(later, now=START) == "14:05 UTC"
    assert instant(later, now=START - timedelta(days=1)) == "20 November 2026 14:05 UTC"
    assert instant(later) == "20 November 2026 14:05 UTC"
    assert (people(1), people(12_500), amount(1_000)) == ("1 person", "12,500 people", "1,000")
