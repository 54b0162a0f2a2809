"""Whether a flag may go, and what stands in code afterwards."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.lifecycle.facts import PlaceFacts, ServiceUse
from flags.lifecycle.readiness import Readiness, removal_of

from .cases import NO_CODE, ROLLED_OUT
from .situations import (
    NOW,
    ago,
    ending,
    flag,
    off,
    place,
    places,
    share,
    staging,
)


@given(places, st.integers(1, 1000), st.floats(0, 100))
def test_removal__more_use__is_never_safer(where: PlaceFacts, more: int, days: float) -> None:
    known = {each.service: each for each in where.use.services}
    known["another"] = ServiceUse("another", ago(days), more if days < 7 else 0)
    last = max(filter(None, [where.use.last_at, ago(days)]))
    asked = replace(where, use=replace(where.use, last_at=last, services=tuple(known.values())))

    before, after = removal_of(flag(where), NOW).readiness, removal_of(flag(asked), NOW).readiness

    assert after.rank >= before.rank
    assert after is not Readiness.SAFE or days > 30


@given(places)
def test_removal__gap_in_figures__is_never_safe(where: PlaceFacts) -> None:
    holed = replace(where, figures=replace(where.figures, days=(True,) * 20 + (False,) * 5 + (True,) * 275))

    assert removal_of(flag(holed, references=NO_CODE), NOW).readiness is not Readiness.SAFE


@pytest.mark.parametrize(
    ("where", "is_known", "variant", "value"),
    [
        ([place(*ROLLED_OUT)], True, "on", True),
        ([place((190, share(50)))], False, None, None),
        ([place(*ROLLED_OUT), place((190, off()), key="asia")], False, None, None),
        ([place(*ROLLED_OUT), staging((190, share(50)))], True, "on", True),
        ([staging()], True, None, None),
        ([place((50, ending(share(9), withdrawal={"weight": 100_000, "serves": None})))], True, None, None),
        ([place((50, ending(share(9), withdrawal={"weight": 100_000, "serves": "off"})))], True, "off", False),
        ([place((50, ending(share(9), withdrawal={"weight": 5_000, "serves": "off"})))], False, None, None),
    ],
)
def test_forward_value__is_what_everybody_gets(
    where: list[PlaceFacts], is_known: bool, variant: str | None, value: object
) -> None:
    found = removal_of(flag(*where), NOW).forward

    assert (found.is_known, found.variant, found.value) == (is_known, variant, value)
