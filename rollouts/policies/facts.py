"""Everything a rule may look at, as one value: read once, judged and stored as evidence. None: not known."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class FlagFacts:
    """One flag that the change moves, edited or through a segment or prerequisite (`is_indirect`).

    Shares are in hundred-thousandths, and so is `jump`, the part of one and the same people that gets something new.
    `applied_at` are the instants of its recent versions in this environment.
    `former_kinds` and `former_teams` are what else the flag was, and whose, since the change was put up for review.
    """

    key: str
    kind: str = ""
    tags: tuple[str, ...] = ()
    owner_team: str | None = None
    is_client_visible: bool = False
    share_before: int | None = None
    share_after: int | None = None
    jump: int | None = None
    changes_prerequisites: bool = False
    dependents: int = 0
    applied_at: tuple[datetime, ...] | None = ()
    is_indirect: bool = False
    former_kinds: tuple[str, ...] = ()
    former_teams: tuple[str, ...] = ()

    @property
    def kinds(self) -> frozenset[str]:
        """What the flag is and was."""
        return frozenset((self.kind, *self.former_kinds))

    @property
    def owner_teams(self) -> frozenset[str]:
        """The teams that own it and that owned it."""
        return frozenset(filter(None, (self.owner_team, *self.former_teams)))

    def as_json(self) -> dict[str, Any]:
        """The stored form."""
        moments = None if self.applied_at is None else [moment.isoformat() for moment in self.applied_at]
        return {
            "key": self.key,
            "kind": self.kind,
            "tags": list(self.tags),
            "owner_team": self.owner_team,
            "is_client_visible": self.is_client_visible,
            "share_before": self.share_before,
            "share_after": self.share_after,
            "jump": self.jump,
            "changes_prerequisites": self.changes_prerequisites,
            "dependents": self.dependents,
            "applied_at": moments,
            "is_indirect": self.is_indirect,
            "former_kinds": list(self.former_kinds),
            "former_teams": list(self.former_teams),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "FlagFacts":
        """The facts of a stored form."""
        moments = value["applied_at"]
        return cls(
            **{
                **value,
                "tags": tuple(value["tags"]),
                "former_kinds": tuple(value.get("former_kinds", ())),
                "former_teams": tuple(value.get("former_teams", ())),
                "applied_at": None if moments is None else tuple(map(datetime.fromisoformat, moments)),
            }
        )


@dataclass(frozen=True, slots=True)
class LintFact:
    """One finding of the linter."""

    code: str
    severity: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about a change at the instant `at`, the one at which it is meant to be applied.

    `flipped` of `population` people got another answer in the latest impact run of this content. `soak_hours` is how
    long the same content has been live in the environment before this one. `freezes` and `incidents` are titles.
    """

    environment_key: str
    environment_kind: str
    at: datetime
    flags: tuple[FlagFacts, ...] = ()
    segments: tuple[str, ...] = ()
    direction: str | None = None
    lint: tuple[LintFact, ...] | None = None
    ticket_url: str | None = None
    flipped: int | None = None
    population: int | None = None
    soak_hours: int | None = None
    freezes: tuple[str, ...] | None = None
    incidents: tuple[str, ...] | None = None

    @property
    def jump(self) -> int | None:
        """The largest rise of a share, in hundred-thousandths; None where one is not known."""
        return self._largest([flag.jump for flag in self.flags])

    @property
    def reach(self) -> int | None:
        """The largest share after the change, in hundred-thousandths; None where one is not known."""
        return self._largest([flag.share_after for flag in self.flags])

    def _largest(self, shares: list[int | None]) -> int | None:
        known = [share for share in shares if share is not None]
        return None if len(known) < len(shares) else max(known, default=0)

    def as_json(self) -> dict[str, Any]:
        """The stored form."""
        return {
            "environment_key": self.environment_key,
            "environment_kind": self.environment_kind,
            "at": self.at.isoformat(),
            "flags": [flag.as_json() for flag in self.flags],
            "segments": list(self.segments),
            "direction": self.direction,
            "lint": None if self.lint is None else [[fact.code, fact.severity] for fact in self.lint],
            "ticket_url": self.ticket_url,
            "flipped": self.flipped,
            "population": self.population,
            "soak_hours": self.soak_hours,
            "freezes": None if self.freezes is None else list(self.freezes),
            "incidents": None if self.incidents is None else list(self.incidents),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Facts":
        """The facts of a stored form."""
        lint = value["lint"]
        return cls(
            **{
                **value,
                "at": datetime.fromisoformat(value["at"]),
                "flags": tuple(map(FlagFacts.from_json, value["flags"])),
                "segments": tuple(value["segments"]),
                "lint": None if lint is None else tuple(LintFact(code, severity) for code, severity in lint),
                "freezes": None if value["freezes"] is None else tuple(value["freezes"]),
                "incidents": None if value["incidents"] is None else tuple(value["incidents"]),
            }
        )


def remembering(facts: Facts, former: Iterable[Facts]) -> Facts:
    """`facts` with what was known of the same flags before: their tags, kinds and owner teams add up.

    So a change under review never meets fewer rules because somebody describes its flag differently.
    """
    past: dict[str, list[FlagFacts]] = {}
    for known in former:
        for flag in known.flags:
            past.setdefault(flag.key, []).append(flag)
    return replace(facts, flags=tuple(_remembering(flag, past.get(flag.key, [])) for flag in facts.flags))


def _remembering(flag: FlagFacts, past: list[FlagFacts]) -> FlagFacts:
    kinds = flag.kinds.union(*(known.kinds for known in past)) - {flag.kind, ""}
    teams = flag.owner_teams.union(*(known.owner_teams for known in past)) - {flag.owner_team}
    tags = set(flag.tags).union(*(known.tags for known in past))
    return replace(
        flag,
        tags=tuple(sorted(tags)),
        former_kinds=tuple(sorted(kinds)),
        former_teams=tuple(sorted(filter(None, teams))),
    )
