"""Where an optional tracer listens to the evaluation API. Nobody listens unless `flagsite.telemetry` is switched on.

The handler ends a request with `if tracing.hook is not None: tracing.hook(Evaluation(...))`, which costs nothing while
nobody listens, and hands over the headers `traceparent` and `tracestate` (see `HEADERS_READ` there).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from flags.api.wire import WireRequest
from flags.evaluation.compile import CompiledSnapshot
from flags.evaluation.resolution import Resolution


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One request to the evaluation API that was answered.

    `snapshot` is None and `resolutions` empty where it was refused before anything was evaluated; only `resolutions` is
    empty where the client had the answer to the same question. `flag_key` is None for all flags at once. `request`
    holds the evaluation context: a listener must not keep or send its body.
    """

    request: WireRequest
    flag_key: str | None
    status: int
    seconds: float
    snapshot: CompiledSnapshot | None = None
    resolutions: Mapping[str, Resolution] = field(default_factory=dict)


hook: Callable[[Evaluation], None] | None = None
