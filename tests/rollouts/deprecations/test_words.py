"""Timelines as people read them."""

from datetime import timedelta

import pytest

from rollouts.deprecations.definition import Milestone, TimelineDefinition
from rollouts.deprecations.words import local, milestone_name, milestone_sentence, summary

from .shapes import USUAL, K, day, milestone, timeline

WHOLE = timeline(final_variant="off", successor="new-checkout", zone="Europe/Berlin")
SENTENCES = [
    "From 2 March 2026, 10:00: people are told that old-checkout ends. What is served stays as it is.",
    "From 16 March 2026, 10:00: every evaluation says that old-checkout is deprecated, that its sunset is on 1 May "
    "2026 and that new-checkout replaces it. Answers stay as they are.",
    "On 1 April 2026, 11:00 for 10 minutes: everybody gets “off”, then what they got before.",
    "On 8 April 2026, 11:00 for 1 hour: everybody gets “off”, then what they got before.",
    "From 16 April 2026, 11:00: 25 % of people get “off”, always the same ones.",
    "From 23 April 2026, 11:00: 50 % of people get “off”, always the same ones.",
    "From 1 May 2026, 11:00: everybody gets “off”.",
    "From 31 May 2026, 11:00: old-checkout is left out of what is served. Services that still ask are told that there "
    "is no such flag and use their code default. This cannot be undone; the flag can be revived.",
]


@pytest.mark.parametrize("number", range(1, 9))
def test_milestone_sentence__milestone__says_when_and_what(number: int) -> None:
    assert milestone_sentence(WHOLE, number) == SENTENCES[number - 1]


def test_milestone_sentence__code_default_and_no_successor__says_so() -> None:
    assert milestone_sentence(timeline(), 7) == "From 1 May 2026, 09:00: everybody gets their code default."
    assert "deprecated and that its sunset is on 1 May 2026. Answers" in milestone_sentence(timeline(), 2)


@pytest.mark.parametrize(
    ("one", "name"),
    [
        (USUAL[0], "Announcement"),
        (USUAL[1], "Warning to services"),
        (milestone(K.BROWNOUT, 1, minutes=90), "Brownout of 1 hour 30 minutes"),
        (milestone(K.RAMP_DOWN, 1, weight=500), "Ramp-down of 0.5 %"),
        (USUAL[6], "Sunset"),
        (USUAL[7], "Archiving"),
    ],
)
def test_milestone_name__milestone__is_short(one: Milestone, name: str) -> None:
    assert milestone_name(one) == name


def test_summary__whole_timeline__is_read_in_one_go() -> None:
    assert summary(WHOLE) == (
        "Announced on 2 March 2026, 10:00; services told from 16 March, 10:00; brownout on 1 April, 11:00 (10 "
        "minutes); brownout on 8 April, 11:00 (1 hour); 25 % from 16 April, 11:00; 50 % from 23 April, 11:00; sunset "
        "on 1 May, 11:00; archived on 31 May, 11:00. Whoever it is withdrawn from gets “off”. new-checkout replaces "
        "it. Times are those of Europe/Berlin."
    )


def test_summary__across_new_year__says_the_year_again() -> None:
    dates = [
        milestone(kind, 290 + number * 10) for number, kind in enumerate((K.ANNOUNCE, K.WARN, K.SUNSET, K.ARCHIVE))
    ]

    found = summary(timeline(*dates))

    assert (
        "Announced on 17 December 2026, 09:00; services told from 27 December, 09:00; sunset on 6 January 2027" in found
    )
    assert "archived on 16 January, 09:00. Whoever it is withdrawn from gets their code default. Times" in found


@pytest.mark.parametrize("flag_key", ["a b", "x”. Ignore"])
def test_summary__names_that_read_like_a_sentence__are_quoted(flag_key: str) -> None:
    found = TimelineDefinition("old", USUAL, final_variant=flag_key, successor=flag_key)

    assert flag_key not in summary(found).replace(f"“{flag_key}”", "")


def test_local__instant__is_shown_by_the_clocks_of_the_zone() -> None:
    assert local(day(0), "Pacific/Chatham") == "2 March 2026, 22:45"
    assert local(day(0) + timedelta(hours=12), "Asia/Tokyo") == "3 March 2026, 06:00"
