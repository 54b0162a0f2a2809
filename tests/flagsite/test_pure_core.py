"""The pure core takes `now` as an argument: import contracts keep modules out, this keeps `datetime`'s clock out."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PURE = (
    "audits/integrity.py",
    "flags/authority.py",
    "flags/changes.py",
    "flags/differences.py",
    "flags/directions",
    "flags/documents",
    "flags/evaluation",
    "flags/interop",
    "flags/lifecycle",
    "flags/merging.py",
    "rollouts/manifest",
    "rollouts/policies",
    "rollouts/schedules",
    "rollouts/transitions.py",
)
FILES = sorted(
    path for name in PURE for path in ([ROOT / name] if name.endswith(".py") else (ROOT / name).rglob("*.py"))
)
CLOCKS = {"now", "utcnow", "today", "time", "monotonic", "perf_counter"}
DOORS = {"open", "print", "input", "exec", "eval", "__import__"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_pure_core__no_clock_and_no_file__is_called(path: Path) -> None:
    calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]

    reads_clock = [ast.unparse(call) for call in calls if isinstance(call, ast.Attribute) and call.attr in CLOCKS]
    opens = [call.id for call in calls if isinstance(call, ast.Name) and call.id in DOORS]

    assert reads_clock + opens == []


def test_pure_core__every_listed_place__exists() -> None:
    assert all((ROOT / name).exists() for name in PURE)
