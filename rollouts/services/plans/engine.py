"""The engine: looks at every running plan that is due and makes the move that its facts ask for, once.

Many plans are read at once and decided on in memory. Only a plan that moves gets a transaction of its own, in which it
is locked, read again and decided on again. A process may be killed at any point, and any number may run at once.
"""

import logging
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime
from functools import partial

from audits.context import correlation
from audits.errors import GovernanceError
from flags.services.attempts import attempt
from flags.services.tickets import governed_write
from rollouts.selectors.plans.due import due_plans, is_due, plans_with_all
from rollouts.selectors.plans.facts import Reading, readings_of
from rollouts.services.guarding import refresh_guards_of
from rollouts.services.plans.moves import carry_out, is_waiting
from rollouts.services.plans.writing import lock_plan
from rollouts.services.stage_checks import refresh_checks

logger = logging.getLogger(__name__)

BATCH = 200


def advance_due(now: datetime) -> int:
    """Look at every plan that is due; how many moved. One that fails does not stop the others."""
    return sum(_look_at(batch, now=now) for batch in _batches(now))


def advance_if_due(plan_id: uuid.UUID, *, now: datetime) -> bool:
    """Look at one plan; whether it moved."""
    if not due_plans(now).filter(pk=plan_id).exists():
        return False
    return _look_at([plan_id], now=now) > 0


def _batches(now: datetime) -> Iterator[list[uuid.UUID]]:
    """The ids of plans that are due, each once: one that stays due cannot keep the others waiting."""
    rows = due_plans(now).order_by("pk").values_list("pk", flat=True)
    batch = list(rows[:BATCH])
    while batch:
        yield batch
        batch = list(rows.filter(pk__gt=batch[-1])[:BATCH])


def _look_at(plan_ids: Sequence[uuid.UUID], *, now: datetime) -> int:
    try:
        readings = _read(plan_ids, now=now)
    except Exception:
        if len(plan_ids) == 1:
            logger.exception("Plan %s could not be read; the next sweep tries again", plan_ids[0])
            return 0
        return sum(_look_at([plan_id], now=now) for plan_id in plan_ids)
    moving = [reading for reading in readings if not is_waiting(reading)]
    _put_off([reading for reading in readings if is_waiting(reading)], now=now)
    return sum(_moved(reading, now=now) for reading in moving)


def _read(plan_ids: Sequence[uuid.UUID], *, now: datetime) -> list[Reading]:
    """What is known of these plans: a constant number of queries, and what outside checks take."""
    plans = plans_with_all(plan_ids)
    guards = refresh_guards_of(plans, now=now)
    for plan in plans:
        if plan.stage and plan.definition["stages"][plan.stage - 1]["gates"]["checks"]:
            refresh_checks(plan, now=now)
    return readings_of(plans, guards, now=now)


def _moved(seen: Reading, *, now: datetime) -> bool:
    try:
        return attempt(partial(_move, seen.plan.pk, seen.plan.lock_version, now=now))
    except GovernanceError as error:
        # Somebody was faster, and the next sweep sees what he did.
        logger.info("Plan %s was left alone: %s", seen.plan.pk, error.code)
    except Exception:
        logger.exception("Plan %s could not be moved; the next sweep tries again", seen.plan.pk)
    return False


def _move(plan_id: uuid.UUID, lock_version: int, *, now: datetime) -> bool:
    """Decide again on what is so now, and do it. Whoever read the plan before somebody else wrote does nothing."""
    plan = lock_plan(plan_id)
    if plan.lock_version != lock_version or not is_due(plan, now=now):
        return False
    with correlation(plan.correlation_id):
        [reading] = readings_of([plan], refresh_guards_of([plan], now=now), now=now)
        has_moved = carry_out(reading, now=now)
    if not has_moved:
        _put_off([reading], now=now)
    return has_moved


def _put_off(waiting: Sequence[Reading], *, now: datetime) -> None:
    """Say when to look again at plans that wait. Who acted on one meanwhile has said it himself."""
    if not waiting:
        return
    alike: dict[tuple[datetime, int], list[uuid.UUID]] = defaultdict(list)
    for reading in waiting:
        alike[reading.next_look_at, reading.plan.lock_version].append(reading.plan.pk)

    def act() -> None:
        with ExitStack() as tickets:
            for environment_id in sorted({reading.plan.environment_id for reading in waiting}):
                tickets.enter_context(governed_write(environment_id))
            for (look, lock_version), plan_ids in alike.items():
                rows = due_plans(now).filter(pk__in=plan_ids, lock_version=lock_version)
                rows.update(next_look_at=look)

    attempt(act)
