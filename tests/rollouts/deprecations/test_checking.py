"""What a timeline may not say: a table of mistakes, each named by its place."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from flags.documents import initial_document
from rollouts.deprecations.checking import check, past_problems, problems_of
from rollouts.deprecations.codec import InvalidTimeline
from rollouts.deprecations.definition import Milestone, TimelineDefinition

from .shapes import USUAL, K, day, milestone, timeline

BASE = initial_document("old-checkout", "boolean")
MAPPING = {"on": "fast", "off": "slow"}
NEW: dict[str, Any] = {"successor": "new-checkout", "mapping": MAPPING}
WITHDRAWN = {"deprecated_at": "2026-01-01T00:00:00Z", "withdrawal": {"weight": 5, "serves": None}}
ARCHIVED = {"deprecated_at": "2026-01-01T00:00:00Z", "is_archived": True}


def with_(place: int, **fields: Any) -> TimelineDefinition:
    """The usual timeline with one milestone changed."""
    return timeline(*USUAL[:place], replace(USUAL[place], **fields), *USUAL[place + 1 :])


def gated(place: int, **gates: Any) -> TimelineDefinition:
    return with_(place, gates=replace(USUAL[place].gates, **gates))


def without(place: int) -> TimelineDefinition:
    return timeline(*USUAL[:place], *USUAL[place + 1 :])


def squeezed(place: int, *added: Milestone) -> TimelineDefinition:
    """The usual timeline with more milestones before one."""
    return timeline(*USUAL[:place], *added, *USUAL[place:])


REFUSED: list[tuple[TimelineDefinition, str, str]] = [
    # Kinds and their order.
    (without(0), "milestones", "one milestone “Announce”; there is none"),
    (without(1), "milestones", "one milestone “Warn”; there is none"),
    (without(6), "milestones", "one milestone “Sunset”; there is none"),
    (without(7), "milestones", "one milestone “Archive”; there is none"),
    (squeezed(7, milestone(K.SUNSET, 70)), "milestones", "“Sunset”; there are 2"),
    (squeezed(1, milestone(K.BROWNOUT, 5, minutes=5)), "milestones.2.kind", "“Warn” comes before “Brownout”"),
    (squeezed(7, milestone(K.RAMP_DOWN, 70, weight=90_000)), "milestones.7.kind", "comes before “Sunset”"),
    (squeezed(6, milestone(K.BROWNOUT, 55, minutes=5)), "milestones.6.kind", "comes before “Ramp-down”"),
    (squeezed(4, *(milestone(K.BROWNOUT, 38 + n / 4, minutes=5) for n in range(13))), "milestones", "at most 20"),
    # Amounts.
    (with_(2, minutes=0), "milestones.2.minutes", "1 minute to 24 hours"),
    (with_(2, minutes=1_441), "milestones.2.minutes", "1 minute to 24 hours"),
    (with_(6, minutes=5), "milestones.6.minutes", "Only a brownout"),
    (with_(4, weight=0), "milestones.4.weight", "more than 0 %"),
    (with_(5, weight=100_000), "milestones.5.weight", "less than 100 %"),
    (with_(5, weight=25_000), "milestones.5.weight", "25 % follows 25 %"),
    (with_(5, weight=10_000), "milestones.5.weight", "10 % follows 25 %"),
    (with_(6, weight=5), "milestones.6.weight", "Only a ramp-down"),
    # Dates.
    (with_(1, at=day(0)), "milestones.1.at", "later than announcement on 2 March 2026, 09:00"),
    (with_(4, at=day(60)), "milestones.5.at", "Choose a later date"),
    (with_(3, at=day(30.001)), "milestones.3.at", "runs until 1 April 2026, 09:10"),
    (with_(7, at=datetime(2300, 1, 1, tzinfo=UTC)), "milestones.7.at", "2000 to 2199"),
    (with_(0, at=datetime(1, 1, 1, tzinfo=UTC)), "milestones.0.at", "2000 to 2199"),
    (timeline(zone="Europe/Atlantis"), "zone", "no time zone"),
    # Gates.
    (gated(6, residual_at_most=-1, residual_days=7), "milestones.6.gates.residual_at_most", "0 for none"),
    (gated(6, residual_at_most=0), "milestones.6.gates.residual_days", "1 to 365 days"),
    (gated(6, residual_at_most=0, residual_days=366), "milestones.6.gates.residual_days", "1 to 365 days"),
    (gated(6, residual_days=7), "milestones.6.gates.residual_days", "leave the days out"),
    (gated(6, approvals=11), "milestones.6.gates.approvals", "0 to 10"),
    (gated(6, approvals=-1), "milestones.6.gates.approvals", "0 to 10"),
    (gated(6, not_before_rest_minutes=-1), "milestones.6.gates.not_before_rest_minutes", "in minutes"),
    (gated(6, not_before_rest_minutes=8 * 1_440 + 1), "milestones.6.gates.not_before_rest_minutes", "always be late"),
    (gated(0, not_before_rest_minutes=1), "milestones.0.gates.not_before_rest_minutes", "Nothing comes before"),
    # What people get.
    (timeline(final_variant="blue"), "final_variant", "“on”, “off”"),
    (timeline(successor="old-checkout", mapping=MAPPING), "successor", "cannot replace itself"),
    (timeline(mapping={"on": "fast"}), "mapping", "Choose the successor"),
    (timeline(successor="new-checkout", mapping={"on": "fast"}), "mapping", "stands for “off”"),
    (timeline(successor="new", mapping=MAPPING | {"x": "y"}), "mapping.x", "no variant “x”"),
    (timeline(successor="new\u202echeckout", mapping=MAPPING), "successor", "text-direction"),
    (timeline(link="http://example.org"), "link", "https://"),
]


@pytest.mark.parametrize(
    ("definition", "path", "words"), REFUSED, ids=[f"{path}-{words}" for _, path, words in REFUSED]
)
def test_problems_of__mistake__is_named(definition: TimelineDefinition, path: str, words: str) -> None:
    found = problems_of(definition, BASE)

    assert [where for where, text in found if words in text] == [path], found


ACCEPTED = [
    timeline(),
    timeline(final_variant="off", link="https://docs.example/ends"),
    timeline(**NEW),
    timeline(*(USUAL[place] for place in (0, 1, 6, 7))),
    with_(2, minutes=1_440),
    # The end of a brownout is outside of it.
    with_(3, at=day(30 + 10 / 1_440)),
    with_(5, weight=99_999),
    gated(6, residual_at_most=0, residual_days=1, approvals=10, not_before_rest_minutes=8 * 1_440),
    squeezed(4, *(milestone(K.BROWNOUT, 38 + n / 4, minutes=5) for n in range(12))),
]


@pytest.mark.parametrize("definition", ACCEPTED, ids=range(len(ACCEPTED)))
def test_problems_of__whole_timeline__has_none(definition: TimelineDefinition) -> None:
    assert problems_of(definition, BASE) == []
    check(definition, BASE)


@pytest.mark.parametrize(("ending", "words"), [(WITHDRAWN, "being withdrawn"), (ARCHIVED, "archived here already")])
def test_problems_of__flag_on_its_way_out__is_refused(ending: dict[str, Any], words: str) -> None:
    (found,) = problems_of(timeline(), BASE | {"deprecation": ending})

    assert found[0] == "flag_key"
    assert words in found[1]


def test_problems_of__flag_that_is_only_deprecated__has_none() -> None:
    assert problems_of(timeline(), BASE | {"deprecation": {"deprecated_at": "2026-01-01T00:00:00Z"}}) == []


def test_check__several_mistakes__says_how_many_more() -> None:
    with pytest.raises(InvalidTimeline, match="There is 1 more problem") as refused:
        check(timeline(final_variant="blue", successor="old-checkout", mapping=MAPPING), BASE)

    assert len(refused.value.facts["problems"]) == 2


def test_past_problems__milestones_before_now__are_all_but_the_announcement() -> None:
    found = past_problems(timeline(), now=day(30))

    assert [path for path, _ in found] == ["milestones.1.at", "milestones.2.at"]
    assert found[1][1] == "Brownout of 10 minutes: 1 April 2026, 09:00 is past. Choose a later date."
    assert past_problems(timeline(), now=day(13)) == []


@pytest.mark.parametrize(("reached", "places"), [(0, [0, 1, 2]), (2, [2]), (3, []), (8, [])])
def test_past_problems__from_a_milestone_on__are_those_behind_it(reached: int, places: list[int]) -> None:
    found = past_problems(timeline(), now=day(31), reached=reached)

    assert [path for path, _ in found] == [f"milestones.{place}.at" for place in places]
