"""What the page of a plan's request says: what approval does first."""

from datetime import UTC, datetime, timedelta

import pytest

from rollouts.admin.panels.plan import start_words

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
LATER = NOON + timedelta(days=1, hours=2)
TEAM, ONE, HALF, ALL = (0, "members of staff"), (1_000, "1 %"), (50_000, "50 %"), (100_000, "100 %")


@pytest.mark.parametrize(
    ("shares", "starts_at", "sentence"),
    [
        ([ONE, HALF, ALL], NOON, "1 % now, up to 100 % in 3 stages by 5 May 2026 14:00 UTC at the earliest."),
        ([TEAM, ALL], NOON, "members of staff now, up to 100 % in 2 stages by 5 May 2026 14:00 UTC at the earliest."),
        ([ALL, ONE], NOON, "100 % now, down to 1 % in 2 stages by 5 May 2026 14:00 UTC at the earliest."),
        ([TEAM, TEAM], NOON, "members of staff now, then members of staff in 2 stages by 5 May 2026 14:00 UTC at the "
                             "earliest."),
        ([ONE, ALL], NOON + timedelta(hours=1), "1 % at 13:00 UTC, up to 100 % in 2 stages by 5 May 2026 14:00 UTC at "
                                                "the earliest."),
    ],
)  # fmt: skip
def test_start_words__stages__say_the_first_one_and_where_they_lead(shares, starts_at, sentence):
    assert start_words(shares, starts_at=starts_at, ends_at=LATER, now=NOON) == f"Starts a plan: {sentence}"


def test_start_words__one_stage__is_all_there_is():
    assert start_words([ALL], starts_at=NOON, ends_at=NOON, now=NOON) == "Starts a plan of one stage: 100 % now."
