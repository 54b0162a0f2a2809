"""Fields of the plan editor as they were typed: nothing is lost, and what cannot be read is named field by field."""

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from flags.errors import InvalidInput
from rollouts.admin.schedules import ScheduleFields, fields_of, instant_of

UNITS: Mapping[str, int] = {"minutes": 1, "hours": 60, "days": 24 * 60}
MOST_ROWS = 30
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
_SHARE = re.compile(r"(\d{1,3})(?:[.,](\d{1,3}))?", re.ASCII)


class Typed:
    """Posted fields by name. `problems` says by field what could not be read; reading goes on with a usable value."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self.fields = dict(fields)
        self.problems: dict[str, str] = {}

    def text(self, name: str) -> str:
        """A field as text without blanks around it; a missing one is empty."""
        return self.fields.get(name, "").strip()

    def is_ticked(self, name: str) -> bool:
        """Whether a box is ticked."""
        return bool(self.fields.get(name))

    def number(self, name: str, what: str, *, default: int = 0) -> int:
        """A whole number from 0; empty is `default`."""
        text = self.text(name).replace(",", "").replace(" ", "")
        if not text:
            return default
        if not _NUMBER.fullmatch(text):
            self.problems[name] = f"Give {what} as a whole number, such as {default or 10}."
            return default
        return int(text)

    def minutes(self, name: str, what: str) -> int:
        """A stretch of time in minutes, typed as a number and a unit."""
        unit = UNITS.get(self.text(f"{name}-unit"), 1)
        return self.number(name, what) * unit

    def share(self, name: str, what: str) -> int:
        """A percentage as a weight of 100,000; empty is nobody."""
        text = self.text(name).removesuffix("%").strip()
        if not text:
            return 0
        found = _SHARE.fullmatch(text)
        weight = int(Decimal(f"{found[1]}.{found[2] or 0}") * 1000) if found else -1
        if not 0 <= weight <= 100_000:
            self.problems[name] = f"Give {what} as a percentage from 0 to 100, such as 25 or 0.5."
            return 0
        return weight

    def instant(self, name: str) -> datetime | None:
        """A wall time in the zone of the installation; empty is none."""
        if not self.text(name):
            return None
        try:
            return instant_of(ScheduleFields("time", self.text(name)))
        except InvalidInput as error:
            self.problems[name] = (
                error.facts["problems"][0]["message"] if error.facts.get("problems") else error.message
            )
            return None

    def count(self, name: str, least: int = 0) -> int:
        """How many rows of a kind there are."""
        text = self.text(name)
        return min(MOST_ROWS, max(least, int(text))) if _NUMBER.fullmatch(text) else least


def percent_text(weight: int) -> str:
    """A weight as the editor shows it: 2500 is “2.5”."""
    return f"{Decimal(weight) / 1000:f}".rstrip("0").rstrip(".") if weight % 1000 else str(weight // 1000)


def duration_fields(name: str, minutes: int) -> dict[str, str]:
    """A stretch of time as a number and the largest unit that divides it."""
    unit = next((unit for unit in ("days", "hours") if minutes and minutes % UNITS[unit] == 0), "minutes")
    return {name: str(minutes // UNITS[unit]), f"{name}-unit": unit}


def instant_field(instant: datetime | None) -> str:
    """An instant as a field for wall time shows it."""
    return fields_of(instant).at
