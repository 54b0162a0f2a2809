"""The life of a flag on one strip: stages with their dates, what is planned, and where each stands on the picture."""

import itertools
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.lifecycle.life_strip import LEAST_WIDTH, WIDTH, Planned, blocks_of, segments_of, span_of, with_planned
from flags.lifecycle.shapes import shape_of
from flags.lifecycle.stages import LifecycleStage, Version
from tests.flags.lifecycle.situations import NOW, ago, aimed, ending, off, plain, share

S = LifecycleStage
FOR_ALL = {"weight": 100_000, "serves": None}


def lived(*history: tuple[float, dict[str, Any]]) -> tuple[Version, ...]:
    """Versions by how many days ago they were written."""
    found = ((days, shape_of(document, ago(days))) for days, document in history)
    return tuple(Version(ago(days), shape) for days, shape in found if shape is not None)


def stages(*history: tuple[float, dict[str, Any]], kind: str = "release") -> list[tuple[LifecycleStage, float]]:
    """The stages and how many days ago each began."""
    found = segments_of(lived(*history), kind=kind, now=NOW)
    return [(segment.stage, (NOW - segment.since) / timedelta(days=1)) for segment in found]


ARCHIVED = ending(off(), is_archived=True)
SOON = ending(plain(), deprecated_at="2026-11-11T12:00:00Z")
LATER = ending(plain(), deprecated_at="2027-11-11T12:00:00Z")


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([], []),
        ([(90, off())], [(S.DRAFT, 90)]),
        ([(90, off()), (80, share(5)), (70, share(50))], [(S.DRAFT, 90), (S.ROLLING_OUT, 80)]),
        ([(90, aimed()), (60, plain())], [(S.LIVE, 90), (S.SETTLED, 60)]),
        ([(90, plain()), (60, off())], [(S.SETTLED, 90)]),
        # The deprecation begins when its date has come, not when it was written.
        ([(90, plain()), (60, SOON)], [(S.SETTLED, 90), (S.DEPRECATED, 10)]),
        ([(90, plain()), (60, LATER)], [(S.SETTLED, 90)]),
        ([(90, plain()), (60, SOON), (30, plain())], [(S.SETTLED, 90)]),
        (
            [(90, plain()), (60, ending(plain(), withdrawal=FOR_ALL)), (30, ARCHIVED)],
            [(S.SETTLED, 90), (S.SUNSET, 60), (S.ARCHIVED, 30)],
        ),
        # Another life begins with a draft.
        ([(90, plain()), (60, ARCHIVED), (30, off())], [(S.SETTLED, 90), (S.ARCHIVED, 60), (S.DRAFT, 30)]),
        # What the clock has not reached is left out.
        ([(90, plain()), (-5, off())], [(S.SETTLED, 90)]),
    ],
)
def test_segments_of__a_history__are_the_stages_in_their_order(history: Any, expected: Any) -> None:
    assert stages(*history) == expected


def test_segments_of__an_experiment__is_live_with_its_split() -> None:
    assert stages((9, share(50)), kind="experiment") == [(S.LIVE, 9)]


def test_segments_of__each__lasts_until_the_next() -> None:
    found = segments_of(lived((90, off()), (80, share(5)), (9, plain())), kind="release", now=NOW)

    assert [segment.until for segment in found] == [ago(80), ago(9), None]


def test_with_planned__milestones_ahead__follow_dashed() -> None:
    lasting = segments_of(lived((90, plain())), kind="release", now=NOW)
    planned = [
        Planned(ago(-30), "Sunset", S.SUNSET),
        Planned(ago(-10), "Warning", S.DEPRECATED),
        Planned(ago(-20), "Brownout"),
        Planned(ago(-40), "Archiving", S.ARCHIVED),
    ]

    found = with_planned(lasting, planned, NOW)

    assert [(each.stage, each.is_planned) for each in found] == [
        (S.SETTLED, False),
        (S.DEPRECATED, True),
        (S.SUNSET, True),
        (S.ARCHIVED, True),
    ]
    assert [each.until for each in found] == [ago(-10), ago(-30), ago(-40), None]


def test_with_planned__what_is_overdue__counts_from_now_on() -> None:
    lasting = segments_of(lived((90, plain())), kind="release", now=NOW)

    found = with_planned(lasting, [Planned(ago(3), "Sunset", S.SUNSET)], NOW)

    assert found[-1].since == NOW


@given(
    days=st.lists(st.integers(1, 900), min_size=1, max_size=60, unique=True),
    on=st.lists(st.booleans(), min_size=60, max_size=60),
)
def test_blocks_of__any_history__fill_the_line_and_are_all_seen(days: list[int], on: list[bool]) -> None:
    documents = [share(5) if is_on else ending(plain()) for is_on in on]
    history = zip(sorted(days, reverse=True), documents, strict=False)
    segments = segments_of(lived(*history), kind="release", now=NOW)
    begins, ends = span_of([segments, segments_of(lived((950, off())), kind="release", now=NOW)], NOW)

    blocks = blocks_of(segments, begins=begins, ends=ends)

    assert [block.segment for block in blocks] == list(segments)
    assert blocks[-1].x + blocks[-1].width == WIDTH
    assert all(one.x + one.width == other.x for one, other in itertools.pairwise(blocks))
    assert all(block.width >= min(LEAST_WIDTH, WIDTH // len(blocks)) for block in blocks)


def test_span_of__nothing__begins_and_ends_now() -> None:
    assert span_of([], NOW) == (NOW, NOW)
    assert blocks_of((), begins=NOW, ends=NOW) == ()
