"""The engine: looks at every running plan that is due and makes the move that its facts ask for, once.

Many plans are read at once and decided on in memory. Only a plan that moves gets a transaction of its own, in which it
is locked, read again and decided on again. A process may be killed at any point, and any number may run at once.

Bad news first: what telemetry wants back or paused is carried out in all plans before any other plan moves, and before
anything outside is asked.
"""

import logging
import random
import time
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from django.db import Error

from audits.context import correlation
from audits.errors import GovernanceError
from flags.services.attempts import attempt
from flags.services.tickets import governed_write
from rollouts.models import RolloutPlan
from rollouts.plans.deciding import Move
from rollouts.plans.definition import GuardSource
from rollouts.selectors.plans.due import due_plans, is_due, plans_with_all
from rollouts.selectors.plans.facts import Guards, Reading, next_closing, readings_of
from rollouts.selectors.plans.held import still_frozen
from rollouts.services.guarding import refresh_guards_of
from rollouts.services.outside import Outside, nobody
from rollouts.services.plans.moves import carry_out, hold_of, is_waiting
from rollouts.services.plans.unreadable import hold_unreadable
from rollouts.services.plans.writing import lock_plan
from rollouts.services.stage_checks import has_checks, refresh_checks

logger = logging.getLogger(__name__)

BATCH = 200
# For all plans together whose move was refused at the look before. Whoever is not reached has another turn.
RETRY_SECONDS = 10.0

_EVERY_MOVE = frozenset(Move)
_BACK = frozenset({Move.ROLL_BACK})
_BAD_NEWS = frozenset({Move.ROLL_BACK, Move.PAUSE})
_FORWARD = frozenset({Move.ADVANCE, Move.EXTEND, Move.COMPLETE})


@dataclass(frozen=True, slots=True)
class _Seen:
    """A plan as it was read, and when to look at it again if nothing moves it. `was_refused`: so it was the last time
    that it tried."""

    plan_id: uuid.UUID
    environment_id: uuid.UUID
    lock_version: int
    look_at: datetime
    was_refused: bool = False


@dataclass(slots=True)
class _Look:
    """One look at everything that is due. `later` move once all bad news was dealt with, `asking` ask the outside
    before they do."""

    now: datetime
    outside: Outside = field(default_factory=Outside)
    moved: int = 0
    later: list[_Seen] = field(default_factory=list)
    asking: list[uuid.UUID] = field(default_factory=list)


def advance_due(now: datetime) -> int:
    """Look at every plan that is due; how many moved. One that fails does not stop the others."""
    return _look_at(_batches(now), now=now)


def advance_if_due(plan_id: uuid.UUID, *, now: datetime) -> bool:
    """Look at one plan; whether it moved."""
    if not due_plans(now).filter(pk=plan_id).exists():
        return False
    return _look_at([[plan_id]], now=now) > 0


def _look_at(batches: Iterable[Sequence[uuid.UUID]], *, now: datetime) -> int:
    look = _Look(now)
    for batch in batches:
        _begin(look, batch)
    _move_on(look)
    # Whatever takes all the time there is for questions, another plan is asked for first the next time.
    random.shuffle(look.asking)
    for first in range(0, len(look.asking), BATCH):
        _ask(look, look.asking[first : first + BATCH])
    _move_on(look)
    return look.moved


def _batches(now: datetime) -> Iterator[list[uuid.UUID]]:
    """The ids of plans that are due, each once: one that stays due cannot keep the others waiting."""
    rows = due_plans(now).order_by("pk").values_list("pk", flat=True)
    batch = list(rows[:BATCH])
    while batch:
        yield batch
        batch = list(rows.filter(pk__gt=batch[-1])[:BATCH])


def _begin(look: _Look, plan_ids: Sequence[uuid.UUID]) -> None:
    """Carry out what telemetry wants back or paused, and say what is to be done with the others."""
    waiting = []
    readings = _readings(plan_ids, None, now=look.now)
    frozen = _frozen(readings, now=look.now)
    for reading in readings:
        if reading.decision.move in _urgent(reading.plan):
            look.moved += _moved(_seen(reading), None, _urgent(reading.plan), now=look.now)
        elif _asks_outside(reading.plan):
            look.asking.append(reading.plan.pk)
        elif reading.plan.pk in frozen or is_waiting(reading):
            waiting.append(_seen(reading))
        else:
            look.later.append(_seen(reading))
    _put_off(waiting, now=look.now)


def _ask(look: _Look, plan_ids: Sequence[uuid.UUID]) -> None:
    """Ask the outside about these plans. One of which something was not asked does not go on, and stays due."""
    left_out = _checked(look, plan_ids)
    waiting = []
    readings = _readings(plan_ids, look.outside, now=look.now)
    frozen = _frozen(readings, now=look.now)
    for reading in readings:
        if reading.plan.pk in left_out:
            if reading.decision.move not in _FORWARD and not is_waiting(reading):
                look.moved += _moved(_seen(reading), nobody(), _EVERY_MOVE - _FORWARD, now=look.now)
        elif reading.plan.pk in frozen or is_waiting(reading):
            waiting.append(_seen(reading))
        elif reading.decision.move in _BAD_NEWS:
            look.moved += _moved(_seen(reading), nobody(), _BAD_NEWS, now=look.now)
        else:
            look.later.append(_seen(reading))
    _put_off(waiting, now=look.now)


