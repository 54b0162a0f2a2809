"""What is wrong with the guards of a plan."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from flags.documents.schema import name_problem, quote, quoted

from .definition import GUARD_QUERIES, GuardAction, GuardSource, GuardSpec, MetricKind, PlanDefinition

MAX_GUARDS = 10
LONGEST_LIMIT_MS = 3_600_000.0

Found = Iterator[tuple[str, str]]


def guard_problems(definition: PlanDefinition, variants: Mapping[str, Sequence[str]]) -> Found:
    """Path and sentence of everything that is wrong. `variants` are the names by flag."""
    if len(definition.guards) > MAX_GUARDS:
        yield "guards", f"Use at most {MAX_GUARDS} guards: each more makes all of them slower to tell."
    metrics = Counter(guard.metric for guard in definition.guards)
    for place, guard in enumerate(definition.guards):
        path = f"guards.{place}"
        if metrics[guard.metric] > 1:
            yield f"{path}.metric", f"The metric {quoted(guard.metric)} is watched {metrics[guard.metric]} times."
        for field, message in _wrong(guard, variants):
            yield f"{path}.{field}", message


def _wrong(guard: GuardSpec, variants: Mapping[str, Sequence[str]]) -> Found:
    for field, value in (("metric", guard.metric), ("name", guard.name)):
        message = name_problem(value, what=f"the {field} of the guard")
        if message:
            yield field, message
    yield from _wrong_arms(guard, variants.get(guard.flag_key))
    yield from _wrong_numbers(guard)
    is_asked = guard.source is GuardSource.PROMETHEUS
    if is_asked and not all(guard.queries.get(name, "").strip() for name in GUARD_QUERIES):
        yield "queries", f"Give all {len(GUARD_QUERIES)} queries: people and bad ones, with each of the two variants."
    for name in sorted(guard.queries.keys() - set(GUARD_QUERIES)):
        yield "queries", f"There is no query {quoted(name)}. Known: {quote(list(GUARD_QUERIES))}."
    if guard.on_missing is GuardAction.ROLL_BACK and not guard.is_critical:
        yield "on_missing", "Only a critical guard may roll back because its data is missing. Pause instead."
    for field in ("on_stale", "on_probe_error"):
        if getattr(guard, field) is GuardAction.ROLL_BACK:
            yield field, "Data that is late, or could not be asked for, is no reason to roll back. Pause or hold."


def _wrong_arms(guard: GuardSpec, names: Sequence[str] | None) -> Found:
    if names is None:
        yield "flag_key", f"The flag {quoted(guard.flag_key)} is none of this plan's. Choose another one."
        return
    for field in ("treatment", "control"):
        chosen = getattr(guard, field)
        if chosen not in names:
            message = f"{quoted(guard.flag_key)} has no variant {quoted(chosen)}. Choose one of {quote(list(names))}."
            yield field, message
    if guard.treatment == guard.control:
        yield "control", f"{quoted(guard.treatment)} cannot be compared with itself. Choose another variant."


def _wrong_numbers(guard: GuardSpec) -> Found:
    if not 0 <= guard.margin <= 10:
        yield "margin", "Tolerate a ratio of 0 to 10 beyond 1; 0.1 means that up to x1.1 is no breach."
    elif not 1 + guard.margin < guard.tolerable <= 100:
        yield "tolerable", f"A pass must rule out a ratio above x{1 + guard.margin:g}, which is tolerated; x2 is usual."
    if guard.minimum_sample < 1:
        yield "minimum_sample", "Ask for at least one person per variant; 50 is usual."
    if not 0 < guard.weight <= 1_000:
        yield "weight", "Give the guard a weight above 0; 1 for each makes them equal."
    if not 1 <= guard.design_effect <= 1_000:
        yield "design_effect", "The design effect is 1 or more; 1 where people are counted, not requests."
    if guard.limit is not None and (guard.kind is not MetricKind.LATENCY or guard.is_success_metric):
        yield "limit", "Only a guard on slow answers has a limit in milliseconds. Leave it out."
    elif guard.limit is not None and not 0 < guard.limit <= LONGEST_LIMIT_MS:
        yield "limit", f"The limit is above 0 and at most {LONGEST_LIMIT_MS:,.0f} milliseconds."
    if guard.stale_after_minutes < 1:
        yield "stale_after_minutes", "Data is stale after one minute at the earliest."
    elif guard.missing_after_minutes <= guard.stale_after_minutes:
        yield "missing_after_minutes", f"Data is missing only after it was stale ({guard.stale_after_minutes} minutes)."
