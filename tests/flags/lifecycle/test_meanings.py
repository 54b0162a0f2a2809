"""What is noted about a version comes back as it was."""

import json
from datetime import UTC, datetime

import pytest

from flags.lifecycle.meanings import Meaning, meaning_from
from flags.lifecycle.semantic_versions import Part
from flags.lifecycle.shapes import Shape

AT = datetime(2026, 3, 2, 10, tzinfo=UTC)
SHAPES = [
    Shape(frozenset({"on", "off", None}), is_split=True, has_aims=True, deprecated_at=AT),
    Shape(frozenset({None}), is_enabled=False, is_archived=True, is_sunset=True, sunset_at=AT),
    Shape(frozenset({"on"})),
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("part", [None, *Part])
def test_meaning__stored_and_read__is_the_same(part, shape):
    meaning = Meaning(part, Part.MAJOR if part is None else None, "c0ffee", part is None, shape)

    assert meaning_from(json.loads(json.dumps(meaning.as_json()))) == meaning
