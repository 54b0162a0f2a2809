"""Release trains: in which order plans go, which of them may move now, and what may happen to a train."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from audits.errors import GovernanceError
from audits.integrity import canonical_json
from rollouts.plans.transitions import PlanState

WAITS = "train_waits"


class TrainState(StrEnum):
    """Where a release train stands. `ROLLED_BACK` lasts until a person ends it."""

    DRAFT = "draft"
    RUNNING = "running"
    PAUSED = "paused"
    ROLLED_BACK = "rolled_back"
    COMPLETED = "completed"
    ABORTED = "aborted"

    @property
    def label(self) -> str:
        """The state in words."""
        return self.value.replace("_", " ").capitalize()


class TrainAct(StrEnum):
    """What can happen to a train. `ABORT` lets its plans go their own ways and leaves what is served as it is."""

    EDIT = "edit"
    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    ROLL_BACK = "roll_back"
    ABORT = "abort"
    COMPLETE = "complete"


_S, _A = TrainState, TrainAct

TRANSITIONS: Mapping[tuple[TrainState, TrainAct], TrainState] = {
    (_S.DRAFT, _A.EDIT): _S.DRAFT,
    (_S.DRAFT, _A.START): _S.RUNNING,
    (_S.DRAFT, _A.ABORT): _S.ABORTED,
    (_S.RUNNING, _A.PAUSE): _S.PAUSED,
    (_S.RUNNING, _A.ROLL_BACK): _S.ROLLED_BACK,
    (_S.RUNNING, _A.ABORT): _S.ABORTED,
    (_S.RUNNING, _A.COMPLETE): _S.COMPLETED,
    (_S.PAUSED, _A.RESUME): _S.RUNNING,
    (_S.PAUSED, _A.ROLL_BACK): _S.ROLLED_BACK,
    (_S.PAUSED, _A.ABORT): _S.ABORTED,
    (_S.PAUSED, _A.COMPLETE): _S.COMPLETED,
    (_S.ROLLED_BACK, _A.ABORT): _S.ABORTED,
    (_S.COMPLETED, _A.ROLL_BACK): _S.ROLLED_BACK,
}
# The plans of such a train are held together; those of an ended one go their own ways.
UNDER_WAY = frozenset({_S.RUNNING, _S.PAUSED})

_DONE = {
    _A.EDIT: "changed",
    _A.START: "started",
    _A.PAUSE: "paused",
    _A.RESUME: "resumed",
    _A.ROLL_BACK: "rolled back",
    _A.ABORT: "ended",
    _A.COMPLETE: "completed",
}
_SITUATION = {
    _S.DRAFT: "it has not been started",
    _S.RUNNING: "it is running",
    _S.PAUSED: "it is paused",
    _S.ROLLED_BACK: "it was rolled back. End it, then its plans are resumed or ended one by one",
    _S.COMPLETED: "every plan of it is completed",
    _S.ABORTED: "it was ended. Make a new train instead",
}


class InvalidTrainTransition(GovernanceError):
    """The train is in a state in which this act is not possible."""

    code = "invalid_train_transition"
    status = 409
    title = "This is not possible in the train's present state"


class CircularTrain(GovernanceError):
    """Plans of a train need each other's flags in a circle, so none of them can go first."""

    code = "circular_train"
    status = 409
    title = "These plans wait for each other"


def next_train_state(state: TrainState, act: TrainAct) -> TrainState:
    """The state that `act` leads to. Raises InvalidTrainTransition where the table has no such move."""
    try:
        return TRANSITIONS[state, act]
    except KeyError:
        raise InvalidTrainTransition(refusal(state, act), state=state.value, act=act.value) from None


def refusal(state: TrainState, act: TrainAct) -> str:
    """Why the table has no such move, in a sentence."""
    return f"This train cannot be {_DONE[act]}: {_SITUATION[state]}."


def train_digest(seats: Sequence[tuple[str, str, int | None]]) -> str:
    """SHA-256 (hex) of what somebody starts: the plans in their order, each by id, digest and `opens_at`."""
    return hashlib.sha256(canonical_json([list(seat) for seat in seats])).hexdigest()


@dataclass(frozen=True, slots=True)
class Wagon:
    """A plan that is put into an order: what it changes where, and every flag that those need there, however far."""

    key: str
    label: str
    environment: str
    flags: frozenset[str]
    needs: frozenset[str]

    def comes_after(self, other: "Wagon") -> bool:
        """Whether a flag of this plan needs one of the other plan's in the same environment."""
        return self.key != other.key and self.environment == other.environment and bool(self.needs & other.flags)


def all_needs(flags: Collection[str], parents: Mapping[str, Collection[str]]) -> frozenset[str]:
    """Every flag that these need, directly or through others. `parents` are the prerequisites by flag."""
    found: set[str] = set()
    left = list(flags)
    while left:
        new = set(parents.get(left.pop(), ())) - found
        found |= new
        left.extend(new)
    return frozenset(found)


