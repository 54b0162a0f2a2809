"""Explanations: a second reading of the same documents, held against the compiled one."""

import json
from datetime import datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from flags.evaluation import Snapshot, compile_snapshot
from flags.evaluation.explain import explain
from tests.flags.evaluation.documents import NOW
from tests.flags.strategies import FLAG_KEYS, contexts, forced_variants, hostile_values, moments, snapshots


@settings(max_examples=120)
@given(data=st.data(), snapshot=snapshots(), context=contexts(), now=moments())
def test_explain__any_environment_and_context__resolves_as_the_compiled_one(
    data: st.DataObject, snapshot: Snapshot, context: dict[str, Any], now: datetime
) -> None:
    forced = data.draw(forced_variants(snapshot))
    compiled = compile_snapshot(snapshot, forced=forced)
    for key in (*snapshot.flags, "nothing"):
        explanation = explain(snapshot, key, context, now, forced=forced)
        assert explanation.resolution == compiled.evaluate(key, context, now)
        assert explanation.flag_key == key


@settings(max_examples=50)
@given(snapshot=snapshots(), context=hostile_values(), key=st.sampled_from(FLAG_KEYS) | st.text() | st.none())
def test_explain__anything__never_raises(snapshot: Snapshot, context: Any, key: Any) -> None:
    explanation = explain(snapshot, key, context, NOW)
    assert explanation.resolution == compile_snapshot(snapshot).evaluate(key, context, NOW)
    json.dumps(explanation.as_json())
