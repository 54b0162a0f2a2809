"""Everything that is judged about a flag at once: its stages, whether it is stale, and whether it may go."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from .facts import FlagFacts, stages_of
from .readiness import Removal, removal_of
from .stages import PlaceStage, StageNow
from .staleness import Staleness, judge


@dataclass(frozen=True, slots=True)
class Life:
    """What the facts come to at an instant. `places` are in the order of the environments in the facts."""

    facts: FlagFacts
    stage: StageNow
    places: Sequence[PlaceStage]
    staleness: Staleness
    removal: Removal


def life_of(facts: FlagFacts, now: datetime) -> Life:
    """The life of a flag as of an instant."""
    stage, places = stages_of(facts, now)
    return Life(facts, stage, places, judge(facts, now), removal_of(facts, now))
