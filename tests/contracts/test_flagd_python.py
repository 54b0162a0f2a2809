"""Our evaluator against the published flagd core for Python, on the definitions we export.

The installed core is of bucketing generation v3. For v2 the one step in which the two differ is replaced: the bytes
that are hashed, which v2 takes from UTF-8 and v3 from CBOR. The JavaScript core (`test_flagd_javascript`) is a v2 core
as published.
"""

import json
import logging
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType
from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.contrib.tools.flagd.core.targeting import custom_ops
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import Reason as TheirReason

from flags.documents import initial_document
from flags.evaluation import FlagSource, Generation, Reason, Snapshot, compile_snapshot
from flags.evaluation.operators import MAX_SEARCHED_CHARACTERS
from flags.interop import export_definition
from tests.flags.interop.corpus import FLAGS_EACH, NOW, contexts, environments

DOCUMENTATION = Path(__file__).parents[2] / "docs/flagd.md"
DOCUMENTS = int(os.environ.get("FLAGD_DOCUMENTS", "300"))
CONTEXTS = int(os.environ.get("FLAGD_CONTEXTS", "200"))

# flagd has fewer reasons: a split is a match there, what is switched off here is served there, and prerequisites are
# targeting.
_REASONS = {
    Reason.STATIC: {TheirReason.STATIC, TheirReason.DEFAULT, TheirReason.TARGETING_MATCH},
    Reason.SPLIT: {TheirReason.TARGETING_MATCH},
    Reason.TARGETING_MATCH: {TheirReason.TARGETING_MATCH},
    Reason.DEFAULT: {TheirReason.DEFAULT, TheirReason.TARGETING_MATCH},
    Reason.DISABLED: set(TheirReason),
}


class _PlainBytes:
    """In the place of CBOR: the bytes that v2 hashes."""

    @staticmethod
    def dumps(value: str, canonical: bool) -> bytes:
        return value.encode()


@pytest.fixture(autouse=True)
def _their_log_is_quiet() -> Iterator[None]:
    """flagd logs every attribute that is no version, with a traceback."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def generation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Generation:
    generation: Generation = request.param
    if generation is Generation.FLAGD_V2:
        monkeypatch.setattr(custom_ops, "cbor2", _PlainBytes)
    return generation


@pytest.fixture
def their_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock:
        @staticmethod
        def time() -> float:
            return NOW.timestamp() + 0.9

    # By its name: the package has a function with the name of the module.
    module = sys.modules["openfeature.contrib.tools.flagd.core.targeting.targeting"]
    monkeypatch.setattr(module, "time", Clock)


def ask(core: Any, value_type: str, key: str, context: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Variant, value and reason; a value of None is the code default."""
    attributes = {name: value for name, value in context.items() if name != "targetingKey"}
    given = EvaluationContext(context.get("targetingKey"), attributes)
    details = getattr(core, f"resolve_{value_type}_value")(key, None, given)
    return details.variant, details.value, details.reason


def _shown(found: list[Any]) -> str:
    """The first disagreement in full, for the message of a failing test."""
    document, context, ours, theirs = found[0]
    said = f"we: {ours.variant!r} {ours.value!r} {ours.reason}; flagd: {theirs}"
    return f"{len(found)} disagreements\n{json.dumps(document)}\n{json.dumps(context)}\n{said}"


def disagreements(snapshot: Snapshot, asked: list[dict[str, Any]], core: Any) -> list[Any]:
    compiled = compile_snapshot(snapshot)
    found: list[Any] = []
    for key in compiled.flag_keys:
        source = snapshot.flags[key]
        for context in asked:
            ours = compiled.evaluate(key, context, NOW)
            assert ours.error_code is None
            theirs = ask(core, source.value_type, key, context)
            is_same = theirs[:2] == (ours.variant, ours.value) and type(theirs[1]) is type(ours.value)
            if not is_same or theirs[2] not in _REASONS[ours.reason]:
                found.append((source.document, context, ours, theirs))
    return found


