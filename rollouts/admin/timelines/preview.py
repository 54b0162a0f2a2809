"""What would come of a timeline: in sentences, what is wrong with it, and what its dates run into."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from flags.models import Environment, Flag, FlagConfig
from rollouts.deprecations.checking import past_problems, problems_of
from rollouts.deprecations.definition import MilestoneKind, TimelineDefinition
from rollouts.deprecations.words import milestone_sentence, summary
from rollouts.schedules.zones import zone_of
from rollouts.selectors.timelines.endings import freezes_of

_FRIDAY = 4
_AFTERNOON = 14
_QUIET = frozenset({MilestoneKind.ANNOUNCE, MilestoneKind.WARN})


@dataclass(frozen=True, slots=True)
class Preview:
    """`problems` are path and sentence; `warnings` say by number of the row what its date runs into."""

    sentences: Sequence[str] = ()
    summary: str = ""
    problems: Sequence[tuple[str, str]] = ()
    warnings: Mapping[int, Sequence[str]] = field(default_factory=dict)
    consents: Sequence[str] = ()

    @property
    def is_possible(self) -> bool:
        """Whether it can be carried out like this."""
        return bool(self.sentences) and not self.problems


def preview_of(
    definition: TimelineDefinition, flag: Flag, environments: Sequence[Environment], *, now: datetime
) -> Preview:
    """The preview for a flag in these environments: three queries."""
    problems = list(past_problems(definition, now=now))
    documents = FlagConfig.objects.filter(flag=flag, environment__in=environments).select_related("environment")
    for config in documents:
        found = problems_of(definition, config.document)
        problems += [one for one in found if one not in problems]
    if not environments:
        problems.append(("environments", "Choose at least one environment."))
    numbers = range(1, len(definition.milestones) + 1)
    return Preview(
        [milestone_sentence(definition, number) for number in numbers],
        summary(definition) if not problems else "",
        problems,
        warnings_of(definition, flag, environments),
        [_consent(environment) for environment in environments],
    )


def warnings_of(
    definition: TimelineDefinition, flag: Flag, environments: Sequence[Environment]
) -> dict[int, list[str]]:
    """What each date runs into: weekends, late Fridays, freezes. One query."""
    if not definition.milestones or not environments:
        return {}
    dates = [milestone.at for milestone in definition.milestones]
    freezes = freezes_of(environments, min(dates), max(dates) + timedelta(days=1))
    zone = zone_of(definition.zone)
    found: dict[int, list[str]] = {}
    for number, milestone in enumerate(definition.milestones):
        said, wall = [], milestone.at.astimezone(zone)
        if wall.weekday() > _FRIDAY:
            said.append(f"It is a {wall:%A}: who notices something may not be at work.")
        elif wall.weekday() == _FRIDAY and wall.hour >= _AFTERNOON:
            said.append("It is a Friday afternoon: who notices something goes home soon.")
        for freeze in freezes:
            meets = freeze.starts_at <= milestone.at < freeze.ends_at
            if meets and milestone.kind not in _QUIET and any(freeze.concerns(flag, one.pk) for one in environments):
                until = freeze.ends_at.astimezone(zone)
                said.append(f"The freeze “{freeze.title}” holds it until {until.day} {until:%B %Y, %H:%M}.")
        if said:
            found[number] = said
    return found


def _consent(environment: Environment) -> str:
    if environment.is_protected:
        return f"{environment.name} is protected: a change request asks for the whole timeline."
    return f"{environment.name} is not protected: you start the timeline yourself."
