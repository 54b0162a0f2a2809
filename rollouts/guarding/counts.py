"""What was counted in one closed minute, and the checks that keep impossible counts out of every verdict."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

TOTAL_WEIGHT = 100_000
# More than a fleet sends in a minute, and small enough for every product below to stay exact enough.
MOST_UNITS = 1_000_000_000


class InvalidInterval(ValueError):
    """These counts cannot have happened, or do not come next."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Units and bad units of both arms in the minute that begins at `minute`. A unit is a targeting key, counted once.

    For a conversion metric a unit without success is the bad one. `weight_control` and `weight_treatment` are the parts
    of 100,000 that the split promised in that minute; both 0 where nothing was split. `stage` is the one that was
    served, 0 where nobody says. `has_events`: among the counts are events of which nobody said whose they are.
    """

    minute: datetime
    n_control: int
    x_control: int
    n_treatment: int
    x_treatment: int
    weight_control: int = 0
    weight_treatment: int = 0
    stage: int = 0
    has_events: bool = False

    def __post_init__(self) -> None:
        if self.minute.tzinfo is None or self.minute.second or self.minute.microsecond:
            raise InvalidInterval(f"{self.minute} is not the beginning of a minute in a known zone.")
        _check_arm("control", self.n_control, self.x_control)
        _check_arm("treatment", self.n_treatment, self.x_treatment)
        _check_weights(self.weight_control, self.weight_treatment)
        if not _is_whole(self.stage) or self.stage < 0 or not isinstance(self.has_events, bool):
            raise InvalidInterval(f"{self.stage!r} is no stage, or {self.has_events!r} not whether there are events.")

    def as_json(self) -> list[Any]:
        """The stored form; `Interval.from_json` reads it back."""
        return [
            self.minute.isoformat(),
            self.n_control,
            self.x_control,
            self.n_treatment,
            self.x_treatment,
            self.weight_control,
            self.weight_treatment,
            self.stage,
            self.has_events,
        ]

    @classmethod
    def from_json(cls, value: Sequence[Any]) -> "Interval":
        """The interval of a stored form. Raises InvalidInterval where it is none."""
        if isinstance(value, str) or len(value) not in (5, 7, 9):
            raise InvalidInterval("An interval is a minute, four counts, two weights, a stage and a mark of events.")
        try:
            minute = datetime.fromisoformat(value[0])
        except (TypeError, ValueError):
            raise InvalidInterval(f"{value[0]!r} is not an instant.") from None
        return cls(minute, *value[1:])


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_arm(arm: str, units: int, bad: int) -> None:
    if not (_is_whole(units) and _is_whole(bad)):
        raise InvalidInterval(f"The counts of {arm} are not whole numbers.")
    if not 0 <= bad <= units:
        raise InvalidInterval(f"{bad} bad units among {units} of {arm} cannot be.")
    if units > MOST_UNITS:
        raise InvalidInterval(f"{units} units of {arm} in one minute are more than {MOST_UNITS:,}.")


def _check_weights(control: int, treatment: int) -> None:
    if not (_is_whole(control) and _is_whole(treatment)):
        raise InvalidInterval("The weights of the arms are not whole numbers.")
    if control < 0 or treatment < 0 or control + treatment > TOTAL_WEIGHT:
        raise InvalidInterval(f"Weights of {control} and {treatment} are no parts of {TOTAL_WEIGHT:,}.")