@pytest.mark.parametrize("generation", list(Generation), indirect=True, ids=str)
def test_core__random_documents_and_contexts__agrees(generation: Generation, their_clock: None):
    asked = contexts(CONTEXTS)
    reasons: set[Reason] = set()
    compared = 0

    for snapshot in environments(DOCUMENTS // FLAGS_EACH, generation=generation):
        definition = export_definition(snapshot)
        assert not any(omission.is_left_out for omission in definition.omissions)
        core = FlagdCore()
        core.set_flags(json.dumps(definition.document))

        found = disagreements(snapshot, asked, core)
        assert not found, _shown(found)

        compared += len(snapshot.flags) * len(asked)
        compiled = compile_snapshot(snapshot)
        reasons |= {resolution.reason for key in snapshot.flags for resolution in compiled.answers(key)}

    # The corpus is only worth something while it reaches every kind of answer.
    assert reasons == set(_REASONS)
    assert compared == DOCUMENTS // FLAGS_EACH * FLAGS_EACH * CONTEXTS


@pytest.mark.parametrize("generation", list(Generation), indirect=True, ids=str)
def test_core__flags_that_end__agrees(generation: Generation, their_clock: None):
    """Withdrawals by share, for a time and for good, archived flags, and flags that require one of these."""
    asked, withdrawn, archived = [*contexts(60), {}, {"targetingKey": ""}], 0, 0
    for snapshot in environments(DOCUMENTS // FLAGS_EACH, generation=generation, endings=True):
        definition = export_definition(snapshot)
        assert not any(omission.is_left_out for omission in definition.omissions)
        core = FlagdCore()
        core.set_flags(json.dumps(definition.document))

        found = disagreements(snapshot, asked, core)
        assert not found, _shown(found)

        compiled = compile_snapshot(snapshot)
        answers = [compiled.evaluate(key, context, NOW) for key in compiled.flag_keys for context in asked]
        withdrawn += sum("withdrawn" in answer.metadata for answer in answers)
        archived += len(snapshot.flags) - len(compiled.flag_keys)
        assert definition.document["flags"].keys() == set(compiled.flag_keys)

    assert withdrawn > 500
    assert archived > 1


def test_core__strict_environments_and_kill_lists__agree_on_what_callers_get(their_clock: None):
    """An error of ours is the code default there. A forced variant is forced there, also for flags that require it."""
    asked = [*contexts(60), {}, {"targetingKey": ""}]
    errors = 0
    for number, plain in enumerate(environments(30, generation=Generation.FLAGD_V3)):
        snapshot = replace(plain, requires_targeting_key=True)
        forced = {key: source.document["variants"][0]["name"] for key, source in snapshot.flags.items()}
        forced = {f"flag-{number % FLAGS_EACH}": forced[f"flag-{number % FLAGS_EACH}"]}
        definition = export_definition(snapshot, forced=forced)
        core = FlagdCore()
        core.set_flags(json.dumps(definition.document))
        compiled = compile_snapshot(snapshot, forced=forced)
        for key in definition.document["flags"]:
            for context in asked:
                ours = compiled.evaluate(key, context, NOW)
                theirs = ask(core, snapshot.flags[key].value_type, key, context)
                assert theirs[:2] == (ours.variant, ours.value), (snapshot.flags[key].document, context, forced)
                errors += ours.error_code is not None

    assert errors > 50


@pytest.mark.parametrize(
    ("length", "is_found_here"), [(MAX_SEARCHED_CHARACTERS, True), (MAX_SEARCHED_CHARACTERS + 1, False)]
)
def test_core__long_text_is_searched__is_the_difference_that_the_documentation_names(length: int, is_found_here: bool):
    condition = {"attribute": "agent", "operator": "contains", "value": "needle"}
    rule = {"id": "r1", "description": "", "condition": condition, "serve": {"variant": "on"}}
    document = {**initial_document("flag", "boolean"), "enabled": True, "rules": [rule]}
    flags = {"flag": FlagSource("boolean", document, 1)}
    snapshot = Snapshot("shop", "id", "production", 1, Generation.FLAGD_V3, flags, {})
    core = FlagdCore()
    core.set_flags(json.dumps(export_definition(snapshot).document))
    context = {"agent": "needle".rjust(length)}

    ours = compile_snapshot(snapshot).evaluate("flag", context, NOW)

    assert (ours.value, ask(core, "boolean", "flag", context)[1]) == (is_found_here, True)
    assert (
        f"more than {MAX_SEARCHED_CHARACTERS:,} characters: for Flagsite it contains nothing"
        in DOCUMENTATION.read_text()
    )


def test_core__other_generation__disagrees(their_clock: None):
    """The comparison can fail: a definition for one generation, read by an evaluator of the other."""
    snapshot = environments(5, generation=Generation.FLAGD_V2)
    asked = contexts(50)
    found = []
    for each in snapshot:
        core = FlagdCore()
        core.set_flags(json.dumps(export_definition(each).document))
        found += disagreements(each, asked, core)

    assert found
    assert {item[2].reason for item in found} <= {Reason.SPLIT, Reason.DISABLED, Reason.DEFAULT}


def test_provider__file_mode__serves_the_definition(tmp_path: Path, their_clock: None):
    """The published in-process provider, reading what `export_flagd` writes."""
    (snapshot,) = environments(1, generation=Generation.FLAGD_V3, seed=3)
    path = tmp_path / "flags.json"
    path.write_text(json.dumps(export_definition(snapshot).document))
    provider = FlagdProvider(resolver_type=ResolverType.FILE, offline_flag_source_path=str(path))

    provider.initialize(EvaluationContext())
    try:
        compiled = compile_snapshot(snapshot)
        for key, source in snapshot.flags.items():
            for context in contexts(20):
                attributes = {name: value for name, value in context.items() if name != "targetingKey"}
                given = EvaluationContext(context.get("targetingKey"), attributes)
                resolve = getattr(provider, f"resolve_{source.value_type}_details")
                theirs = resolve(key, None, given)
                ours = compiled.evaluate(key, context, NOW)
                assert (theirs.variant, theirs.value) == (ours.variant, ours.value)
                assert theirs.flag_metadata["flagSetId"] == "production"
                assert theirs.flag_metadata["version"] == source.version
    finally:
        provider.shutdown()
