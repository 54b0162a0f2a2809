"""Facts and rules to start a test of the policy rules from."""

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

from rollouts.policies import Directory, Effect, Facts, FlagFacts, LintFact, Requirement, Rule, Team
from rollouts.policies.conditions import KINDS, Condition

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)  # a Friday
SECURITY, LEGAL = "00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"
DIRECTORY = Directory(
    teams={SECURITY: Team("Security", frozenset({"abel", "anna"})), LEGAL: Team("Legal", frozenset({"ben"}))},
    people={"abel": "Abel Test", "anna": "Anna Test", "ben": "Ben Okafor"},
)
FLAG = FlagFacts(
    key="checkout",
    kind="release",
    tags=("payments",),
    owner_team=SECURITY,
    is_client_visible=True,
    share_before=10_000,
    share_after=50_000,
    jump=40_000,
    changes_prerequisites=False,
    dependents=0,
    applied_at=(AT - timedelta(hours=1), AT - timedelta(hours=2), AT - timedelta(hours=30)),
)
FACTS = Facts(
    environment_key="production",
    environment_kind="production",
    at=AT,
    flags=(FLAG,),
    segments=("beta",),
    direction="widens",
    lint=(LintFact("rule_unreachable", "warning"),),
    ticket_url="https://tickets.example.com/1",
    flipped=4_000,
    population=10_000,
    soak_hours=20,
    freezes=("Black Friday",),
    incidents=("Payments are slow",),
)


def facts(**fields: Any) -> Facts:
    """The facts above with some of them otherwise."""
    return dataclasses.replace(FACTS, **fields)


def flag(**fields: Any) -> tuple[FlagFacts, ...]:
    """The one flag with some of its facts otherwise."""
    return (dataclasses.replace(FLAG, **fields),)


def condition(kind: str, **params: Any) -> Condition:
    """A condition; parameters that are left out stand at their default."""
    defaults = {parameter.name: parameter.default for parameter in KINDS[kind].parameters}
    return Condition(kind, {**defaults, **params})


def rule(key: str = "big-steps", *, effect: Effect = Effect.REQUIRE, **fields: Any) -> Rule:
    """A rule that demands two approvals of what widens exposure."""
    demand = Requirement(approvals=2) if effect is Effect.REQUIRE else Requirement()
    basis = Rule(
        key, 1, key.replace("-", " ").capitalize(), "it is a big step", effect, (condition("direction"),), demand
    )
    return dataclasses.replace(basis, **fields)
