"""Random projects as manifests, in normal form."""

from typing import Any

from hypothesis import strategies as st

from rollouts.deprecations.codec import as_json as timeline_json
from rollouts.deprecations.definition import TimelineDefinition
from rollouts.manifest.checking import Known, normal_form
from rollouts.plans.codec import as_json as plan_json
from rollouts.plans.definition import PlanDefinition, Strategy
from rollouts.plans.strategies import linear
from tests.flags.strategies import config_documents, segment_documents
from tests.rollouts.deprecations.strategies import timelines

# What YAML 1.1, a careless reader or a careless writer would take for something else.
TRAPS = (
    "on",
    "off",
    "no",
    "NO",
    "null",
    "~",
    "1e3",
    "007",
    "0x1F",
    "12:30",
    "2026-11-21",
    "<<",
    "=",
    "- a",
    "a: b",
    "",
)
KEYS = st.sampled_from(["on", "no", "checkout", "1e3", "search.v2", "null", "new_basket"])
TEXTS = st.sampled_from(TRAPS) | st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30)
LINES = TEXTS.map(str.strip).filter(bool)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3))


@st.composite
def flags(draw: st.DrawFn) -> dict[str, Any]:
    """A flag's metadata."""
    return {
        "name": draw(LINES),
        "description": draw(TEXTS).strip(),
        "kind": draw(st.sampled_from(["release", "experiment", "operational", "kill_switch", "permission"])),
        "value_type": "object",
        "owner": draw(st.none() | st.sampled_from(["mira", "no"])),
        "team": draw(st.none() | st.sampled_from(["web", "on"])),
        "tags": draw(st.lists(LINES, max_size=3)),
        "links": draw(st.lists(LINES, max_size=2)),
    }


@st.composite
def served(draw: st.DrawFn, key: str) -> dict[str, Any]:
    """One flag in one environment."""
    document = draw(config_documents("object", endings=True))
    document["variants"][0]["value"] = {"trap": draw(VALUES)}
    found: dict[str, Any] = {"config": document}
    if draw(st.booleans()):
        definition: TimelineDefinition = draw(timelines())
        found["timeline"] = {"reason": draw(TEXTS), "definition": {**timeline_json(definition), "flag_key": key}}
    return found


@st.composite
def environments(draw: st.DrawFn, keys: list[str]) -> dict[str, Any]:
    """An environment with everything in it."""
    condition = draw(segment_documents())["condition"]
    stages = linear("checkout", variant="on", against="off")
    plan = plan_json(PlanDefinition(("checkout",), Strategy.LINEAR, stages))
    return {
        "name": draw(LINES),
        "kind": draw(st.sampled_from(["development", "staging", "production"])),
        "is_protected": draw(st.booleans()),
        "position": draw(st.integers(0, 9)),
        "policy": {
            "required_approvals": draw(st.integers(1, 10)),
            "named_approvers": sorted(draw(st.sets(st.sampled_from(["abel", "no", "007"])))),
            "expires_after_hours": draw(st.integers(1, 1_000)),
        },
        "segments": {"beta": {"name": draw(LINES), "condition": condition}},
        "flags": {key: draw(served(key)) for key in keys},
        "plans": [{"title": draw(LINES), "reason": "", "definition": plan}] if draw(st.booleans()) else [],
    }


@st.composite
def manifests(draw: st.DrawFn) -> dict[str, Any]:
    """A whole project."""
    keys = sorted(draw(st.sets(KEYS, min_size=1, max_size=3)))
    found = {
        "version": 1,
        "project": {"key": "shop", "name": draw(LINES)},
        "flags": {key: draw(flags()) for key in keys},
        "environments": {name: draw(environments(keys)) for name in draw(st.sets(KEYS, max_size=2))},
    }
    return normal_form(found, Known())