def in_order(wagons: Sequence[Wagon]) -> tuple[Wagon, ...]:
    """The plans as they were given, except that each comes after those whose flags it needs. Raises CircularTrain."""
    placed: list[Wagon] = []
    left = list(wagons)
    while left:
        free = next((one for one in left if not any(one.comes_after(other) for other in left)), None)
        if free is None:
            names = ", ".join(one.label for one in left)
            raise CircularTrain(
                f"The flags of these plans need each other in a circle, so none of them can go first: {names}. Put "
                "what belongs together into one plan, or take one of the prerequisites away."
            )
        placed.append(free)
        left.remove(free)
    return tuple(placed)


def misplaced(wagons: Sequence[Wagon]) -> tuple[tuple[Wagon, Wagon], ...]:
    """Pairs in which the first stands before the second, whose flags it needs."""
    return tuple(
        (early, late) for index, early in enumerate(wagons) for late in wagons[index + 1 :] if early.comes_after(late)
    )


def twice(wagons: Sequence[Wagon]) -> tuple[tuple[Wagon, Wagon, str], ...]:
    """Pairs that change the same flag in the same environment, with the first such flag."""
    return tuple(
        (one, other, min(one.flags & other.flags))
        for index, one in enumerate(wagons)
        for other in wagons[index + 1 :]
        if one.environment == other.environment and one.flags & other.flags
    )


@dataclass(frozen=True, slots=True)
class Place:
    """A plan in its train as it stands now.

    `opens_at` is the stage from which the plans behind it may start, None for once it is completed. `blocked_code` says
    what holds it, `troubles` what its guards say against it.
    """

    position: int
    label: str
    state: PlanState
    stage: int
    opens_at: int | None = None
    blocked_code: str = ""
    troubles: tuple[str, ...] = ()

    @property
    def has_passed(self) -> bool:
        """Whether the plans behind it need not wait for it any more."""
        if self.state is PlanState.COMPLETED:
            return True
        return self.opens_at is not None and self.state is PlanState.RUNNING and self.stage >= self.opens_at

    @property
    def trouble(self) -> str:
        """Why no other plan of the train goes on; empty for nothing. That the train holds it is no trouble."""
        if self.state in _STANDS_STILL:
            return _STANDS_STILL[self.state]
        if self.state is not PlanState.RUNNING:
            return ""
        if self.blocked_code not in ("", WAITS):
            return "is held"
        return "; ".join(self.troubles)

    @property
    def is_to_go_back(self) -> bool:
        """Whether it still serves something that a train which rolls back takes away."""
        return self.stage > 0 and self.state in _SERVING


_STANDS_STILL = {PlanState.PAUSED: "is paused", PlanState.ROLLED_BACK: "was rolled back"}
_SERVING = frozenset({PlanState.RUNNING, PlanState.PAUSED, PlanState.ROLLED_BACK, PlanState.COMPLETED})


@dataclass(frozen=True, slots=True)
class Wait:
    """What a plan waits for in its train: a sentence, and the position of the plan that it waits for, 0 for none."""

    sentence: str
    position: int = 0


_TRAIN_STANDS = {
    TrainState.DRAFT: "has not been started. Start it, end it, or take the plan out of it",
    TrainState.PAUSED: "is paused. Its plans go on once somebody resumes it",
    TrainState.ROLLED_BACK: "was rolled back. End it to let its plans go their own ways",
}


def wait_of(title: str, state: TrainState, places: Sequence[Place], position: int) -> Wait | None:
    """Why the plan at `position` may not move forward now; None where it may. The plans of an ended train are free."""
    if state in _TRAIN_STANDS:
        return Wait(f"The release train “{title}” {_TRAIN_STANDS[state]}.")
    if state is not TrainState.RUNNING:
        return None
    own = next(place for place in places if place.position == position)
    for place in places:
        if place.position != position and place.trouble:
            return Wait(
                f"{place.label} {place.trouble}. The plans of the release train “{title}” go on together.",
                place.position,
            )
    if own.stage == 0:
        before = next((one for one in places if one.position < position and not one.has_passed), None)
        if before is not None:
            return Wait(
                f"{before.label} comes first in the release train “{title}”: {_until(before)}.", before.position
            )
    return None


def back_order(places: Sequence[Place]) -> tuple[Place, ...]:
    """The plans that a train which rolls back takes back, the last one first."""
    return tuple(sorted((one for one in places if one.is_to_go_back), key=lambda one: -one.position))


def _until(place: Place) -> str:
    if place.state is PlanState.ABORTED:
        return "it was ended, so nothing behind it starts. End the train, or roll it back"
    return "it has to be completed" if place.opens_at is None else f"it has to reach stage {place.opens_at}"
