"""What a deprecation timeline says: dated milestones that end one flag in one environment, and the gates before them.

Everything here is stored as JSON and covered by the digest that approvers consent to. Weights are of 100,000.
"""

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, ConfigDict
from pydantic.dataclasses import dataclass

from rollouts.plans.definition import in_utc

TOTAL_WEIGHT = 100_000
_CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False)
Instant = Annotated[AwareDatetime, AfterValidator(in_utc)]


class MilestoneKind(StrEnum):
    """What happens at a milestone.

    `ANNOUNCE` tells people, `WARN` tells services, a `BROWNOUT` withdraws the flag from everybody for a short announced
    window, a `RAMP_DOWN` from a share of people for good, `SUNSET` from everybody, and `ARCHIVE` leaves it out of what
    is served.
    """

    ANNOUNCE = "announce"
    WARN = "warn"
    BROWNOUT = "brownout"
    RAMP_DOWN = "ramp_down"
    SUNSET = "sunset"
    ARCHIVE = "archive"

    @property
    def label(self) -> str:
        """The kind in words."""
        return self.value.replace("_", "-").capitalize()


@dataclass(frozen=True, slots=True, config=_CONFIG)
class MilestoneGates:
    """What must hold before the timeline goes to a milestone, beside its date. All of them; approval is asked last.

    `residual_at_most`: no more evaluations than that in the last `residual_days` days; None does not ask.
    `not_before_rest_minutes` counts from when the milestone before it was really reached.
    """

    residual_days: int = 0
    residual_at_most: int | None = None
    approvals: int = 0
    not_before_rest_minutes: int = 0


@dataclass(frozen=True, slots=True, config=_CONFIG)
class Milestone:
    """One dated part of a timeline. `minutes` is how long a brownout lasts, `weight` the share of a ramp-down."""

    kind: MilestoneKind
    at: Instant
    minutes: int = 0
    weight: int = 0
    gates: MilestoneGates = MilestoneGates()


@dataclass(frozen=True, slots=True, config=_CONFIG)
class TimelineDefinition:
    """A whole timeline. Milestones are numbered from 1, and 0 is how it was before.

    `final_variant` is what people get from whom the flag is withdrawn, None their code default. `mapping` says which
    variant of the `successor` stands for each variant of this flag. `zone` is where its dates are planned by the clock.
    """

    flag_key: str
    milestones: tuple[Milestone, ...]
    final_variant: str | None = None
    successor: str = ""
    mapping: Mapping[str, str] = field(default_factory=dict)
    link: str = ""
    zone: str = "UTC"
