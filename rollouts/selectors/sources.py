"""Where the content of a request came from, and what has happened there since."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flags.models import Environment, FlagConfig
from rollouts.models import ChangeRequest
from rollouts.policies import Facts
from rollouts.selectors.rules import active_rules

_PLACES = frozenset({"environment_key", "environment_kind"})


@dataclass(frozen=True, slots=True)
class CopiedFlag:
    """One flag of a promotion: the version it was copied from, and the one that is there now (0: none)."""

    key: str
    aspects: tuple[str, ...]
    version: int
    present_version: int

    @property
    def has_moved(self) -> bool:
        """Whether the source has gone on since."""
        return self.version != self.present_version


@dataclass(frozen=True, slots=True)
class Source:
    """Where it came from in a sentence; for promotions also flag by flag."""

    sentence: str
    flags: tuple[CopiedFlag, ...] = ()
    environment: Environment | None = None


def source_of(request: ChangeRequest) -> Source | None:
    """The source of a request in words, None where somebody wrote it: two queries at most."""
    facts = request.source
    match facts.get("kind"):
        case "promotion":
            return _promotion(facts)
        case "rollback":
            return Source(_rollback_words(facts))
        case "restore":
            instant = datetime.fromisoformat(facts["instant"])
            return Source(f"Restores what the whole environment served on {instant:%d %B %Y at %H:%M} UTC.")
        case "plan":
            return Source(f"Asks for rollout plan {facts['number']}, which gets there stage by stage.")
        case "timeline":
            return Source(f"Asks for deprecation timeline {facts['number']}, which gets there milestone by milestone.")
        case "successor":
            return Source(
                f"Moves people from {facts['flag_key']} to its successor, variant by variant, as deprecation timeline "
                f"{facts['number']} says. Everybody keeps what stands for what they have."
            )
    return None


def required_soak(request: ChangeRequest, *, now: datetime) -> int | None:
    """The most hours that active rules for this environment ask for in the one before, None where none does: one query.

    What else such a rule asks, such as a direction, is for the verdict to judge.
    """
    place = Facts(environment_key=request.environment.key, environment_kind=request.environment.kind, at=now)
    hours = [
        int(condition.params["hours"])
        for rule in active_rules(request.project_id)
        if not any(one.kind in _PLACES and one.holds(place) is False for one in rule.conditions)
        for condition in rule.conditions
        if condition.kind == "short_soak"
    ]
    return max(hours, default=None)


def _promotion(facts: dict[str, Any]) -> Source:
    environment = Environment.objects.filter(pk=facts["environment_id"]).first()
    name = environment.name if environment else facts["environment"]
    keys = [flag["key"] for flag in facts["flags"]]
    rows = FlagConfig.objects.filter(environment=facts["environment_id"], flag__key__in=keys)
    present = dict(rows.values_list("flag__key", "version"))
    flags = tuple(
        CopiedFlag(flag["key"], tuple(flag["aspects"]), flag["version"], present.get(flag["key"], 0))
        for flag in facts["flags"]
    )
    segments = ", ".join(segment["key"] for segment in facts["segments"])
    along = f" Its segments come along: {segments}." if segments else ""
    return Source(f"Copied from {name}.{along}", flags, environment)


def _rollback_words(facts: dict[str, Any]) -> str:
    match facts.get("what"):
        case "version":
            return f"Puts {facts['key']} back to its version {facts['version']}."
        case "change":
            return f"Undoes what version {facts['version']} of {facts['key']} changed and keeps what came later."
        case _:
            return f"Undoes what #{facts.get('number', '')} changed and keeps what came later."
