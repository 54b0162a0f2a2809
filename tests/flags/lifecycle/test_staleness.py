"""What is found in each situation, and how sure it is."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from flags.lifecycle.facts import Figures, FlagFacts, PlaceFacts
from flags.lifecycle.readiness import removal_of
from flags.lifecycle.reasons import Confidence, Reason
from flags.lifecycle.staleness import judge
from flags.lifecycle.thresholds import Thresholds

from .cases import ARCHIVED, CASES, NO_CODE, ROLLED_OUT, Case
from .situations import (
    BACK,
    FULL,
    NOW,
    SILENT,
    ago,
    codes,
    documents,
    flag,
    in_bulk,
    place,
    places,
    staging,
    use,
)


def test_table__is_long_enough() -> None:
    assert len(CASES) >= 40
    assert len({each.name for each in CASES}) == len(CASES)


@pytest.mark.parametrize("each", CASES, ids=[each.name for each in CASES])
def test_judge__situation__is_told_as_expected(each: Case) -> None:
    found, removal = judge(each.flag, NOW), removal_of(each.flag, NOW)

    assert {one.reason.value for one in found.findings} == each.reasons
    assert codes(found.guards) == each.guards
    assert found.confidence == each.confidence
    assert found.is_stale is (bool(each.reasons) and not each.guards)
    assert removal.readiness == each.readiness, [*removal.blockers, *removal.cautions]


@pytest.mark.parametrize("each", CASES, ids=[each.name for each in CASES])
def test_judge__situation__says_so_in_sentences(each: Case) -> None:
    found, removal = judge(each.flag, NOW), removal_of(each.flag, NOW)

    told = [one.sentence for one in found.findings] + [one.sentence for one in found.guards]
    told += [one.sentence for one in (*removal.blockers, *removal.cautions)]

    assert [text for text in told if not text.endswith((".", each.flag.snooze_reason or "."))] == []
    assert all("None" not in text and "frozenset" not in text and "  " not in text for text in told)
    assert all(one.since <= NOW for one in found.findings)


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        (SILENT, "No figures of evaluations come from there, so look for yourself."),
        (BACK, "Figures of some of these days are missing."),
        (FULL, "for 100 days, and 30 days are usual."),
    ],
)
def test_judge__missing_figures__are_said(figures: Figures, words: str) -> None:
    found = judge(flag(place(*ROLLED_OUT, figures=figures, use=use(2))), NOW)

    assert found.findings[0].sentence.endswith(words)


STILL_GIVEN = "Clients that ask for all flags at once still get it in Production, and may use it without saying so."


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (
            flag(place(*ROLLED_OUT, use=in_bulk()), staging(*ROLLED_OUT, use=use(2, recent=5)), references=NO_CODE),
            [
                "In Production, no service ever asked for it: for 190 days, and 30 days are usual. "
                f"It is still asked for in Staging. {STILL_GIVEN}",
                f"Code no longer names it, and it is still set up. {STILL_GIVEN}",
            ],
        ),
        (
            flag(place(*ROLLED_OUT, use=in_bulk(use(45))), place(*ROLLED_OUT, key="asia", use=use(50))),
            [
                "In Production and Asia, no service asks for it any more: for 45 days, and 30 days are usual. "
                f"{STILL_GIVEN}",
            ],
        ),
    ],
)
def test_judge__in_bulk__is_said(facts: FlagFacts, words: list[str]) -> None:
    by_use = {Reason.NEVER_EVALUATED, Reason.NO_EVALUATIONS, Reason.ONLY_IN_CONFIG}

    assert [one.sentence for one in judge(facts, NOW).findings if one.reason in by_use] == words


@given(places, st.floats(0, 170))
def test_judge__in_bulk__finds_no_less_and_is_no_surer(where: PlaceFacts, last: float) -> None:
    """As long as figures come, an answer in bulk of the last month takes no reason away that rests on use."""
    assume(where.use.bulk_at is None)
    asked = replace(where, use=in_bulk(where.use, last=last))

    before, after = (
        {one.reason: one.confidence for one in judge(flag(each, thresholds=Thresholds(unused=30)), NOW).findings}
        for each in (where, asked)
    )

    assert last >= 30 or after.keys() == before.keys()
    assert last >= 30 or set(after.values()) <= {Confidence.LOW}


@given(st.sets(st.integers(0, 40)), st.integers(1, 40))
def test_cover__days_without_figures__never_make_it_surer(missing: set[int], days: int) -> None:
    figures = replace(FULL, days=tuple(back not in missing for back in range(41)))

    assert figures.cover(days, NOW) is not any(
        set(range(start, start + 5)) <= missing for start in range(max(days - 4, 0))
    )
    assert figures.cover(days, NOW) or not figures.cover(days + 1, NOW)


def test_cover__days_that_were_not_read__are_no_figures() -> None:
    assert not replace(FULL, days=(True,) * 29).cover(30, NOW)
    assert replace(FULL, days=(True,) * 30).cover(30, NOW)


@given(places, st.floats(0, 29.9), st.sampled_from(["release", "experiment", "operational"]))
def test_judge__young_flag__is_never_stale(where: PlaceFacts, age: float, kind: str) -> None:
    assert not judge(flag(where, kind=kind, age=age), NOW).is_stale


@given(
    places,
    st.floats(30, 3000),
    st.sampled_from(
        [("kill_switch", ()), ("permission", ()), ("release", ("permanent",)), ("experiment", ("x", "PERMANENT "))]
    ),
)
def test_judge__permanent_flag__is_never_stale(
    where: PlaceFacts, age: float, what: tuple[str, tuple[str, ...]]
) -> None:
    kind, tags = what

    found = judge(flag(where, kind=kind, age=age, tags=tags), NOW)

    assert not found.is_stale
    assert found.findings == ()


@given(st.lists(st.tuples(st.floats(31, 190), documents), max_size=3), places)
def test_judge__former_life__says_nothing(before: list[tuple[float, dict[str, Any]]], where: PlaceFacts) -> None:
    """A flag that was archived and revived is judged as one that was made then."""
    born = 30.5
    former = place(*sorted(before, key=lambda each: -each[0]), (30.6, ARCHIVED))
    begun = place((born, where.document or {}), figures=where.figures, use=where.use)
    revived = replace(begun, versions=(*former.versions, *begun.versions))
    fresh = replace(begun, use=begun.use.since(ago(born)))

    assert judge(flag(revived, age=born), NOW) == judge(flag(fresh, age=born), NOW)
