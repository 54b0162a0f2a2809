"""Authorities: which module may construct which, and what each refuses."""

import ast
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flags.authority import (
    ApprovedChange,
    BreakGlass,
    ConsentMismatch,
    DirectEdit,
    Narrowing,
    NotProtected,
    PlanStage,
    ProtectedEnvironment,
    Retirement,
    Reversal,
)

ROOT = Path(__file__).resolve().parents[2]
CONSTRUCTORS = {
    "DirectEdit": {"flags/services/configs.py", "flags/services/flags.py"},
    "Retirement": {"rollouts/services/retirement.py"},
    "ApprovedChange": {"rollouts/services/applying.py"},
    "Narrowing": {"rollouts/services/narrowing.py"},
    "Reversal": {"rollouts/services/versions.py"},
    "BreakGlass": {"rollouts/services/emergencies.py"},
    "PlanStage": {"rollouts/services/plans/stages.py"},
    "Milestone": {"rollouts/services/timelines/milestones.py"},
}


def constructions(name: str) -> set[str]:
    """The product's modules in which `name(...)` of `flags.authority` is called. Others may have a class so named."""
    return {
        str(path.relative_to(ROOT))
        for app in ("audits", "flags", "rollouts", "flagsite")
        for path in (ROOT / app).rglob("*.py")
        if name in (text := path.read_text()) and is_constructed(name, ast.parse(text))
    }


def is_constructed(name: str, module: ast.Module) -> bool:
    """Whether the module calls the authority, whatever it calls it by."""
    names = {
        alias.asname or alias.name
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom) and (node.module or "").endswith("authority")
        for alias in node.names
        if alias.name == name
    }
    calls = [node.func for node in ast.walk(module) if isinstance(node, ast.Call)]
    return any(
        call.id in names if isinstance(call, ast.Name) else isinstance(call, ast.Attribute) and call.attr == name
        for call in calls
    )


@pytest.mark.parametrize("name", CONSTRUCTORS)
def test_authority__constructed__only_where_it_is_proven(name):
    assert constructions(name) == CONSTRUCTORS[name]


def approved(**facts: Any) -> ApprovedChange:
    consent = ApprovedChange("r", digest="d", content_digest="c", approver_ids=("a", "b"), required_approvals=2)
    return replace(consent, **facts)


def staged(**facts: Any) -> PlanStage:
    consent = PlanStage("p", stage=2, attempt=1, content_digest="c", request_id="r", approver_ids=("a",))
    return replace(consent, required_approvals=1, **facts)


@pytest.mark.parametrize(
    ("authority", "is_protected", "digest", "error"),
    [
        (staged(), True, "c", None),
        (staged(), True, "other", ConsentMismatch),
        (staged(), False, "other", ConsentMismatch),
        (staged(approver_ids=()), True, "c", ConsentMismatch),
        (staged(approver_ids=(), goes_back=True), True, "c", None),
        (staged(approver_ids=(), goes_back=True), True, "other", ConsentMismatch),
        (staged(request_id=""), True, "c", ProtectedEnvironment),
        (staged(request_id=""), False, "c", None),
        (staged(request_id="", goes_back=True), True, "c", None),
        (DirectEdit(), False, "anything", None),
        (DirectEdit(), True, "anything", ProtectedEnvironment),
        (Retirement(), False, "anything", None),
        (Retirement(), True, "anything", ProtectedEnvironment),
        (Narrowing("switch_off"), True, "anything", None),
        (Reversal("flag", "version 3"), True, "anything", None),
        (BreakGlass("use"), True, "anything", None),
        (BreakGlass("use"), False, "anything", NotProtected),
        (approved(), True, "c", None),
        (approved(), False, "c", None),
        (approved(), True, "d", ConsentMismatch),
        (approved(), False, "other", ConsentMismatch),
        (approved(approver_ids=("a",)), True, "c", ConsentMismatch),
        (approved(approver_ids=("a", "a")), True, "c", ConsentMismatch),
        (approved(required_approvals=0, approver_ids=()), True, "c", ConsentMismatch),
        (approved(required_approvals=-1), True, "c", ConsentMismatch),
    ],
)
def test_check__per_authority__refuses_what_it_does_not_cover(authority, is_protected, digest, error):
    if error is None:
        authority.check(is_protected=is_protected, digest=digest)
    else:
        with pytest.raises(error):
            authority.check(is_protected=is_protected, digest=digest)


@pytest.mark.parametrize(
    ("authority", "in_protected", "elsewhere"),
    [
        (DirectEdit(), False, False),
        (approved(), False, False),
        (BreakGlass("use"), False, False),
        (Narrowing("switch_off"), True, True),
        (Reversal("flag", "version 3"), True, False),
    ],
)
def test_demands_narrowing__per_authority__where_nobody_approves(authority, in_protected, elsewhere):
    assert authority.demands_narrowing(is_protected=True) is in_protected
    assert authority.demands_narrowing(is_protected=False) is elsewhere


@pytest.mark.parametrize(
    ("authority", "is_protected", "demands"),
    [
        (staged(), True, False),
        (staged(goes_back=True), True, False),
        (staged(request_id=""), False, False),
        (staged(request_id="", goes_back=True), True, True),
        (staged(goes_back=True, must_narrow=True), True, True),
        (staged(goes_back=True, must_narrow=True), False, False),
    ],
)
def test_plan_stage__nobody_approved_it__exposes_nobody_on_the_way_back(authority, is_protected, demands):
    assert authority.demands_narrowing(is_protected=is_protected) is demands


def test_plan_stage__approved__goes_forward_with_the_role_release_manager_only():
    assert staged().permissions == ("flags.apply_change",)
    for authority in (staged(goes_back=True), staged(request_id="")):
        assert authority.permissions == ("flags.propose_change", "flags.apply_change")
