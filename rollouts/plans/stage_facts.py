"""What is known of the present stage of a running plan."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from rollouts.guarding.outcomes import GuardOutcome
from rollouts.plans.definition import GuardAction


class CheckOutcome(StrEnum):
    """The last answer of an external check."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class GuardFacts:
    """What one guard says, and what the plan wants done at it. `control` and `treatment` are units seen.

    `is_randomised`: in this stage one split draws both of its arms. A guard without that only advises.
    """

    name: str
    outcome: GuardOutcome
    action: GuardAction | None = None
    sentence: str = ""
    control: int = 0
    treatment: int = 0
    is_randomised: bool = True


@dataclass(frozen=True, slots=True)
class CheckFacts:
    """What one external check answered last."""

    outcome: CheckOutcome
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class StageFacts:
    """Everything the next move of a plan is decided on.

    `fresh_minutes` are the minutes of this stage, since it was entered or resumed, in which every guard had data in
    time. `approvals` are those that still count. `blocked_by` says in a sentence what stands in the way of going on,
    empty for nothing. `reversals` is how often the plan rolled itself back. `is_extended`: the stage got its soak once
    more in this attempt. `able_since` is when what held the plan went away, so that the time before it was not missed.
    `look_again_at` is when guards know more, None for a minute from now.
    """

    now: datetime
    entered_at: datetime
    fresh_minutes: int = 0
    extra_soak_minutes: int = 0
    approvals: int = 0
    guards: tuple[GuardFacts, ...] = ()
    checks: Mapping[str, CheckFacts] = field(default_factory=dict)
    blocked_by: str = ""
    reversals: int = 0
    good_stage: int = 0
    is_extended: bool = False
    able_since: datetime | None = None
    look_again_at: datetime | None = None

    @property
    def served_for(self) -> timedelta:
        """How long the stage was served; nothing where the clock went back behind its beginning."""
        return max(self.now - self.entered_at, timedelta(0))

    @property
    def deciding(self) -> tuple[GuardFacts, ...]:
        """The guards whose arms are drawn by lot in this stage. The others have nothing to compare in it."""
        return tuple(guard for guard in self.guards if guard.is_randomised)

    @property
    def is_randomised(self) -> bool:
        """Whether anybody is drawn by lot for the guards there are."""
        return bool(self.deciding) or not self.guards

    @property
    def smallest_sample(self) -> int:
        """Units of the arm that has fewest; only the treatment counts where nobody is drawn."""
        seen = [min(one.control, one.treatment) for one in self.deciding] or [one.treatment for one in self.guards]
        return min(seen, default=0)
