"""Our evaluator against the published flagd core and in-process provider for JavaScript: bucketing generation v2."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from flags.evaluation import Generation, Snapshot, compile_snapshot
from flags.evaluation.compile import without_archived
from flags.interop import export_definition
from tests.flags.interop.corpus import NOW, contexts, environments
from tests.support.tools import JAVASCRIPT_FOLDER, find_node

pytestmark = pytest.mark.node
ENVIRONMENTS, CONTEXTS, FROM_PROVIDER = 20, 60, 20


def ask(folder: Path, snapshots: list[Snapshot], asked: list[dict[str, Any]], path: Path) -> Any:
    """What the JavaScript evaluators answer, by environment, flag and context."""
    listed = [[[key, source.value_type] for key, source in snapshot.flags.items()] for snapshot in snapshots]
    question = {
        "now": int(NOW.timestamp()),
        "contexts": asked,
        "environments": [
            {"definition": json.dumps(export_definition(snapshot).document), "flags": flags}
            for snapshot, flags in zip(snapshots, listed, strict=True)
        ],
        "path": str(path),
        "keys": listed[0],
    }
    path.write_text(question["environments"][0]["definition"])  # type: ignore[index]
    file = folder / "question.json"
    file.write_text(json.dumps(question))
    node = find_node()
    assert node
    answers = folder / "answers.json"
    command = [node, "flagd.mjs", str(file), str(answers)]
    done = subprocess.run(command, cwd=JAVASCRIPT_FOLDER, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(answers.read_text())


def test_core_and_provider__random_documents_and_contexts__agree(tmp_path: Path):
    drawn = environments(ENVIRONMENTS, generation=Generation.FLAGD_V2, endings=True)
    snapshots = [without_archived(snapshot) for snapshot in drawn]
    # Some splits go by the plan, and this engine hashes text that is not ASCII unlike Go and Python (docs/flagd.md).
    asked = [context for context in contexts(CONTEXTS) if str(context.get("plan")).isascii()]

    answers = ask(tmp_path, snapshots, asked, tmp_path / "flags.json")

    compared = 0
    for snapshot, of_flags in zip(snapshots, answers["core"], strict=True):
        compiled = compile_snapshot(snapshot)
        for key, of_contexts in zip(snapshot.flags, of_flags, strict=True):
            for context, (variant, value, reason, error) in zip(asked, of_contexts, strict=True):
                ours = compiled.evaluate(key, context, NOW)
                shown = (snapshot.flags[key].document, context, reason)
                assert (variant, value, error) == (ours.variant, ours.value, None), shown
                compared += 1
    assert compared == sum(len(snapshot.flags) for snapshot in snapshots) * len(asked) > 4_000

    provider = iter(answers["provider"])
    compiled = compile_snapshot(snapshots[0])
    for key, source in snapshots[0].flags.items():
        for context in asked[:FROM_PROVIDER]:
            variant, value, _, error, metadata = next(provider)
            ours = compiled.evaluate(key, context, NOW)
            assert (variant, value, error) == (ours.variant, ours.value, None)
            assert (metadata["flagSetId"], metadata["version"]) == ("production", source.version)
