"""What differs between a manifest and what there is."""

from typing import Any

import pytest
from hypothesis import given, settings

from flags.documents import initial_document
from rollouts.manifest.diffing import Kind, differences, mark
from tests.rollouts.manifest.shapes import manifests

POLICY = {"required_approvals": 1, "named_approvers": [], "expires_after_hours": 24}


def project(**changes: Any) -> dict[str, Any]:
    """A small project; `changes` are sections by name."""
    place = {
        "name": "Production",
        "kind": "production",
        "is_protected": True,
        "requires_targeting_key": False,
        "generation": "flagd-v2",
        "position": 0,
        "policy": POLICY,
        "segments": {"beta": {"name": "Beta", "condition": {"attribute": "a", "operator": "equals", "value": 1}}},
        "flags": {"checkout": {"config": initial_document("checkout", "boolean")}},
        "plans": [],
    }
    flag = {"name": "Checkout", "description": "", "kind": "release", "value_type": "boolean", "tags": []}
    found = {
        "version": 1,
        "project": {"key": "shop", "name": "Shop", "description": ""},
        "flags": {"checkout": flag},
        "environments": {"production": {**place, **changes.pop("place", {})}},
        "policy_rules": {},
        "plan_templates": {},
    }
    return {**found, **changes}


def valued(value: Any) -> dict[str, Any]:
    """Configs of a flag that gives everybody this inside an object."""
    variants = [{"name": "a", "value": {"x": value}}, {"name": "b", "value": {}}]
    return {"checkout": {"config": initial_document("checkout", "object", variants)}}


def asking(value: Any) -> dict[str, Any]:
    """Segments of those of whom an attribute is this."""
    return {"beta": {"name": "Beta", "condition": {"attribute": "a", "operator": "equals", "value": value}}}


PLAN = {"title": "Widen", "reason": "", "definition": {"flags": ["checkout"]}}
ON = {"checkout": {"config": {**initial_document("checkout", "boolean"), "enabled": True}}}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], list[tuple[str, Kind]]]] = {
    "nothing": (project(), project(), []),
    "what is not said": ({"project": {"key": "shop"}}, project(), []),
    "a new flag": (
        project(flags={"a": {"name": "A"}, "checkout": {}}),
        project(),
        [("flags.a", Kind.NEW)],
    ),
    "a field": (
        project(flags={"checkout": {"tags": ["web"]}}),
        project(),
        [("flags.checkout.tags", Kind.CHANGED)],
    ),
    "a flag left out": (project(flags={}), project(), [("flags.checkout", Kind.UNMANAGED)]),
    "a config": (
        project(place={"flags": ON}),
        project(),
        [("environments.production.flags.checkout.config", Kind.CHANGED)],
    ),
    "a value that is 1 and not true": (
        project(place={"flags": valued(True)}),
        project(place={"flags": valued(1)}),
        [("environments.production.flags.checkout.config", Kind.CHANGED)],
    ),
    "a value that is 0 and not 0.0": (
        project(place={"flags": valued(0.0)}),
        project(place={"flags": valued(0)}),
        [("environments.production.flags.checkout.config", Kind.CHANGED)],
    ),
    "a condition on 1 and not on true": (
        project(place={"segments": asking(True)}),
        project(place={"segments": asking(1)}),
        [("environments.production.segments.beta", Kind.CHANGED)],
    ),
    "a config that is not set up": (
        project(),
        project(place={"flags": {}}),
        [("environments.production.flags.checkout.config", Kind.NEW)],
    ),
    "a segment left out": (
        project(place={"segments": {}}),
        project(),
        [("environments.production.segments.beta", Kind.UNMANAGED)],
    ),
    "a policy": (
        project(place={"policy": {**POLICY, "required_approvals": 2}}),
        project(),
        [("environments.production.policy", Kind.CHANGED)],
    ),
    "protection": (
        project(place={"is_protected": False}),
        project(),
        [("environments.production.is_protected", Kind.CHANGED)],
    ),
    "an environment": (project(), project(environments={}), [("environments.production", Kind.NEW)]),
    "a plan": (project(place={"plans": [PLAN]}), project(), [("environments.production.plans[0]", Kind.NEW)]),
    "a plan that is there": (project(place={"plans": [PLAN]}), project(place={"plans": [PLAN]}), []),
}


@pytest.mark.parametrize("name", CASES)
def test_differences__of_two_projects__are_told_by_address(name: str) -> None:
    wanted, present, expected = CASES[name]

    found = differences(wanted, present)

    assert [(one.address, one.kind) for one in found] == expected
    assert all(one.sentences for one in found)


def test_plan_that_has_ended__still_in_the_manifest__is_not_begun_again() -> None:
    past = {mark("production", "Widen", PLAN["definition"])}  # type: ignore[arg-type]

    assert differences(project(place={"plans": [PLAN]}), project(), past=past) == []


@settings(max_examples=20)
@given(manifest=manifests())
def test_differences__of_a_project_and_itself__are_none(manifest: dict[str, Any]) -> None:
    assert differences(manifest, manifest) == []
