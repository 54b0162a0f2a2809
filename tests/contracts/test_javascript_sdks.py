"""The published JavaScript SDKs, server and web, unmodified, against a live server."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.flags.api.plane import Plane
from tests.support.tools import JAVASCRIPT_FOLDER, find_node

pytestmark = pytest.mark.node
USER = {"targetingKey": "user-1", "plan": "basic"}
BETA = {"targetingKey": "user-1", "plan": "beta"}
VALUES: list[tuple[str, str, Any, Any]] = [
    ("Boolean", "a-boolean", False, True),
    ("String", "a-string", "", "grün"),
    ("Number", "an-integer", 0, 42),
    ("Number", "a-float", 0.25, 1),
    ("Object", "an-object", {}, {"nested": {"list": [1, "two", None]}}),
]


def run(script: str, **question: Any) -> Any:
    """What a script prints, as JSON."""
    node = find_node()
    assert node
    done = subprocess.run(
        [node, script, json.dumps(question)],
        cwd=JAVASCRIPT_FOLDER,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def question(type_: str, key: str, fallback: Any, context: Any = None) -> dict[str, Any]:
    return {"type": type_, "key": key, "fallback": fallback, "context": context or USER}


def test_lock__names_exact_versions_and_no_addresses():
    folder = Path(JAVASCRIPT_FOLDER)
    lock = json.loads((folder / "package-lock.json").read_text())
    wanted = json.loads((folder / "package.json").read_text())["dependencies"]

    assert all("resolved" not in package for package in lock["packages"].values())
    assert all("integrity" in package for name, package in lock["packages"].items() if name)
    assert "://" not in (folder / ".npmrc").read_text()
    for name, version in wanted.items():
        assert lock["packages"][f"node_modules/{name}"]["version"] == version


@pytest.mark.parametrize("header", ["X-API-Key", "Authorization"])
def test_server_sdk__values_reasons_and_failures__arrive(header: str, live_plane: Plane, live_server: Any):
    questions = [
        *(question(type_, key, fallback) for type_, key, fallback, _ in VALUES),
        question("Boolean", "disabled", True),
        question("Boolean", "targeted", True),
        question("Boolean", "targeted", False, BETA),
        question("Boolean", "split", False),
        question("Boolean", "unknown", True),
        question("Boolean", "code-default", True),
        question("Boolean", "a-boolean", False, {"targetingKey": 1}),
    ]
    secret = live_plane.secret if header == "X-API-Key" else f"Bearer {live_plane.secret}"

    answers = run("server.mjs", baseUrl=live_server.url, headers=[[header, secret]], questions=questions)

    values, (disabled, missed, matched, split, unknown, code_default, invalid) = answers[:5], answers[5:]
    for answer, (_, key, _, value) in zip(values, VALUES, strict=True):
        assert (answer["flagKey"], answer["value"], answer["variant"], answer["reason"]) == (key, value, "on", "STATIC")
        assert answer["flagMetadata"]["environment"] == "production"
    assert (disabled["value"], disabled["reason"]) == (False, "DISABLED")
    assert (missed["value"], missed["reason"]) == (False, "DEFAULT")
    assert (matched["value"], matched["reason"]) == (True, "TARGETING_MATCH")
    assert (split["value"], split["reason"]) == (False, "SPLIT")
    assert (unknown["value"], unknown["errorCode"]) == (True, "FLAG_NOT_FOUND")
    # This release, the newest on npm, cannot read an answer without a value; the application still gets its default.
    assert (code_default["value"], code_default["errorCode"]) == (True, "GENERAL")
    assert (invalid["value"], invalid["errorCode"]) == (False, "INVALID_CONTEXT")


def test_web_sdk__unchanged_answer__is_a_304_and_the_cache_serves(live_plane: Plane, live_server: Any):
    questions = [
        *({"type": type_, "key": key, "fallback": fallback} for type_, key, fallback, _ in VALUES),
        {"type": "Boolean", "key": "targeted", "fallback": False},
        {"type": "Boolean", "key": "code-default", "fallback": True},
        {"type": "Boolean", "key": "disabled-code-default", "fallback": True},
        {"type": "Boolean", "key": "unknown", "fallback": True},
    ]
    contexts = [USER, {**USER}, BETA, {**BETA, "targetingKey": "user-2"}]

    result = run(
        "web.mjs",
        baseUrl=live_server.url,
        headers=[["X-API-Key", live_plane.secret]],
        contexts=contexts,
        questions=questions,
    )

    first, same, changed, other = result["wire"]
    assert result["failure"] is None
    assert [step["status"] for step in result["wire"]] == [200, 304, 200, 200]
    assert (first["ifNoneMatch"], same["ifNoneMatch"], same["bytes"]) == (None, first["etag"], 0)
    assert (changed["ifNoneMatch"], other["ifNoneMatch"]) == (first["etag"], None)
    for answers in result["steps"]:
        for answer, (_, key, _, value) in zip(answers[:5], VALUES, strict=True):
            assert (answer["flagKey"], answer["value"], answer["reason"]) == (key, value, "STATIC")
        code_default, disabled, unknown = answers[6:]
        assert (code_default["value"], code_default["reason"]) == (True, "DEFAULT")
        assert (disabled["value"], disabled["reason"]) == (True, "DISABLED")
        assert (unknown["value"], unknown["errorCode"]) == (True, "FLAG_NOT_FOUND")
    assert [answers[5]["value"] for answers in result["steps"]] == [False, False, True, True]


@pytest.mark.parametrize("scope", ["audit", "unknown"])
def test_web_sdk__token_that_may_not__is_fatal(scope: str, live_plane: Plane, live_server: Any):
    secret = live_plane.issue(scope="audit").secret if scope == "audit" else "fse_unknown"

    result = run("web.mjs", baseUrl=live_server.url, headers=[["X-API-Key", secret]], contexts=[USER], questions=[])

    assert [step["status"] for step in result["wire"]] == [403 if scope == "audit" else 401]
    assert result["failure"]["code"] == "PROVIDER_FATAL"
