"""Timelines as JSON: read back as they were, and refused with the place of each mistake."""

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from rollouts.deprecations.codec import InvalidTimeline, as_json, from_json, timeline_digest
from rollouts.deprecations.definition import Milestone, MilestoneKind

from .shapes import K, milestone, timeline

WHOLE = timeline(
    milestone(K.ANNOUNCE, 0),
    milestone(K.WARN, 14),
    milestone(K.BROWNOUT, 30, minutes=10, approvals=2, not_before_rest_minutes=60),
    milestone(K.SUNSET, 60, residual_days=7, residual_at_most=0),
    milestone(K.ARCHIVE, 90),
    final_variant="off",
    successor="new-checkout",
    mapping={"on": "fast", "off": "slow"},
    link="https://docs.example/ends",
    zone="Europe/Berlin",
)


def test_as_json__whole_timeline__is_read_back() -> None:
    assert from_json(as_json(WHOLE)) == WHOLE


def test_as_json__milestone__has_its_instant_in_utc() -> None:
    east = timezone(timedelta(hours=5, minutes=30))
    stored = as_json(timeline(Milestone(MilestoneKind.ANNOUNCE, datetime(2026, 3, 2, 14, 30, tzinfo=east))))

    assert stored["milestones"][0]["at"] == "2026-03-02T09:00:00Z"


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("flag_key", {"flag_key": 7}),
        ("milestones", {"milestones": None}),
        ("milestones.0.at", {"milestones": [{"kind": "announce", "at": "2026-03-02T09:00:00"}]}),
        ("milestones.0.at", {"milestones": [{"kind": "announce", "at": "0001-01-01T00:00:00+14:00"}]}),
        ("milestones.0.kind", {"milestones": [{"kind": "farewell", "at": "2026-03-02T09:00:00Z"}]}),
        ("milestones.0.name", {"milestones": [{"kind": "warn", "at": "2026-03-02T09:00:00Z", "name": "?"}]}),
        ("mapping.on", {"mapping": {"on": None}}),
        ("owner", {"owner": "me"}),
    ],
)
def test_from_json__mistake__is_named_by_its_path(path: str, change: dict[str, Any]) -> None:
    with pytest.raises(InvalidTimeline) as refused:
        from_json(as_json(WHOLE) | change)

    assert [problem["path"] for problem in refused.value.facts["problems"]] == [path]


def test_timeline_digest__any_field_or_the_base__changes_it() -> None:
    digest = timeline_digest(WHOLE, "b" * 64)
    changed: list[dict[str, Any]] = [
        {"flag_key": "other"},
        {"final_variant": None},
        {"successor": "newer"},
        {"mapping": {}},
        {"link": ""},
        {"zone": "UTC"},
        {"milestones": as_json(WHOLE)["milestones"][:-1]},
    ]

    assert timeline_digest(from_json(as_json(WHOLE)), "b" * 64) == digest
    assert timeline_digest(WHOLE, "c" * 64) != digest
    found = {timeline_digest(from_json(as_json(WHOLE) | change), "b" * 64) for change in changed}
    assert digest not in found
    assert len(found) == len(changed)
