"""Pure: which change requests, plans and timelines an event belongs to."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

# Type of the target -> what it is called, and the names of the facts that hold such ids in events about other things.
_KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "change_request": ("change request", ("request_id", "request_ids")),
    "plan": ("plan", ("plan_id",)),
    "timeline": ("timeline", ("timeline_id",)),
}
KINDS = tuple(_KINDS)
MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Matter:
    """A change request, a plan or a timeline, as an event names it."""

    type: str
    id: str
    number: str = ""

    @property
    def words(self) -> str:
        """What it is called: “change request #34”, “plan 3”."""
        return f"{_KINDS[self.type][0]} {self.number}".strip()


class EventLike(Protocol):
    """What has to be known of an event."""

    target_type: str
    target_id: str
    target_label: str

    @property
    def details(self) -> dict[str, Any]:
        """The facts it holds."""


def matters_of(event: EventLike) -> list[Matter]:
    """What an event belongs to: its target, and what its facts name. Numbers of the latter are not known here."""
    found = [Matter(event.target_type, event.target_id, number_in(event.target_label))]
    found = found if event.target_type in _KINDS else []
    return found + [matter for matter in _named(event.details) if matter.id != event.target_id][:MOST_NAMED]


def number_in(label: str) -> str:
    """The number in a label: `#34` of “#34 Raise checkout”, `3` of “Plan 3 Slowly”; empty where there is none."""
    number = re.match(r"(#\d+)|(?:Plan|Timeline) (\d+)", label)
    return (number[1] or number[2]) if number else ""


def _named(facts: Mapping[str, Any]) -> list[Matter]:
    named = []
    for kind, (_, names) in _KINDS.items():
        for name in names:
            value = facts.get(name)
            ids = value if isinstance(value, list) else [value]
            named += [Matter(kind, each) for each in ids if isinstance(each, str) and each]
    return named