def _checked(look: _Look, plan_ids: Sequence[uuid.UUID]) -> Collection[uuid.UUID]:
    """Ask the outside checks of these plans; those of which something was not asked."""
    try:
        return refresh_checks(plans_with_all(plan_ids), look.outside, now=look.now)
    except Exception:
        logger.exception("Outside checks could not be asked; the next sweep tries again")
        return set(plan_ids)


def _move_on(look: _Look) -> None:
    """Move the plans that are left; those that were refused before come last, as many as time allows, in any order."""
    refused = [seen for seen in look.later if seen.was_refused]
    for seen in look.later:
        if not seen.was_refused:
            look.moved += _moved(seen, nobody(), _EVERY_MOVE, now=look.now)
    random.shuffle(refused)
    ends_at = time.monotonic() + RETRY_SECONDS
    while refused and time.monotonic() < ends_at:
        look.moved += _moved(refused.pop(), nobody(), _EVERY_MOVE, now=look.now)
    _put_off(refused, now=look.now)
    look.later = []


def _readings(plan_ids: Sequence[uuid.UUID], outside: Outside | None, *, now: datetime) -> list[Reading]:
    """What is known of these plans, in a constant number of queries; one that cannot be read is held."""
    try:
        plans = plans_with_all(plan_ids)
        return readings_of(plans, _guards(plans, outside, now=now), now=now)
    except Exception as error:
        if len(plan_ids) > 1:
            half = len(plan_ids) // 2
            parts = (plan_ids[:half], plan_ids[half:])
            return [reading for part in parts for reading in _readings(part, outside, now=now)]
        logger.exception("Plan %s could not be read; a later look tries again", plan_ids[0])
        if not isinstance(error, Error):
            _tried(partial(hold_unreadable, plan_ids[0], until=next_closing(now), now=now))
        return []


def _guards(plans: Sequence[RolloutPlan], outside: Outside | None, *, now: datetime) -> Guards:
    """What the guards say; without `outside` those that count telemetry only."""
    return refresh_guards_of(plans, now=now, outside=outside)


def _frozen(readings: Sequence[Reading], *, now: datetime) -> Collection[uuid.UUID]:
    """The plans that would go to another stage and are held by the freeze that refused it before: none is tried."""
    advancing = [reading.plan for reading in readings if reading.decision.move is Move.ADVANCE]
    try:
        return still_frozen(advancing, now=now)
    except Exception:
        logger.exception("The calendar could not be asked for many plans at once; each is tried by itself")
        return ()


def _asks_outside(plan: RolloutPlan) -> bool:
    return has_checks(plan) or _asks_prometheus(plan)


def _asks_prometheus(plan: RolloutPlan) -> bool:
    return any(guard["source"] == GuardSource.PROMETHEUS for guard in plan.definition["guards"])


def _urgent(plan: RolloutPlan) -> frozenset[Move]:
    """What is done before the outside is asked. A guard that asks Prometheus may want more than a pause."""
    return _BACK if _asks_prometheus(plan) else _BAD_NEWS


def _seen(reading: Reading) -> _Seen:
    plan = reading.plan
    was_refused = plan.is_blocked and hold_of(reading) is None
    return _Seen(plan.pk, plan.environment_id, plan.lock_version, reading.next_look_at, was_refused)


def _moved(seen: _Seen, outside: Outside | None, moves: Collection[Move], *, now: datetime) -> bool:
    try:
        return attempt(partial(_move, seen, outside, moves, now=now))
    except GovernanceError as error:
        # Somebody was faster, and the next sweep sees what he did.
        logger.info("Plan %s was left alone: %s", seen.plan_id, error.code)
    except Exception:
        logger.exception("Plan %s could not be moved; a later look tries again", seen.plan_id)
    return False


def _move(seen: _Seen, outside: Outside | None, moves: Collection[Move], *, now: datetime) -> bool:
    """Decide again on what is so now, and do it. Whoever read the plan before somebody else wrote does nothing.

    Nobody outside is asked here, where rows are locked.
    """
    plan = lock_plan(seen.plan_id)
    if plan.lock_version != seen.lock_version or not is_due(plan, now=now):
        return False
    with correlation(plan.correlation_id):
        [reading] = readings_of([plan], _guards([plan], outside, now=now), now=now)
        has_moved = reading.decision.move in moves and carry_out(reading, now=now)
    if not has_moved and reading.decision.move in moves:
        _write_looks([_seen(reading)], now=now)
    return has_moved


def _put_off(waiting: Sequence[_Seen], *, now: datetime) -> None:
    """Say when to look again at plans that wait; where that fails they stay due."""
    if waiting:
        _tried(partial(_write_looks, waiting, now=now))


def _tried(act: partial[None]) -> None:
    try:
        attempt(act)
    except Exception:
        logger.exception("The next look of plans could not be written; the next sweep tries again")


def _write_looks(waiting: Sequence[_Seen], *, now: datetime) -> None:
    """Write the next look of plans on which nobody acted since they were read."""
    alike: dict[tuple[datetime, int], list[uuid.UUID]] = defaultdict(list)
    for seen in waiting:
        alike[seen.look_at, seen.lock_version].append(seen.plan_id)
    with ExitStack() as tickets:
        for environment_id in sorted({seen.environment_id for seen in waiting}):
            tickets.enter_context(governed_write(environment_id))
        for (look_at, lock_version), plan_ids in sorted(alike.items()):
            due_plans(now).filter(pk__in=plan_ids, lock_version=lock_version).update(next_look_at=look_at)
