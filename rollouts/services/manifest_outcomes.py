"""What became of a manifest, part by part."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rollouts.models import ChangeRequest
from rollouts.selectors.manifest_plans import ManifestPlan


class State(StrEnum):
    """What became of a part: it is so now, it waits for people, or it was refused."""

    DONE = "done"
    PENDING = "pending"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one part, in a sentence. `request` is the change request that asks for it.

    `is_proposed`: it has been proposed to a second administrator just now.
    """

    state: State
    sentence: str
    request: ChangeRequest | None = None
    is_proposed: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the differences at these addresses."""

    addresses: tuple[str, ...]
    result: Result

    def as_json(self) -> dict[str, Any]:
        """The outcome as programs read it."""
        request = self.result.request
        return {
            "addresses": list(self.addresses),
            "state": self.result.state.value,
            "sentence": self.result.sentence,
            "changeRequest": None if request is None else {"id": str(request.pk), "number": request.number},
        }


@dataclass(frozen=True, slots=True)
class Applied:
    """What an apply brought about. `plan` is what there was to do when it began."""

    plan: ManifestPlan
    outcomes: tuple[Outcome, ...]

    @property
    def state(self) -> State:
        """The worst of what happened: refused, else pending, else done."""
        states = {outcome.result.state for outcome in self.outcomes}
        return next((state for state in (State.REFUSED, State.PENDING) if state in states), State.DONE)

    @property
    def waits(self) -> bool:
        """Whether any part waits for people."""
        return any(outcome.result.state is State.PENDING for outcome in self.outcomes)

    @property
    def requests(self) -> tuple[ChangeRequest, ...]:
        """The change requests that have to be approved and applied."""
        found = (outcome.result.request for outcome in self.outcomes)
        return tuple(request for request in found if request is not None)

    def as_json(self) -> dict[str, Any]:
        """What happened as programs read it."""
        return {
            "project": self.plan.project.key,
            "digest": self.plan.digest,
            "state": self.state.value,
            "outcomes": [outcome.as_json() for outcome in self.outcomes],
        }
