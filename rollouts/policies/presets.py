"""Rules to start from: what teams ask for most, one click away and changed at will."""

from typing import Any

from rollouts.policies.conditions import KINDS, Condition
from rollouts.policies.requirements import Requirement
from rollouts.policies.rules import Effect, Rule


def condition(kind: str, **params: Any) -> Condition:
    """A condition with the parameters that are not given at their default."""
    return Condition(kind, {parameter.name: parameter.default for parameter in KINDS[kind].parameters} | params)


_PRODUCTION = condition("environment_kind", kinds=["production"])
_WIDENS = condition("direction", directions=["widens"])


def _preset(
    key: str, name: str, rationale: str, effect: Effect, *conditions: Condition, requirement: Requirement | None = None
) -> Rule:
    return Rule(key, 1, name, rationale, effect, conditions, requirement or Requirement())


PRESETS = (
    _preset(
        "big-steps",
        "Big steps need two people",
        "a step of 25 points reaches more people than one reviewer can judge",
        Effect.REQUIRE,
        _PRODUCTION,
        _WIDENS,
        condition("jump", at_least=25),
        requirement=Requirement(approvals=2),
    ),
    _preset(
        "owners-agree",
        "The owner team agrees",
        "whoever owns a flag has to live with what it does",
        Effect.REQUIRE,
        _PRODUCTION,
        _WIDENS,
        requirement=Requirement(owner_teams=True),
    ),
    _preset(
        "no-late-widening",
        "Nothing widens in the evening",
        "nobody is there to notice until the next morning",
        Effect.REFUSE,
        _PRODUCTION,
        _WIDENS,
        condition("time_of_day", starts="18:00", ends="08:00", zone="UTC", days=[]),
    ),
    _preset(
        "no-widening-in-incidents",
        "Nothing widens during an incident",
        "a change in the middle of an incident hides what caused it",
        Effect.REFUSE,
        _PRODUCTION,
        _WIDENS,
        condition("incident"),
    ),
    _preset(
        "soak-first",
        "A day in the environment before",
        "most surprises show within a day of real use",
        Effect.REFUSE,
        _PRODUCTION,
        _WIDENS,
        condition("short_soak", hours=24),
    ),
    _preset(
        "name-a-ticket",
        "Name a ticket",
        "later on somebody will want to know what this was part of",
        Effect.WARN,
        _PRODUCTION,
        condition("no_ticket"),
    ),
    _preset(
        "calm-down",
        "Flapping flags need a second look",
        "a flag that changes three times a day is being searched with, not decided about",
        Effect.REQUIRE,
        _PRODUCTION,
        _WIDENS,
        condition("flapping", count=3, hours=24),
        requirement=Requirement(approvals=2),
    ),
)


def preset(key: str) -> Rule | None:
    """The rule of the preset with that key."""
    return next((rule for rule in PRESETS if rule.key == key), None)
