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
    ProtectedEnvironment,
    Reversal,
)

ROOT = Path(__file__).resolve().parents[2]
CONSTRUCTORS = {
    "DirectEdit": {"flags/services/configs.py", "flags/services/flags.py"},
    "ApprovedChange": {"rollouts/services/applying.py"},
    "Narrowing": {"rollouts/services/narrowing.py"},
    "Reversal": {"rollouts/services/versions.py"},
    "BreakGlass": {"rollouts/services/emergencies.py"},
}


def constructions(name: str) -> set[str]:
    """The product's modules in which `name(...)` or `replace(...)` of it is called."""
    found = set()
    for app in ("audits", "flags", "rollouts", "flagsite"):
        for path in (ROOT / app).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if not isinstance(node, ast.Call):
                    continue
                called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
                if called == name:
                    found.add(str(path.relative_to(ROOT)))
    return found


@pytest.mark.parametrize("name", CONSTRUCTORS)
def test_authority__constructed__only_where_it_is_proven(name):
    assert constructions(name) == CONSTRUCTORS[name]


def approved(**facts: Any) -> ApprovedChange:
    consent = ApprovedChange("r", digest="d", content_digest="c", approver_ids=("a", "b"), required_approvals=2)
    return replace(consent, **facts)


@pytest.mark.parametrize(
    ("authority", "is_protected", "digest", "error"),
    [
        (DirectEdit(), False, "anything", None),
        (DirectEdit(), True, "anything", ProtectedEnvironment),
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
