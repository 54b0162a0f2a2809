"""A press of a button on the page of a plan or a timeline, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from audits.context import Actor

_LONGEST_NUMBER = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """By whom it was pressed, when, and with which fields."""

    actor: Actor
    now: datetime
    fields: Mapping[str, str]

    def text(self, name: str) -> str:
        """A field as text; a missing one is empty."""
        return self.fields.get(name, "")

    def number(self, name: str) -> int | None:
        """A field as a whole number from 0; None where it is none."""
        text = self.text(name).strip()
        return int(text) if text.isdecimal() and text.isascii() and len(text) <= _LONGEST_NUMBER else None

    @property
    def sequence(self) -> int:
        """How many steps there were on the page; where the page does not say, none that there ever are."""
        found = self.number("sequence")
        return -1 if found is None else found


@dataclass(frozen=True, slots=True)
class Outcome:
    """What to say, and where to go; without an address to the page that the button is on."""

    words: str
    address: str = ""
