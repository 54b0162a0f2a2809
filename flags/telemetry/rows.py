"""What one process of a service counted in one minute, as rows that were checked. No targeting key is among it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class EvaluationRow:
    """How often a flag was evaluated to a variant for a reason in the minute that begins at `minute`."""

    flag_key: str
    variant: str
    reason: str
    minute: datetime
    count: int


@dataclass(frozen=True, slots=True)
class MetricRow:
    """What a metric came to among those served `variant` of a flag in the minute that begins at `minute`.

    `count` and `bad` are events; `units` and `bad_units` distinct targeting keys, None where the service does not know
    them. `total` and `total_squares` are over the events' values, in the metric's own unit; `sketch` counts events by
    bucket of a mergeable latency sketch.
    """

    metric: str
    flag_key: str
    variant: str
    minute: datetime
    count: int
    bad: int
    units: int | None = None
    bad_units: int | None = None
    total: float = 0.0
    total_squares: float = 0.0
    sketch: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that was refused: the code and sentence of the reason, and the row as far as it may be shown.

    `flag_mark` is a mark of the key where no such flag is served: it finds a flag that was archived. `asked_key` is the
    key where no such flag is served, as far as it may be kept, and `asked` how often it was evaluated.
    """

    code: str
    message: str
    row: str
    flag_mark: str = ""
    asked_key: str = ""
    asked: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """One delivery. `batch_id` is the sender's, so that a retry is known again; `service` and `version` are labels."""

    batch_id: str
    service: str
    version: str
    evaluations: tuple[EvaluationRow, ...] = ()
    metrics: tuple[MetricRow, ...] = ()
    rejected: tuple[RejectedRow, ...] = ()
