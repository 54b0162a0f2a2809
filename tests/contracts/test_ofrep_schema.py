"""Every answer against the schema of OFREP 0.3.0.

The published schema cannot be used literally: its successes are a `oneOf` with a branch that everything matches, and
its reasons lack DEFAULT, which the protocol's own record 0006 demands. Both are relaxed here and nothing else is.
"""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from flags.api.ofrep import handle
from tests.factories import NOW
from tests.flags.api.hostile import INVALID_CONTEXT, PARSE_ERROR
from tests.flags.api.plane import DOCUMENTS, decoded, fake_store, wire

PUBLISHED = json.loads(Path(__file__).with_name("ofrep-0.3.0.json").read_text())
BROKEN = {**DOCUMENTS, "broken": ("boolean", {"schema": 1})}


def relaxed() -> Any:
    schema = copy.deepcopy(PUBLISHED)
    success = schema["components"]["schemas"]["evaluationSuccess"]
    facts, values = success["allOf"]
    facts["properties"]["reason"]["enum"].append("DEFAULT")
    values["anyOf"] = values.pop("oneOf")
    return schema


def check(name: str, value: Any) -> None:
    schema = {**relaxed(), "$ref": f"#/components/schemas/{name}"}
    Draft202012Validator(schema).validate(value)


@pytest.mark.parametrize("context", ["{}", '{"targetingKey":"user-1"}', '{"targetingKey":null,"plan":"beta"}'])
def test_answers__of_usable_contexts__match_the_schema(context: str):
    store, _ = fake_store(BROKEN)
    body = f'{{"context":{context}}}'.encode()

    bulk = handle(wire(None, body), store=store, now=NOW)
    singles = {key: handle(wire(key, body), store=store, now=NOW) for key in BROKEN}

    check("bulkEvaluationSuccess", decoded(bulk))
    for key, single in singles.items():
        if single.status == 200:
            check("serverEvaluationSuccess", decoded(single))
        else:
            assert (key, single.status) == ("broken", 400)
            check("evaluationFailure", decoded(single))


def test_answers__unknown_flag__matches_the_schema():
    response = handle(wire("unknown"), store=fake_store()[0], now=NOW)

    assert response.status == 404
    check("flagNotFound", decoded(response))


@pytest.mark.parametrize("name", [*PARSE_ERROR, *INVALID_CONTEXT])
def test_answers__hostile_bodies__match_the_schema(name: str):
    store, body = fake_store()[0], (PARSE_ERROR | INVALID_CONTEXT)[name]

    check("evaluationFailure", decoded(handle(wire("a-boolean", body), store=store, now=NOW)))
    check("bulkEvaluationFailure", decoded(handle(wire(None, body), store=store, now=NOW)))
