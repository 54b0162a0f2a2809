"""What lies ahead of a plan: when each stage comes at the earliest, with the freezes of the calendar in between."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from rollouts.admin.plans.words import duration, soaks_until
from rollouts.models import RolloutPlan
from rollouts.plans import words
from rollouts.plans.definition import PlanDefinition, Stage
from rollouts.plans.dry_run import timeline
from rollouts.plans.transitions import PlanState
from rollouts.selectors.plans.freezes import freezes_ahead

Expected = Mapping[int, tuple[datetime | None, str]]


def expected_of(
    plan: RolloutPlan, definition: PlanDefinition, *, now: datetime, next_at: datetime | None = None
) -> Expected:
    """For each stage ahead when it begins if every gate is met in its time, and what it waits for besides.

    `next_at` is when the next one begins at the earliest, as far as the engine has told.
    Two queries for a plan that is on its way, none for any other.
    """
    ahead = range(plan.stage + 1, len(definition.stages) + 1)
    words = {number: asks(definition.stages[number - 2]) if number > 1 else "" for number in ahead}
    is_moving = plan.current_state is PlanState.RUNNING and not plan.is_blocked
    if not is_moving or not words:
        return {number: (None, text) for number, text in words.items()}
    starts_at = max(now, next_at or soaks_until(plan, definition) or now)
    rest = replace(definition, stages=definition.stages[plan.stage :])
    freezes = freezes_ahead(plan.environment, definition.flags, starts_at)
    entries = timeline(rest, starts_at=starts_at, freezes=freezes)
    return {number: (entry.earliest_at, words[number]) for number, entry in zip(ahead, entries, strict=True)}


def asks(stage: Stage) -> str:
    """What leaving a stage takes, in few words."""
    gates = stage.gates
    parts = [f"after {duration(gates.soak_minutes)}"] if gates.soak_minutes else []
    if gates.is_monitored:
        parts.append("healthy guards")
    if gates.minimum_sample:
        parts.append(f"{words.people(gates.minimum_sample)} seen with each variant")
    parts += [f"check “{check.name}”" for check in gates.checks]
    if gates.approvals:
        parts.append(f"{gates.approvals} approval{'' if gates.approvals == 1 else 's'}")
    return ", ".join(parts)
