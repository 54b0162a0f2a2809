"""The strip of a flag's life on its page: stages as blocks under each other, and the same in words."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from flags.admin.panels import LivePlan, PlannedMilestone
from flags.lifecycle.life_strip import Block, Planned, Segment, blocks_of, span_of, with_planned
from flags.lifecycle.stages import PlaceStage, StageNow, overall_stage, place_stage
from flags.models import Environment, Flag
from flags.models.environments import EnvironmentKind
from flags.selectors.flag_history import FlagHistory


@dataclass(frozen=True, slots=True)
class StripLine:
    """The life of a flag in one environment. `ahead` are its milestones to come."""

    environment: Environment
    now: StageNow
    segments: Sequence[Segment]
    blocks: Sequence[Block]
    ahead: Sequence[PlannedMilestone]


@dataclass(frozen=True, slots=True)
class LifeStrip:
    """All environments, and the stage of the whole flag."""

    stage: StageNow
    lines: Sequence[StripLine]

    @property
    def has_begun(self) -> bool:
        """Whether there is anything to show."""
        return any(line.segments for line in self.lines)


def life_strip(
    flag: Flag,
    environments: Sequence[Environment],
    history: FlagHistory,
    *,
    plans: Mapping[uuid.UUID, LivePlan],
    milestones: Collection[PlannedMilestone],
    now: datetime,
) -> LifeStrip:
    """The strip for these environments, in their order."""
    stages = [_place_stage(flag, each, history, plans.get(each.pk), now) for each in environments]
    strips = [
        with_planned(history.segments(each, flag.kind, now), _planned(each, milestones), now) for each in environments
    ]
    begins, ends = span_of(strips, now)
    lines = [
        StripLine(
            environment,
            stage.now,
            segments,
            blocks_of(segments, begins=begins, ends=ends),
            [each for each in milestones if each.environment_id == environment.pk],
        )
        for environment, stage, segments in zip(environments, stages, strips, strict=True)
    ]
    return LifeStrip(overall_stage(stages, flag.archived_at), lines)


def _place_stage(
    flag: Flag, environment: Environment, history: FlagHistory, plan: LivePlan | None, now: datetime
) -> PlaceStage:
    weighs = environment.is_protected or environment.kind == EnvironmentKind.PRODUCTION
    versions = history.versions.get(environment.pk, ())
    stage = place_stage(versions, kind=flag.kind, now=now, plan_since=plan.since if plan else None)
    return PlaceStage(environment.name, weighs, stage)


def _planned(environment: Environment, milestones: Collection[PlannedMilestone]) -> list[Planned]:
    return [Planned(each.at, each.name, each.stage) for each in milestones if each.environment_id == environment.pk]
