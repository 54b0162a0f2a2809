"""Versions as they were then: windows that opened and closed make entries of their own, and nothing looks back."""

from datetime import datetime
from typing import Any

import pytest

from flags.evaluation.instants import instant_text
from flags.lifecycle.histories import add_version
from flags.lifecycle.reasons import Reason
from flags.lifecycle.stages import Version
from flags.lifecycle.staleness import judge
from tests.flags.lifecycle.situations import FULL, NOW, ago, aimed, ending, flag, place, plain, share


def windowed(*, starts: float | None = None, ends: float | None = None) -> dict[str, Any]:
    """Everybody gets “on” by a rule with a window, “off” without it; the times are days ago."""
    window = {
        name: instant_text(ago(days)) for name, days in (("starts_at", starts), ("ends_at", ends)) if days is not None
    }
    rule = {"id": "all", "description": "", "condition": None, "serve": {"variant": "on"}, **window}
    return {**plain(), "default_variant": "off", "rules": [rule]}


def entries(*history: tuple[float, dict[str, Any]]) -> list[tuple[datetime, set[str | None]]]:
    versions: list[Version] = []
    for days, document in history:
        add_version(versions, ago(days), document, NOW)
    return [(version.at, set(version.shape.outcomes)) for version in versions]


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([(100, windowed(ends=1))], [(100, {"on", "off"}), (1, {"off"})]),
        ([(100, windowed(ends=-1))], [(100, {"on", "off"})]),
        ([(100, windowed(ends=0))], [(100, {"on", "off"}), (0, {"off"})]),
        ([(100, windowed(ends=100))], [(100, {"off"})]),
        ([(100, windowed(starts=40))], [(100, {"on", "off"}), (40, {"on"})]),
        ([(100, windowed(starts=40, ends=10))], [(100, {"on", "off"}), (10, {"off"})]),
        # A version that came before the window closed takes its place.
        ([(100, windowed(ends=1)), (50, plain())], [(100, {"on", "off"}), (50, {"on"})]),
        ([(100, windowed(ends=60)), (50, plain())], [(100, {"on", "off"}), (60, {"off"}), (50, {"on"})]),
        ([(100, {}), (50, plain())], [(50, {"on"})]),
        (
            [(100, ending(plain(), withdrawal={"weight": 100_000, "serves": "off", "until": instant_text(ago(99))}))],
            [(100, {"on", "off"}), (99, {"on"})],
        ),
        ([(100, share(50)), (100, plain())], [(100, {"on", "off"}), (100, {"on"})]),
    ],
)
def test_add_version__windows__count_from_when_they_opened_and_closed(
    history: list[tuple[float, dict[str, Any]]], expected: list[tuple[float, set[str | None]]]
) -> None:
    assert entries(*history) == [(ago(days), outcomes) for days, outcomes in expected]


@pytest.mark.parametrize(("ends", "is_stale"), [(1, False), (29, False), (31, True)])
def test_judge__window_that_closed__settles_the_flag_from_then_on(ends: float, is_stale: bool) -> None:
    found = judge(flag(place((200, aimed()), (150, windowed(ends=ends)), figures=FULL)), NOW)
    since = [each.since for each in found.findings if each.reason is Reason.FULLY_ROLLED_OUT]

    assert since == ([ago(ends)] if is_stale else [])
