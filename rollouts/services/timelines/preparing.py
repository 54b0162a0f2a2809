"""What a timeline is made of: the definition checked against how its flag is now, and the document it ends in."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from flags.changes import ChangeSet, ConfigEdit
from flags.errors import InvalidDocument
from flags.models import Environment, Flag, FlagConfig
from rollouts.deprecations.checking import Problems, check, past_problems
from rollouts.deprecations.codec import as_json, from_json, invalid, timeline_digest
from rollouts.deprecations.definition import MilestoneKind, TimelineDefinition
from rollouts.deprecations.documents import document_at, number_of
from rollouts.errors import TimelineOutdated
from rollouts.models import DeprecationTimeline
from rollouts.services.checks import checked_change_set


@dataclass(frozen=True, slots=True)
class Prepared:
    """A definition that can be carried out as the flag is now."""

    definition: TimelineDefinition
    base: dict[str, Any]
    digest: str

    def columns(self) -> dict[str, Any]:
        """The columns of a timeline that hold it."""
        return {
            "definition": as_json(self.definition),
            "base": self.base,
            "digest": self.digest,
            "written": {},
            "postponed": {},
        }


def prepare(definition: TimelineDefinition, flag: Flag, environment: Environment, *, now: datetime) -> Prepared:
    """The timeline as it would be stored now; nothing is written. Raises InvalidTimeline naming every problem."""
    definition = replace(definition, flag_key=flag.key)
    config = FlagConfig.objects.filter(flag=flag, environment=environment).first()
    if config is None:
        text = f"{flag.name} is not set up in {environment.name}, so there is nothing to end there."
        raise invalid([("flag_key", text)])
    check(definition, config.document)
    problems = [*past_problems(definition, now=now), *_successor_problems(definition, flag)]
    if problems:
        raise invalid(problems)
    base = {"document": config.document, "version": config.version, "digest": config.digest}
    successor_id = _successor_id(definition, flag)
    if successor_id:
        base["successor_id"] = successor_id
    end = end_state_of(definition, base, environment)
    try:
        checked_change_set(end, environment, source={})
    except InvalidDocument as error:
        raise invalid([(f"flag_key.{item['path']}", item["message"]) for item in error.facts["problems"]]) from error
    return Prepared(definition, base, timeline_digest(definition, config.digest, successor_id=successor_id))


def end_state(timeline: DeprecationTimeline) -> ChangeSet:
    """What the timeline comes to at its sunset, on what it was prepared on: what a request about it shows."""
    return end_state_of(from_json(timeline.definition), timeline.base, timeline.environment)


def end_state_of(definition: TimelineDefinition, base: Mapping[str, Any], environment: Environment) -> ChangeSet:
    """The document of the sunset as an edit of how the flag was."""
    number = number_of(definition, MilestoneKind.SUNSET)
    at = definition.milestones[number - 1].at
    document = document_at(definition, base["document"], number, now=at)
    return ChangeSet(str(environment.pk), (ConfigEdit(definition.flag_key, base["version"], document),))


def refuse_outdated(definition: TimelineDefinition, *, now: datetime, reached: int, instead: str) -> None:
    """Raise TimelineOutdated where a milestone after that number would have come already; `instead` says what to do.

    The announcement alone may come late: nobody gets less time by it than was planned.
    """
    problems = past_problems(definition, now=now, reached=max(reached, 1))
    if problems:
        raise outdated(problems, instead=instead)


def outdated(problems: Problems, *, instead: str) -> TimelineOutdated:
    """The refusal for dates that are past: the first of them, and what to do."""
    return TimelineOutdated(f"{problems[0][1]} {instead}", dates=[path for path, _ in problems])


def _successor_id(definition: TimelineDefinition, flag: Flag) -> str:
    """Which flag the key means now: it may be given to another one before people are moved there."""
    if not definition.successor:
        return ""
    return str(Flag.objects.values_list("pk", flat=True).get(project=flag.project_id, key=definition.successor))


def _successor_problems(definition: TimelineDefinition, flag: Flag) -> list[tuple[str, str]]:
    if not definition.successor:
        return []
    successor = Flag.objects.filter(project=flag.project_id, key=definition.successor).first()
    if successor is None:
        return [("successor", f"There is no flag {definition.successor} in this project. Choose another one, or none.")]
    if successor.archived_at is not None:
        return [("successor", f"{successor.name} is archived itself. Choose another successor, or none.")]
    if successor.value_type != flag.value_type:
        text = f"{successor.name} is of the type {successor.value_type}, {flag.name} of the type {flag.value_type}."
        return [("successor", f"{text} Choose a successor of the same type.")]
    return []
