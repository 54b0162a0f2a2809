"""Which way a change moves exposure: sound for whatever documents there are, and useful for everyday changes."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audits.integrity import canonical_json
from flags.changes import ChangeSet
from flags.directions import Direction, Movement, movement_of
from flags.evaluation import ErrorCode, Resolution, Snapshot, compile_snapshot
from tests.flags.changed_environments import changed_environments, contexts_near, documents_of
from tests.flags.strategies import moments

NEUTRAL, NARROWS, WIDENS = Direction.NEUTRAL, Direction.NARROWS, Direction.WIDENS
EXAMPLES, CONTEXTS = 100, 50


def served(answer: Resolution) -> tuple[Any, ...]:
    """What an application gets: a flag that is not set up and a code default are the same to it."""
    if answer.error_code in (None, ErrorCode.FLAG_NOT_FOUND):
        return answer.variant, canonical_json(answer.value)
    return "error", answer.error_code


def off_value(snapshot: Snapshot, key: str) -> bytes:
    source = snapshot.flags.get(key)
    name = source.document["off_variant"] if source else None
    values = {item["name"]: item["value"] for item in source.document["variants"]} if source else {}
    value = values.get(name)
    return canonical_json(float(value) if source and source.value_type == "float" and name else value)


def violations(before: Snapshot, change_set: ChangeSet, after: Snapshot, seed: int, now: Any) -> tuple[Movement, list]:
    """Answers that contradict what the movement says of their flag."""
    movement = movement_of(change_set, configs=documents_of(before), segments=before.segments)
    said = {flag.flag_key: flag.direction for flag in movement.flags}
    old, new = compile_snapshot(before), compile_snapshot(after)
    found = []
    for context in contexts_near(before, after, seed=seed, amount=CONTEXTS):
        for key in after.flags:
            direction = said.get(key, NEUTRAL)
            one, other = old.evaluate(key, context, now), new.evaluate(key, context, now)
            if direction is WIDENS or served(one) == served(other):
                continue
            is_off = canonical_json(other.value) == off_value(before, key) and other.error_code is None
            if direction is NEUTRAL or not (is_off or other.error_code):
                found.append((key, direction, context, one, other))
    kept = [key for key, way in said.items() if way is not WIDENS and off_value(before, key) != off_value(after, key)]
    return movement, found + kept


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(changed_environments(), st.integers(0, 10**6), moments())
def test_movement_of__whatever_narrows__exposes_nobody_anew(changed, seed, now):
    before, change_set, after = changed

    _, found = violations(before, change_set, after, seed, now)

    assert found == []
