"""What a rollout plan says: stages that each patch some flags, the gates between them, and the guards that watch.

Everything here is stored as JSON and covered by the digest that approvers consent to. Weights are of 100,000.
"""

from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

TOTAL_WEIGHT = 100_000
GUARD_QUERIES = ("n_control", "x_control", "n_treatment", "x_treatment")
_CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False)


def in_utc(at: datetime) -> datetime:
    """The instant in UTC; one without a time zone stays as it is. Raises ValueError for one that has no date there."""
    try:
        return at if at.utcoffset() is None else at.astimezone(UTC)
    except OverflowError:
        raise ValueError("The calendar does not reach this time") from None


class Strategy(StrEnum):
    """The shape a plan was made from."""

    LINEAR = "linear"
    EXPONENTIAL = "exponential"
    CANARY = "canary"
    RING = "ring"
    BLUE_GREEN = "blue_green"
    CUSTOM = "custom"

    @property
    def label(self) -> str:
        """The strategy in words."""
        return self.value.replace("_", "-").capitalize()


@dataclass(frozen=True, slots=True, config=_CONFIG)
class Patch:
    """What one stage changes on one flag; None leaves a thing as the stage before left it.

    `weight` is the share of `variant` among those who come to the plan's rule, the rest gets `against`. `segment`
    serves `variant` to the members of that segment. `values` puts new values behind variants.
    """

    flag_key: str
    enabled: bool | None = None
    variant: str | None = None
    against: str | None = None
    weight: int | None = None
    segment: str | None = None
    default_variant: str | None = None
    values: Mapping[str, Any] | None = None


class CheckKind(StrEnum):
    """What an external check asks."""

    PROMETHEUS = "prometheus"
    HTTP = "http"


@dataclass(frozen=True, slots=True, config=_CONFIG)
class Check:
    """One question to the outside. `prometheus`: `query` against the server of the installation, the value compared by
    `operator` (one of < <= > >= == !=) with `threshold`. `http`: GET `url`, whose status must be 200 to 299.
    """

    name: str
    kind: CheckKind
    query: str = ""
    url: str = ""
    operator: str = "<"
    threshold: float = 0.0


@dataclass(frozen=True, slots=True, config=_CONFIG)
class Gates:
    """What must hold before the plan leaves a stage. All of them; approval is asked last.

    `soak_minutes` counts from when the stage was entered; in a monitored stage only minutes with fresh data count.
    `minimum_sample` is units per arm. `is_monitored`: every guard of the plan has to have an opinion.
    """

    soak_minutes: int = 0
    not_before: Annotated[datetime, AfterValidator(in_utc)] | None = None
    approvals: int = 0
    minimum_sample: int = 0
    is_monitored: bool = False
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True, slots=True, config=_CONFIG)
class Stage:
    """One part of a plan; stages are numbered from 1, and 0 is how it was before."""

    name: str
    patches: tuple[Patch, ...]
    gates: Gates = Gates()


class MetricKind(StrEnum):
    """What a guard metric counts."""

    ERROR_RATE = "error_rate"
    LATENCY = "latency"
    CONVERSION = "conversion"
    COUNTER = "counter"


class GuardSource(StrEnum):
    """Where the counts of a guard come from."""

    TELEMETRY = "telemetry"
    PROMETHEUS = "prometheus"


class GuardAction(StrEnum):
    """What the engine does at an outcome."""

    ROLL_BACK = "roll_back"
    PAUSE = "pause"
    HOLD = "hold"
    WARN = "warn"


@dataclass(frozen=True, slots=True, config=_CONFIG)
class GuardSpec:
    """One guard of a plan.

    A unit is bad where an event of it was counted bad; `is_success_metric` turns that round: a unit without a good
    event is the bad one (conversion). `margin` is the ratio tolerated beyond 1 (0.1: up to x1.1 is no breach),
    `tolerable` the ratio that a pass shows not to be reached. `minimum_sample` is units per arm. `weight` is the
    guard's part of `alpha` among all guards of the plan. `design_effect` divides event counts where nobody reports
    units. For `prometheus` the four `queries` (GUARD_QUERIES) give units and bad units of each arm in the last minute.
    `limit` is from how many milliseconds on an event of a latency metric is bad, told from the sketches of services
    that report events; None leaves that to the services. Without it nothing of it is stored, so that the digests of
    plans made before there was one hold.
    """

    metric: str
    name: str
    kind: MetricKind
    flag_key: str
    treatment: str
    control: str
    source: GuardSource = GuardSource.TELEMETRY
    is_success_metric: bool = False
    margin: float = 0.1
    tolerable: float = 2.0
    minimum_sample: int = 50
    weight: float = 1.0
    design_effect: float = 1.0
    stale_after_minutes: int = 15
    missing_after_minutes: int = 60
    is_guardrail: bool = True
    is_critical: bool = False
    queries: Mapping[str, str] = field(default_factory=dict)
    limit: float | None = Field(default=None, exclude_if=lambda limit: limit is None)
    on_breach: GuardAction = GuardAction.ROLL_BACK
    on_missing: GuardAction = GuardAction.PAUSE
    on_stale: GuardAction = GuardAction.HOLD
    on_probe_error: GuardAction = GuardAction.HOLD


@dataclass(frozen=True, slots=True, config=_CONFIG)
class Options:
    """How a plan behaves. `rollback_to` is "last_good" or "start".

    `may_skip`: gates of time and sample may be skipped by a person with a reason; approvals and breaches never.
    `hold_back` keeps so much weight in the control arm at the last share. `extends_once`: an undecided monitored stage
    gets its soak once more before a person is asked. `alpha` is shared by all guards.
    """

    rollback_to: str = "last_good"
    may_skip: bool = False
    hold_back: int = 0
    extends_once: bool = True
    alpha: float = 0.05


@dataclass(frozen=True, slots=True, config=_CONFIG)
class PlanDefinition:
    """A whole plan for one environment. `flags` are keys, in the order in which they are written."""

    flags: tuple[str, ...]
    strategy: Strategy
    stages: tuple[Stage, ...]
    guards: tuple[GuardSpec, ...] = ()
    options: Options = Options()
