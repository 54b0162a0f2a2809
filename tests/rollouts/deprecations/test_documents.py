"""The document of each milestone: valid, growing, and gone without a trace when all is undone."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flags.documents import initial_document, normalise_config, validate_config
from flags.documents.deprecation import deprecation_of, with_deprecation
from flags.documents.schema import variant_names
from flags.evaluation import FlagSource, Generation, Snapshot, compile_snapshot
from rollouts.deprecations.checking import problems_of
from rollouts.deprecations.definition import TOTAL_WEIGHT, MilestoneKind, TimelineDefinition
from rollouts.deprecations.documents import brownout_ends_at, document_at, settled_number
from tests.flags.evaluation.documents import rule
from tests.flags.strategies import SEGMENT_KEYS, config_documents

from .shapes import K, day, timeline
from .strategies import timelines

PEOPLE = [{"targetingKey": f"person-{number}"} for number in range(2_000)]
BASE = initial_document("old-checkout", "boolean")
ENDS = timeline(
    final_variant="off", successor="new-checkout", mapping={"on": "a", "off": "b"}, link="https://x.example"
)
TOLD = {
    "deprecated_at": "2026-03-16T09:00:00Z",
    "sunset_at": "2026-05-01T09:00:00Z",
    "successor": "new-checkout",
    "link": "https://x.example",
}


def taken(weight: int, **more: Any) -> dict[str, Any]:
    return TOLD | {"withdrawal": {"weight": weight, "serves": "off"}} | more


BROWNOUT = TOLD | {"withdrawal": {"weight": TOTAL_WEIGHT, "serves": "off", "until": "2026-04-01T09:10:00Z"}}

# Number of the milestone, days after the announcement, what the document says of the end.
SAID: list[tuple[int, float, dict[str, Any] | None]] = [
    (0, 0, None),
    (1, 0, None),
    (2, 14, TOLD),
    (2, 29, TOLD),
    (3, 30, BROWNOUT),
    (3, 30 + 9 / 1_440, BROWNOUT),
    (3, 30 + 10 / 1_440, TOLD),
    (3, 36, TOLD),
    (4, 38, TOLD),
    (5, 45, taken(25_000)),
    (6, 52, taken(50_000)),
    (7, 60, taken(TOTAL_WEIGHT)),
    (7, 400, taken(TOTAL_WEIGHT)),
    (8, 90, taken(TOTAL_WEIGHT, is_archived=True)),
]


@pytest.mark.parametrize(("number", "on_day", "said"), SAID)
def test_document_at__milestone__says_this_of_the_end(number: int, on_day: float, said: dict[str, Any] | None) -> None:
    document = document_at(ENDS, BASE, number, now=day(on_day))

    assert document.get("deprecation") == said
    assert {field: part for field, part in document.items() if field != "deprecation"} == BASE


def test_document_at__code_default_and_no_successor__says_less() -> None:
    document = document_at(timeline(), BASE, 5, now=day(45))

    assert document["deprecation"] == {
        "deprecated_at": "2026-03-16T09:00:00Z",
        "sunset_at": "2026-05-01T09:00:00Z",
        "withdrawal": {"weight": 25_000, "serves": None},
    }


def test_document_at__base_is_given__is_left_alone() -> None:
    base = initial_document("old-checkout", "boolean")

    document_at(ENDS, base, 0, now=day(0))["variants"].clear()
    document_at(ENDS, base, 7, now=day(60))["variants"].clear()

    assert base == BASE


def test_settled_number__brownouts_one_after_the_other__is_the_warning() -> None:
    assert settled_number(ENDS, 4, now=day(37) + timedelta(minutes=60)) == 2
    assert settled_number(ENDS, 4, now=day(37) + timedelta(minutes=59)) == 4


def _values(document: dict[str, Any]) -> str:
    value = document["variants"][0]["value"]
    names = {bool: "boolean", str: "string", int: "integer", float: "float", dict: "object"}
    return names[type(value)]


@st.composite
def flags_that_end(draw: st.DrawFn) -> tuple[dict[str, Any], TimelineDefinition]:
    base = with_deprecation(draw(config_documents()), None)
    return base, draw(timelines(variant_names(base)))


@settings(max_examples=50)
@given(flags_that_end())
def test_document_at__any_flag_and_milestone__can_be_written(case: tuple[dict[str, Any], TimelineDefinition]) -> None:
    base, definition = case
    assert problems_of(definition, base) == []

    for number in range(len(definition.milestones) + 1):
        now = definition.milestones[max(0, number - 1)].at
        document = document_at(definition, base, number, now=now)

        assert validate_config(document, value_type=_values(base), segment_keys=SEGMENT_KEYS) == []
        assert normalise_config(document, value_type=_values(base)) == document
        assert with_deprecation(document, None) == base
    assert document_at(definition, base, 0, now=definition.milestones[-1].at) == base


@given(timelines(), st.integers(0, 3))
def test_share_withdrawn__from_warning_to_sunset__shrinks_only_where_a_brownout_ends(
    definition: TimelineDefinition, late: int
) -> None:
    shares: list[int] = []
    brownouts: list[int] = []
    for number, milestone in enumerate(definition.milestones, start=1):
        deprecation = deprecation_of(document_at(definition, BASE, number, now=milestone.at + timedelta(seconds=late)))
        withdrawal = deprecation.withdrawal if deprecation else None
        found = brownouts if milestone.kind is K.BROWNOUT else shares
        found.append(withdrawal.weight if withdrawal else 0)

    assert shares == sorted(shares)
    assert shares[:2] == [0, 0]
    assert shares[-2:] == [TOTAL_WEIGHT, TOTAL_WEIGHT]
    assert set(brownouts) <= {TOTAL_WEIGHT}


@pytest.mark.parametrize("kind", MilestoneKind)
def test_label__kind__is_a_word(kind: MilestoneKind) -> None:
    assert kind.label[0].isupper()
    assert "_" not in kind.label


def _answers(document: dict[str, Any], generation: Generation, now: datetime) -> list[str | None]:
    source = {"old-checkout": FlagSource("boolean", document, 1)}
    compiled = compile_snapshot(Snapshot("shop", "id", "production", 1, generation, source, {}))
    return [compiled.evaluate("old-checkout", person, now).variant for person in PEOPLE]


@pytest.mark.parametrize("generation", Generation)
def test_evaluation__milestone_by_milestone__withdraws_more_and_more_of_the_same_people(generation: Generation) -> None:
    base = BASE | {"enabled": True, "rules": [rule({"variant": "on"})]}
    definition = timeline(final_variant="off")
    withdrawn: list[set[int]] = []

    for number, milestone in enumerate(definition.milestones[:7], start=1):
        document = document_at(definition, base, number, now=milestone.at)
        found = _answers(document, generation, milestone.at)
        off = {place for place, variant in enumerate(found) if variant == "off"}
        if milestone.kind is K.BROWNOUT:
            assert len(off) == len(PEOPLE)
            assert set(_answers(document, generation, brownout_ends_at(milestone))) == {"on"}
        else:
            withdrawn.append(off)

    assert [len(off) for off in withdrawn[:2]] == [0, 0]
    assert withdrawn[2] < withdrawn[3] < withdrawn[4]
    assert [len(off) for off in withdrawn[2:]] == pytest.approx([500, 1_000, 2_000], abs=80)
    assert set(_answers(document_at(definition, base, 0, now=day(61)), generation, day(61))) == {"on"}
