"""Whether a flag may go, and what stands in code afterwards."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.lifecycle.facts import PlaceFacts, ServiceUse, Use
from flags.lifecycle.readiness import Readiness, removal_of

from .cases import NO_CODE, ROLLED_OUT
from .situations import (
    NOW,
    ago,
    codes,
    ending,
    flag,
    in_bulk,
    off,
    place,
    places,
    share,
    staging,
    use,
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


@pytest.mark.parametrize(
    ("asked", "blockers", "cautions"),
    [
        (in_bulk(), set(), {"use_in_bulk"}),
        (in_bulk(last=20), set(), {"use_in_bulk"}),
        (in_bulk(last=31), set(), set()),
        (in_bulk(use(12)), set(), {"use_in_bulk", "use_of_late"}),
        (in_bulk(use(60)), set(), {"use_in_bulk"}),
        (in_bulk(use(0.1, recent=3)), {"recent_use"}, set()),
    ],
)
def test_removal__in_bulk__is_a_caution_and_no_use(asked: Use, blockers: set[str], cautions: set[str]) -> None:
    found = removal_of(flag(place(*ROLLED_OUT, use=asked), references=NO_CODE), NOW)

    assert (codes(found.blockers), codes(found.cautions)) == (blockers, cautions)


def test_removal__in_bulk__says_what_to_do_and_counts_nobody_twice() -> None:
    alone = removal_of(flag(place(*ROLLED_OUT, use=in_bulk()), references=NO_CODE), NOW)
    beside = removal_of(flag(place(*ROLLED_OUT, use=in_bulk(use(0.1, recent=3)))), NOW)

    assert [one.sentence for one in alone.cautions] == [
        "Clients that ask for all flags at once got it in Production, at last on 2026-11-21, and nobody can tell from "
        "here whether they use it. Let them report by telemetry what they evaluate, or look for its key in their code."
    ]
    assert [one.sentence for one in beside.blockers] == [
        "checkout asked for it 3 times in Production in the last 7 days. Take it out of their code first."
    ]


def test_removal__in_bulk_in_staging_alone__is_a_caution_there() -> None:
    found = removal_of(
        flag(place(*ROLLED_OUT, use=use(60)), staging(*ROLLED_OUT, use=in_bulk()), references=NO_CODE), NOW
    )

    assert [(one.code, one.environment) for one in found.cautions] == [("use_in_bulk", "staging")]


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
