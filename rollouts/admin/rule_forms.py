"""The form of a rule: every kind of condition is a row to tick, everything typed comes back when something is wrong."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict

from rollouts.policies import Effect, Requirement, Rule
from rollouts.policies.conditions import KINDS, Kind
from rollouts.policies.parameters import Form, Parameter
from rollouts.policies.rules import SCHEMA

People = Collection[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class ParameterField:
    """One input of a condition. `value` is a list for choices, else the text."""

    parameter: Parameter
    name: str
    value: Any
    problem: str

    @property
    def kind(self) -> str:
        """How the template draws it."""
        return self.parameter.form.value


@dataclass(frozen=True, slots=True)
class ConditionRow:
    """One kind of condition, ticked or not, with its inputs."""

    kind: Kind
    is_used: bool
    fields: tuple[ParameterField, ...]


@dataclass(frozen=True, slots=True)
class RuleForm:
    """A rule as it stands in the form, with what is wrong by field."""

    document: Mapping[str, Any]
    teams: People
    people: People
    problems: Mapping[str, str]
    reason: str = ""
    error: str = ""

    @property
    def effects(self) -> list[Effect]:
        """What a rule can do, the hardest first."""
        return sorted(Effect, key=lambda effect: -effect.rank)

    @property
    def rows(self) -> list[ConditionRow]:
        """Every kind of condition in the order of the catalogue."""
        used = {item["kind"]: item for item in self.document["conditions"]}
        return [
            ConditionRow(
                kind,
                kind.name in used,
                tuple(self._field(kind, parameter, used.get(kind.name)) for parameter in kind.parameters),
            )
            for kind in KINDS.values()
        ]

    @property
    def team_rows(self) -> list[tuple[str, str, Any]]:
        """Id, name and demanded number of every team."""
        counts = {team["team"]: team["count"] for team in self.document["requirement"]["teams"]}
        return [(team_id, name, counts.get(team_id, 0)) for team_id, name in self.teams]

    @property
    def named_ids(self) -> list[str]:
        """The people who are named."""
        named = self.document["requirement"]["people"]
        return list(named[0]["ids"]) if named else []

    @property
    def named_count(self) -> Any:
        """How many of the named people must approve, as typed."""
        named = self.document["requirement"]["people"]
        return named[0]["count"] if named else 1

    def _field(self, kind: Kind, parameter: Parameter, item: Mapping[str, Any] | None) -> ParameterField:
        name = f"{kind.name}.{parameter.name}"
        value = parameter.default if item is None else item[parameter.name]
        shown = ", ".join(map(str, value)) if parameter.form is Form.WORDS and isinstance(value, list) else value
        return ParameterField(parameter, name, shown, self.problems.get(name, ""))


def empty_document() -> dict[str, Any]:
    """Where a new rule starts: for production, what widens, two people."""
    conditions = [
        {"kind": "environment_kind", "kinds": ["production"]},
        {"kind": "direction", "directions": ["widens"]},
    ]
    return {
        "schema": SCHEMA,
        "name": "",
        "rationale": "",
        "effect": Effect.REQUIRE.value,
        "conditions": conditions,
        "requirement": Requirement(approvals=2).as_json(),
        "is_active": True,
    }


def posted_document(posted: QueryDict) -> dict[str, Any]:
    """The document in a form, as typed: numbers that are none stay text and become a problem."""
    effect = posted.get("effect", "")
    return {
        "schema": SCHEMA,
        "name": posted.get("name", ""),
        "rationale": posted.get("rationale", ""),
        "effect": effect,
        "conditions": [
            {"kind": kind.name, **{item.name: _posted(posted, kind, item) for item in kind.parameters}}
            for kind in KINDS.values()
            if f"use.{kind.name}" in posted
        ],
        "requirement": _requirement(posted) if effect == Effect.REQUIRE else Requirement().as_json(),
        "is_active": "is_active" in posted,
    }


def rule_in(document: Mapping[str, Any], key: str) -> Rule:
    """The rule of a checked document that is not stored."""
    return Rule.from_json(document, key=key, version=0)


def _posted(posted: QueryDict, kind: Kind, parameter: Parameter) -> Any:
    name = f"{kind.name}.{parameter.name}"
    if parameter.form is Form.CHOICES:
        return posted.getlist(name)
    text = posted.get(name, "").strip()
    if parameter.form is Form.WORDS:
        return [word.strip() for word in text.split(",") if word.strip()]
    return _number(text) if parameter.form is Form.WHOLE else text


def _requirement(posted: QueryDict) -> dict[str, Any]:
    teams = [
        {"team": name.removeprefix("team."), "count": _number(posted.get(name, "0"))}
        for name in posted
        if name.startswith("team.") and posted.get(name, "").strip() not in ("", "0")
    ]
    named = sorted(set(posted.getlist("people")))
    people = [{"ids": named, "count": _number(posted.get("people_count", "1"))}] if named else []
    return {
        **Requirement().as_json(),
        "approvals": _number(posted.get("approvals", "0") or "0"),
        "teams": sorted(teams, key=lambda team: str(team["team"])),
        "people": people,
        "owner_teams": "owner_teams" in posted,
        "service": "service" in posted,
    }


def _number(text: str) -> Any:
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else text
