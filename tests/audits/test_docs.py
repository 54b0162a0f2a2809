"""docs/audit.md tells outsiders how to verify a chain; its example and tables have to be true."""

import json
import re
import subprocess
from pathlib import Path

from audits.api.parameters import _FILTERS, _OTHERS
from audits.integrity import FACTS, Fault, event_hash

TEXT = (Path(__file__).parents[2] / "docs" / "audit.md").read_text()


def test_docs__worked_example__gives_its_hash_to_sha256sum():
    example = re.search(r"```json\n(.+)\n```", TEXT)
    stated = re.search(r"has the hash `([0-9a-f]{64})`", TEXT)
    assert example is not None
    assert stated is not None

    summed = subprocess.run(["sha256sum"], input=example[1].encode(), capture_output=True, check=True).stdout

    assert summed.split()[0].decode() == stated[1]
    assert f"one line, {len(example[1].encode())} bytes" in TEXT


def test_docs__worked_example__is_what_the_product_hashes():
    example = re.search(r"```json\n(.+)\n```", TEXT)
    assert example is not None
    event = json.loads(example[1])

    assert set(event) == {*FACTS, "previous_hash"}
    assert event_hash(event["previous_hash"], {name: event[name] for name in FACTS}) in TEXT


def test_docs__tables__name_every_column_parameter_and_fault():
    for name in (*FACTS, "previous_hash", "hash", *_FILTERS, *_OTHERS):
        assert f"`{name}`" in TEXT, name
    for fault in Fault:
        assert fault.value in TEXT, fault
