"""Explanations as people read them. No database."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flags.admin import steps
from flags.admin.steps import Step, reason_chip, steps_of
from flags.evaluation import FlagSource, Generation, Snapshot
from flags.evaluation.explain import explain
from flags.evaluation.traces import Explanation
from tests.factories import NOW
from tests.flags.api.plane import HALVES, IN_BETA, document, rule
from tests.flags.strategies import contexts, forced_variants, moments, snapshots

GOLD = {"schema": 1, "condition": {"attribute": "plan", "operator": "equals", "value": "gold"}}


def told(
    documents: Mapping[str, Mapping[str, Any]],
    context: Mapping[str, Any],
    *,
    key: str = "checkout",
    segments: Mapping[str, Any] | None = None,
    forced: Mapping[str, str] | None = None,
    strict: bool = False,
) -> tuple[Explanation, list[Step]]:
    """The explanation of a flag and its steps."""
    sources = {name: FlagSource("boolean", made, 1) for name, made in documents.items()}
    place = ("shop", "id", "production", 1, Generation.FLAGD_V2)
    snapshot = Snapshot(*place, sources, segments or {}, requires_targeting_key=strict)
    explanation = explain(snapshot, key, context, NOW, forced=forced or {})
    return explanation, steps_of(explanation, context)


def lines(found: Sequence[Step], depth: int = 0) -> Iterator[str]:
    """The steps as an indented text, with the mark in front."""
    for step in found:
        yield f"{'  ' * depth}{step.mark}: {step.text}" + (f" | {step.detail}" if step.detail else "")
        yield from lines(step.inner, depth + 1)


def test_steps__rules_before_the_one_that_matched__are_told_too():
    rules = [
        {**rule({"variant": "off"}, IN_BETA, name="beta"), "description": "Beta"},
        rule({"variant": "on"}, {"segment": "gold"}, name="gold"),
    ]

    _, found = told({"checkout": document("checkout", rules=rules)}, {"plan": "gold"}, segments={"gold": GOLD})

    assert list(lines(found)) == [
        "yes: Switched on",
        "no: Rule 1 “Beta”: does not match",
        "  no: plan is “beta” | Sent: “gold”.",
        "yes: Rule 2: matches | Serves “on”.",
        "  yes: In segment “gold”",
        "    yes: plan is “gold” | Sent: “gold”.",
    ]


def test_steps__split__shows_where_the_bucket_lies():
    explanation, found = told({"checkout": document("checkout", rules=[rule(HALVES)])}, {"targetingKey": "user-1"})

    split = explanation.rules[0].split
    assert split is not None
    step = found[-1].inner[-1]
    assert split.bucket is not None
    assert f"Bucket {split.bucket:,} of 100,000 falls into “{split.variant}”" in step.text
    assert [(bar.first, bar.end, bar.width) for bar in step.bars] == [
        (0, 50_000, "50.000"),
        (50_000, 100_000, "50.000"),
    ]
    assert [bar.is_chosen for bar in step.bars] == [split.bucket < 50_000, split.bucket >= 50_000]
    assert step.marker == f"{split.bucket / 1000:.3f}"


def test_steps__split_without_a_key__says_what_is_missing():
    lenient, found = told({"checkout": document("checkout", rules=[rule(HALVES)])}, {})
    strict, refused = told({"checkout": document("checkout", rules=[rule(HALVES)])}, {}, strict=True)

    assert "no usable text was sent" in "\n".join(lines(found))
    assert reason_chip(lenient.resolution) == ("Default", "quiet")
    assert any(line.startswith("no: TARGETING_KEY_MISSING | ") for line in lines(refused))
    assert reason_chip(strict.resolution) == ("Error", "bad")


def test_steps__prerequisite__tells_the_parent_inside():
    parents = [{"flag": "parent", "variants": ["on"]}]
    documents = {"checkout": document("checkout", prerequisites=parents), "parent": document("parent", enabled=False)}

    _, found = told(documents, {})

    assert list(lines(found)) == [
        "yes: Switched on",
        "no: Requires parent to serve “on” | It serves “off”.",
        "  no: Switched off | Serves “off”.",
        "note: Not every flag it requires is as it must be | Serves “off”.",
    ]


def test_steps__missing_parent__says_so():
    parents = [{"flag": "gone", "variants": ["on", "beta"]}]

    _, found = told({"checkout": document("checkout", prerequisites=parents)}, {})

    assert "no: Requires gone to serve “on” or “beta” | There is no such flag" in "\n".join(lines(found))


def test_steps__forced_and_target_and_window__are_each_one_line():
    targets = [{"variant": "off", "keys": ["user-1"]}]
    later = {**rule({"variant": "off"}), "starts_at": "2027-01-01T00:00:00Z"}
    documents = {"checkout": document("checkout", targets=targets, rules=[later])}

    forced, forced_steps = told(documents, {}, forced={"checkout": "off"})
    _, target_steps = told(documents, {"targetingKey": "user-1"})
    _, window_steps = told(documents, {})

    assert reason_chip(forced.resolution) == ("Forced", "bad")
    assert "kill list" in forced_steps[0].text
    assert list(lines(target_steps))[-1] == "yes: Individual target: “user-1” is listed | Serves “off”."
    assert "no: Rule 1: not at this time | It counts from 2027-01-01 00:00 UTC." in list(lines(window_steps))


def test_steps__code_default__is_named():
    _, off = told({"checkout": document("checkout", enabled=False, off_variant=None)}, {})
    _, default = told({"checkout": document("checkout", default_variant=None)}, {})

    assert list(lines(off)) == ["no: Switched off | The code default decides."]
    assert list(lines(default))[-1] == "note: No rules: the same for everyone | The code default decides."


def test_steps__very_long_trace__is_cut_and_says_so(monkeypatch: Any):
    monkeypatch.setattr(steps, "MAX_STEPS", 10)
    rules = [rule({"variant": "on"}, IN_BETA, name=f"r{number}") for number in range(50)]

    _, found = told({"checkout": document("checkout", rules=rules)}, {})

    written = list(lines(found))
    assert len(written) <= 12
    assert "More steps are not shown" in written[-1]


@settings(max_examples=60)
@given(data=st.data(), snapshot=snapshots(), context=contexts(), now=moments())
def test_steps__any_environment_and_context__can_be_told(
    data: st.DataObject, snapshot: Snapshot, context: dict[str, Any], now: datetime
):
    forced = data.draw(forced_variants(snapshot))
    for key in [*snapshot.flags, "no-such-flag"]:
        explanation = explain(snapshot, key, context, now, forced=forced)

        found = steps_of(explanation, context)

        assert found
        assert all(line.strip() for line in lines(found))
        assert reason_chip(explanation.resolution)[0]


@pytest.mark.parametrize(
    ("withdrawal", "line"),
    [
        ({"weight": 100_000, "serves": None}, "yes: Withdrawn for everybody | The code default decides."),
        (
            {"weight": 100_000, "serves": "off", "until": "2020-01-01T00:00:00Z"},
            "no: Withdrawn until 2020-01-01 00:00 UTC, which is over",
        ),
        (
            {"weight": 50_000, "serves": "off"},
            "no: 50 % of people are withdrawn: no usable targeting key was sent",
        ),
    ],
)
def test_steps__withdrawal__is_told_right_after_the_switch(withdrawal: dict[str, Any], line: str):
    ends = {"deprecated_at": "2020-01-01T00:00:00Z", "withdrawal": withdrawal}

    _, found = told({"checkout": document("checkout", deprecation=ends)}, {})

    assert list(lines(found))[:2][1].replace("\u00a0", " ") == line
