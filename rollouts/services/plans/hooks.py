"""Rules of others that every move forward of a plan has to pass, such as its turn in a release train."""

from datetime import datetime
from typing import Protocol

from rollouts.models import RolloutPlan


class MoveGate(Protocol):
    """One rule on the way forward."""

    def __call__(self, plan: RolloutPlan, *, to_stage: int, now: datetime) -> None:
        """Raise a GovernanceError where the plan may not go to this stage now; the engine holds it then."""


_gates: dict[str, MoveGate] = {}


def register_move_gate(name: str, gate: MoveGate) -> None:
    """Ask `gate` before every move forward from now on; a gate of the same name is replaced."""
    _gates[name] = gate


def pass_move_gates(plan: RolloutPlan, *, to_stage: int, now: datetime) -> None:
    """Ask every gate. Raises what the first one that refuses raises."""
    for gate in _gates.values():
        gate(plan, to_stage=to_stage, now=now)
