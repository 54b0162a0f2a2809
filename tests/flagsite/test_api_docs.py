"""docs/api.md: its table names every address, and its first example is what the demo answers."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from drf_spectacular.generators import SchemaGenerator

from flagsite.demo.catalogue import FLAGS, SEGMENTS
from tests.flags.evaluation.documents import segment, snapshot_of

TEXT = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
# Their protocol describes itself, so they are not in the OpenAPI document.
NOT_IN_THE_SCHEMA = {("POST", "/api/v1/otlp/v1/logs"), ("POST", "/api/v1/otlp/v1/metrics")}
NOW = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)


def addresses_told() -> Iterator[tuple[str, str]]:
    """Methods and addresses of the table, parameters without names; `.../x` is read below every part of the first."""
    table = TEXT.split("\n\n")[1]
    for row in table.splitlines()[2:]:
        method, first = "", ""
        for said in re.findall(r"`([^`]+)`", row.split("|")[1]):
            method, _, address = said.rpartition(" ") if " " in said else (method, "", said)
            address = re.sub(r"\{\w+\}", "{}", address)
            if not address.startswith("..."):
                first = address
                yield method, address
                continue
            parts = first.split("/")
            yield from ((method, "/".join(parts[:count]) + address[3:]) for count in range(2, len(parts)))


def addresses_there_are() -> set[tuple[str, str]]:
    paths = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    described = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    return {(method, re.sub(r"\{\w+\}", "{}", path)) for method, path in described | NOT_IN_THE_SCHEMA}


def test_docs__table__names_every_address():
    assert sorted(addresses_there_are() - set(addresses_told())) == []


def test_docs__table__names_no_address_of_the_management_api_that_does_not_exist():
    there = addresses_there_are() | {("GET", "/api/v1/stream")}
    for row in TEXT.split("\n\n")[1].splitlines()[2:]:
        first = re.match(r"\| `(\w+) (/api/v1/[^`]+)`", row)
        assert first is None or (first[1], re.sub(r"\{\w+\}", "{}", first[2])) in there, row


def test_docs__first_example__is_what_the_demo_answers():
    sent = re.search(r"-d '(.+)'", TEXT)
    told = re.search(r"```json\n(.+?)```", TEXT, re.DOTALL)
    assert sent is not None
    assert told is not None
    expected: dict[str, Any] = json.loads(told[1])
    flag = next(flag for flag in FLAGS if flag.key == expected["key"])
    document = flag.document(now=NOW, **flag.serves[expected["metadata"]["environment"]])
    segments = {key: segment(condition) for key, (_, condition) in SEGMENTS[flag.project].items()}

    snapshot = snapshot_of({flag.key: document}, segments=segments)
    answer = snapshot.evaluate(flag.key, json.loads(sent[1])["context"], NOW)

    assert (answer.reason, answer.variant, answer.value) == (expected["reason"], expected["variant"], expected["value"])
    assert expected["metadata"]["version"] == 1
