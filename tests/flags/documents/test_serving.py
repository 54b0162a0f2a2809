"""What a flag can serve: the linter and the pages about prerequisites go by the same answer."""

from datetime import UTC, datetime
from typing import Any

import pytest

from flags.documents.serving import variants_served
from tests.factories import percent_document

NOW = datetime(2026, 11, 21, tzinfo=UTC)
WINDOW = {"starts_at": "2020-01-01T00:00:00Z", "ends_at": "2999-01-01T00:00:00Z"}
OVER = {"ends_at": "2026-11-21T00:00:00Z"}
EVERYBODY = {"id": "all", "description": "", "condition": None, "serve": {"variant": "on"}}
SOME = {**EVERYBODY, "condition": {"attribute": "plan", "operator": "is_set", "value": None}}
NEEDS = {"prerequisites": [{"flag": "parent", "variants": ["on"]}]}

MAY_SERVE: dict[str, tuple[dict[str, Any], set[str]]] = {
    "off": ({"enabled": False}, {"off"}),
    "off, left to the application": ({"enabled": False, "off_variant": None}, set()),
    "default only": ({"rules": []}, {"off"}),
    "default left to the application": ({"rules": [], "default_variant": None}, set()),
    "a target besides": ({"rules": [], "targets": [{"variant": "on", "keys": ["a"]}]}, {"on", "off"}),
    "everyone": ({"rules": [EVERYBODY]}, {"on"}),
    "some": ({"rules": [SOME]}, {"on", "off"}),
    "everyone for a time": ({"rules": [{**EVERYBODY, **WINDOW}]}, {"on", "off"}),
    "nothing behind a rule for everyone": (
        {"rules": [{**EVERYBODY, "serve": {"variant": "off"}}, EVERYBODY]},
        {"off"},
    ),
    "a share of nothing": ({"default_variant": None, **{"rules": percent_document("f", 100)["rules"]}}, {"on"}),
    "a rule that is over": ({"rules": [{**EVERYBODY, **OVER}]}, {"off"}),
    "a rule to come": ({"rules": [{**EVERYBODY, "starts_at": "2026-12-01T00:00:00Z"}]}, {"on", "off"}),
    "needs a flag that is not there": (
        {"rules": [EVERYBODY], "prerequisites": [{"flag": "x", "variants": ["on"]}]},
        {"off"},
    ),
    "needs a flag that may serve it": ({"rules": [EVERYBODY], **NEEDS}, {"on", "off"}),
    "needs a flag that is off": (
        {"rules": [EVERYBODY], "prerequisites": [{"flag": "stopped", "variants": ["on"]}]},
        {"off"},
    ),
    "needs itself": ({"rules": [EVERYBODY], "prerequisites": [{"flag": "f", "variants": ["on"]}]}, {"on", "off"}),
}


@pytest.mark.parametrize("case", MAY_SERVE)
def test_variants_served__any_config__names_what_somebody_may_get(case: str) -> None:
    changes, expected = MAY_SERVE[case]
    configs = {
        "f": {**percent_document("f", 25), **changes},
        "parent": percent_document("parent", 25),
        "stopped": percent_document("stopped", 25, enabled=False),
    }

    assert variants_served("f", configs, now=NOW) == expected


def test_variants_served__unknown_flag__serves_nothing() -> None:
    assert variants_served("f", {}, now=NOW) == set()
