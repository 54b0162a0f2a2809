"""What a clean-up makes of a config document. No database."""

from typing import Any

import pytest

from flags.documents import initial_document
from rollouts.services.cleaning import Cleaning, cleaned
from tests.factories import NOW, percent_document

KEY = "old-header"


def document(**more: Any) -> dict[str, Any]:
    return {**initial_document(KEY, "boolean"), **more}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (percent_document(KEY, 100), {"rules": [], "default_variant": "on"}),
        (document(enabled=True, default_variant="on", rules=[]), "nothing about it has to be tidied up."),
        (percent_document(KEY, 20), "people still get different things"),
        (
            {**percent_document(KEY, 100), "deprecation": {"deprecated_at": "2026-01-01T00:00:00Z"}},
            "its end was announced already.",
        ),
    ],
)
def test_tidy__keeps_what_everybody_gets_or_says_why_not(before, after):
    found = cleaned(before, Cleaning.TIDY, now=NOW)

    if isinstance(after, str):
        assert isinstance(found, str)
        assert found.startswith(after)
    else:
        assert not isinstance(found, str)
        assert {name: found[name] for name in after} == after
        assert found["variants"] == before["variants"]
        assert found["salt"] == before["salt"]


def test_switch_off__changes_the_switch_alone():
    before = percent_document(KEY, 20)

    assert cleaned(before, Cleaning.SWITCH_OFF, now=NOW) == {**before, "enabled": False}
    assert cleaned({**before, "enabled": False}, Cleaning.SWITCH_OFF, now=NOW) == "it is switched off already."
