"""Gates: rules of apps above this one that every write of served state has to pass.

`flags` knows no calendar. An app that does registers a gate when it is loaded, and the single write path asks every
gate before it writes, whoever writes with whatever authority. A gate raises a GovernanceError to refuse.
"""

from datetime import datetime
from typing import Protocol

from audits.context import Actor
from flags.authority import Authority
from flags.changes import ChangeSet
from flags.directions import Movement
from flags.models import Environment


class Gate(Protocol):
    """One rule on the way of a write."""

    def __call__(
        self,
        change_set: ChangeSet,
        environment: Environment,
        *,
        actor: Actor,
        authority: Authority,
        movement: Movement,
        now: datetime,
    ) -> None:
        """Raise a GovernanceError where this write may not happen now."""


_gates: dict[str, Gate] = {}


def register_gate(name: str, gate: Gate) -> None:
    """Ask `gate` before every write from now on; a gate of the same name is replaced."""
    _gates[name] = gate


def gate_names() -> frozenset[str]:
    """The names of the gates that are asked."""
    return frozenset(_gates)


def pass_gates(
    change_set: ChangeSet,
    environment: Environment,
    *,
    actor: Actor,
    authority: Authority,
    movement: Movement,
    now: datetime,
) -> None:
    """Ask every gate. Raises what the first one that refuses raises."""
    for gate in _gates.values():
        gate(change_set, environment, actor=actor, authority=authority, movement=movement, now=now)
