"""OpenTelemetry traces of evaluations: an optional extra, off unless OTEL_ENABLED is set.

One span per request to the evaluation API, in the words of the `feature_flag.*` semantic conventions. Never in it: the
targeting key (`feature_flag.context.id`), attributes of the context, values, tokens. Where spans go is up to the usual
`OTEL_*` variables. A span is made when its request has ended, so the evaluation itself does not wait for it.
"""

import time
from itertools import islice
from typing import TYPE_CHECKING

import structlog

from flags.api import tracing
from flags.api.tracing import Evaluation
from flags.evaluation.compile import Snapshot
from flags.evaluation.resolution import Resolution
from flagsite.env import ConfigurationError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

logger = structlog.get_logger(__name__)

PROVIDER_NAME = "Flagsite"
# A span holds 128 events unless told otherwise; of what it would drop we make nothing.
MOST_EVENTS = 128
_LONGEST_KEY = 200
_NANOSECONDS = 1_000_000_000


def start() -> "TracerProvider":
    """Send the spans of this process from now on, in batches, until it ends.

    Raises ConfigurationError where the extra is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ConfigurationError(
            "Flagsite cannot start: OTEL_ENABLED is set, but OpenTelemetry is not installed. "
            "Install the extra (`pip install flagsite[otel]`), or unset OTEL_ENABLED."
        ) from error
    # What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say wins.
    resource = Resource({SERVICE_NAME: "flagsite"}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    listen(provider)
    return provider


def listen(provider: "TracerProvider") -> None:
    """Make a span of every request to the evaluation API from now on."""
    tracing.hook = Spans(provider)


class Spans:
    """Turns answered requests into spans. Never raises: an answer matters more than its trace."""

    def __init__(self, provider: "TracerProvider") -> None:
        from opentelemetry.trace import SpanKind, Status, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._tracer = provider.get_tracer("flagsite.evaluation")
        self._parent = TraceContextTextMapPropagator().extract
        self._server = SpanKind.SERVER
        self._failed = Status(StatusCode.ERROR)

    def __call__(self, evaluation: Evaluation) -> None:
        """Make the span of one request that has just been answered."""
        try:
            self._trace(evaluation, ended_at=time.time_ns())
        except Exception as error:
            logger.warning("evaluation_not_traced", error=type(error).__name__)

    def _trace(self, evaluation: Evaluation, *, ended_at: int) -> None:
        route = "/ofrep/v1/evaluate/flags" + ("" if evaluation.flag_key is None else "/{key}")
        span = self._tracer.start_span(
            f"{evaluation.request.method} {route}",
            context=self._parent(evaluation.request.headers),
            kind=self._server,
            start_time=ended_at - int(evaluation.seconds * _NANOSECONDS),
            attributes={
                "http.request.method": evaluation.request.method,
                "http.route": route,
                "http.response.status_code": evaluation.status,
            },
        )
        if span.is_recording():
            self._describe(span, evaluation, ended_at=ended_at)
        span.end(ended_at)

    def _describe(self, span: "Span", evaluation: Evaluation, *, ended_at: int) -> None:
        if evaluation.status >= 500:
            span.set_status(self._failed)
            span.set_attribute("error.type", str(evaluation.status))
        if evaluation.snapshot is None:
            return
        source = evaluation.snapshot.snapshot
        if evaluation.flag_key is not None:
            for key, resolution in evaluation.resolutions.items():
                span.set_attributes(_attributes(source, key, resolution))
            return
        span.set_attributes(_shared(source))
        span.set_attribute("flagsite.flags", len(evaluation.resolutions))
        for key, resolution in islice(evaluation.resolutions.items(), MOST_EVENTS):
            span.add_event("feature_flag.evaluation", _attributes(source, key, resolution), ended_at)


def _shared(source: Snapshot) -> dict[str, str]:
    return {
        "feature_flag.provider.name": PROVIDER_NAME,
        "feature_flag.set.id": f"{source.project_key}/{source.environment_key}",
    }


def _attributes(source: Snapshot, flag_key: str, resolution: Resolution) -> dict[str, str]:
    """One evaluation in the words of the conventions, which write reasons and error codes in lower case."""
    attributes = {
        **_shared(source),
        "feature_flag.key": flag_key[:_LONGEST_KEY],
        "feature_flag.result.reason": resolution.reason.value.lower(),
    }
    if resolution.variant is not None:
        attributes["feature_flag.result.variant"] = resolution.variant
    version = resolution.metadata.get("version")
    if version is not None:
        attributes["feature_flag.version"] = str(version)
    if resolution.error_code is not None:
        attributes["error.type"] = resolution.error_code.value.lower()
    return attributes
