"""Every condition of a rule: where it holds, where it does not, and what happens where the fact is not known."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rollouts.policies import Effect, Facts, FlagFacts, findings_of
from rollouts.policies.conditions import KINDS, Condition
from rollouts.policies.rules import rule_problems
from tests.rollouts.rule_support import AT, DIRECTORY, condition, facts, flag, rule

NIGHT: dict[str, Any] = {"starts": "18:00", "ends": "08:00", "zone": "Europe/Berlin", "days": ["fri"]}
DAY: dict[str, Any] = {"starts": "09:00", "ends": "12:00", "zone": "UTC", "days": []}


def berlin(day: int, hour: int, minute: int = 0) -> datetime:
    """An instant of November 2026 by the clocks of Berlin; the 20th is a Friday."""
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC) - timedelta(hours=1)


HOLDS: list[tuple[Condition, Facts]] = [
    (condition("environment_kind", kinds=["production", "staging"]), facts()),
    (condition("environment_key", keys=["production"]), facts()),
    (condition("direction", directions=["widens"]), facts()),
    (condition("direction", directions=["narrows", "neutral"]), facts(direction="neutral")),
    (condition("jump", at_least=40), facts()),
    (condition("jump", at_least=40), facts(flags=(*flag(jump=10_000), *flag()))),
    (condition("reach", at_least=50), facts()),
    (condition("flips", at_least=4_000), facts()),
    (condition("flips_share", at_least=40), facts()),
    (condition("no_impact_run"), facts(flipped=None)),
    (condition("flag_kind", kinds=["release"]), facts()),
    (condition("flag_kind", kinds=["release"]), facts(flags=flag(is_indirect=True))),
    (condition("tags", tags=["billing", "payments"]), facts()),
    (condition("client_visible"), facts()),
    (condition("segment"), facts()),
    (condition("segment", keys=["beta"]), facts()),
    (condition("prerequisite"), facts(flags=flag(changes_prerequisites=True))),
    (condition("prerequisite"), facts(flags=flag(dependents=1))),
    (condition("many_flags", at_least=1), facts()),
    (condition("lint"), facts()),
    (condition("lint", codes=["rule_unreachable"]), facts()),
    (condition("no_ticket"), facts(ticket_url="")),
    (condition("short_soak", hours=21), facts()),
    (condition("time_of_day", **NIGHT), facts(at=berlin(20, 18))),
    (condition("time_of_day", **NIGHT), facts(at=berlin(21, 7, 59))),
    (condition("time_of_day", **DAY), facts(at=AT.replace(hour=9))),
    (condition("freeze"), facts()),
    (condition("incident"), facts()),
    (condition("flapping", count=2, hours=3), facts()),
    (condition("flapping", count=3, hours=31), facts()),
]
HOLDS_NOT: list[tuple[Condition, Facts]] = [
    (condition("environment_kind", kinds=["staging"]), facts()),
    (condition("environment_key", keys=["prod"]), facts()),
    (condition("direction", directions=["widens"]), facts(direction="narrows")),
    (condition("jump", at_least=41), facts()),
    (condition("jump", at_least=1), facts(flags=())),
    (condition("jump", at_least=1), facts(flags=flag(jump=0))),
    (condition("reach", at_least=51), facts()),
    (condition("flips", at_least=4_001), facts()),
    (condition("flips_share", at_least=41), facts()),
    (condition("no_impact_run"), facts(flipped=0)),
    (condition("flag_kind", kinds=["permission"]), facts()),
    (condition("tags", tags=["billing"]), facts()),
    (condition("client_visible"), facts(flags=flag(is_client_visible=False))),
    (condition("segment"), facts(segments=())),
    (condition("segment", keys=["gamma"]), facts()),
    (condition("prerequisite"), facts()),
    (condition("many_flags", at_least=2), facts()),
    (condition("lint"), facts(lint=())),
    (condition("lint", severities=["note"]), facts()),
    (condition("lint", codes=["another"]), facts()),
    (condition("no_ticket"), facts()),
    (condition("short_soak", hours=20), facts()),
    (condition("time_of_day", **NIGHT), facts(at=berlin(20, 17, 59))),
    (condition("time_of_day", **NIGHT), facts(at=berlin(20, 7))),
    (condition("time_of_day", **NIGHT), facts(at=berlin(21, 8))),
    (condition("time_of_day", **NIGHT), facts(at=berlin(21, 18))),
    (condition("time_of_day", **DAY), facts(at=AT)),
    (condition("freeze"), facts(freezes=())),
    (condition("incident"), facts(incidents=())),
    (condition("flapping", count=3, hours=30), facts()),
    (condition("flapping", count=3, hours=3), facts()),
]
UNKNOWN: list[tuple[Condition, Facts]] = [
    (condition("direction"), facts(direction=None)),
    (condition("jump"), facts(flags=flag(jump=None))),
    (condition("reach"), facts(flags=flag(share_after=None))),
    (condition("flips"), facts(flipped=None)),
    (condition("flips", at_least=10_001), facts()),
    (condition("flips_share"), facts(population=None)),
    (condition("flips_share"), facts(population=0)),
    (condition("lint"), facts(lint=None)),
    (condition("no_ticket"), facts(ticket_url=None)),
    (condition("short_soak"), facts(soak_hours=None)),
    (condition("freeze"), facts(freezes=None)),
    (condition("incident"), facts(incidents=None)),
    (condition("flapping"), facts(flags=flag(applied_at=None))),
]


def _name(value: object) -> str:
    return value.kind if isinstance(value, Condition) else ""


@pytest.mark.parametrize(("subject", "given"), HOLDS, ids=_name)
def test_condition__facts_meet_it__holds(subject: Condition, given: Facts) -> None:
    assert subject.holds(given) is True


@pytest.mark.parametrize(("subject", "given"), HOLDS_NOT, ids=_name)
def test_condition__facts_do_not_meet_it__holds_not(subject: Condition, given: Facts) -> None:
    assert subject.holds(given) is False


@pytest.mark.parametrize(("subject", "given"), UNKNOWN, ids=_name)
def test_condition__fact_is_not_known__counts_as_met_and_says_so(subject: Condition, given: Facts) -> None:
    assert subject.holds(given) is None

    (finding,) = findings_of([rule(conditions=(subject,))], given, DIRECTORY)

    assert finding.unknown == (subject.unknown,)
    assert f"Not known: {subject.unknown}. What is not known counts as if it were so." in finding.sentence
    assert findings_of([rule(effect=Effect.ALLOW, conditions=(subject,))], given, DIRECTORY) == ()


def test_conditions__all_kinds__are_in_the_tables() -> None:
    assert {subject.kind for subject, _ in HOLDS} == {subject.kind for subject, _ in HOLDS_NOT} == set(KINDS)
    assert {subject.kind for subject, _ in UNKNOWN} == {kind.name for kind in KINDS.values() if kind.unknown}


@pytest.mark.parametrize("name", KINDS)
def test_condition__its_words__continue_the_sentence(name: str) -> None:
    subject = next(subject for subject, _ in HOLDS if subject.kind == name)

    assert subject.words
    assert not subject.words[0].isupper()
    assert "{" not in subject.words


def test_facts__stored_and_read__are_the_same() -> None:
    for given in (
        facts(),
        facts(lint=None, freezes=None, incidents=None, flags=flag(applied_at=None)),
        facts(flags=()),
    ):
        assert Facts.from_json(given.as_json()) == given


def test_facts__flag_without_shares__jump_and_reach_are_unknown() -> None:
    given = facts(flags=(*flag(), FlagFacts("other")))

    assert (given.jump, given.reach) == (None, None)


BAD_PARAMETERS = [
    ("jump", {"at_least": 0}),
    ("jump", {"at_least": 101}),
    ("jump", {"at_least": True}),
    ("jump", {"at_least": "5"}),
    ("flips", {"at_least": 100_001}),
    ("environment_kind", {"kinds": []}),
    ("environment_kind", {"kinds": ["moon"]}),
    ("environment_kind", {"kinds": ["staging", "staging"]}),
    ("environment_kind", {"kinds": [1]}),
    ("tags", {"tags": []}),
    ("tags", {"tags": ["<script>"]}),
    ("tags", {"tags": ["a"] * 51}),
    ("segment", {"keys": "beta"}),
    ("time_of_day", {**DAY, "starts": "25:00"}),
    ("time_of_day", {**DAY, "zone": "Mars/Base"}),
    ("time_of_day", {**DAY, "days": ["someday"]}),
    ("flapping", {"count": 3, "hours": 721}),
    ("flapping", {"count": 3}),
    ("client_visible", {"extra": 1}),
    ("unheard_of", {}),
]


@pytest.mark.parametrize(("kind", "params"), BAD_PARAMETERS)
def test_rule__bad_parameters__are_a_problem(kind: str, params: dict[str, Any]) -> None:
    document = {**rule().as_json(), "conditions": [{"kind": kind, **params}]}

    assert rule_problems(document)


@pytest.mark.parametrize("subject", [subject for subject, _ in HOLDS], ids=_name)
def test_rule__conditions_of_the_table__are_no_problem(subject: Condition) -> None:
    assert rule_problems(rule(conditions=(subject,)).as_json()) == []
