"""What is said of a change: which way it moves exposure, flag by flag."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Document = Mapping[str, Any]
# What a change does to a flag that serves nobody for now.
PREPARES = "is switched off or withdrawn, but this prepares something new for when it is served again."


class Direction(StrEnum):
    """Which way a change moves exposure."""

    NEUTRAL = "neutral"
    NARROWS = "narrows"
    WIDENS = "widens"

    @property
    def label(self) -> str:
        """The direction in words."""
        return _LABELS[self]


_LABELS = {
    Direction.NEUTRAL: "changes nobody's answer",
    Direction.NARROWS: "only narrows",
    Direction.WIDENS: "widens",
}


@dataclass(frozen=True, slots=True)
class FlagMovement:
    """What a change does to one flag, also to one that it moves through a segment or a prerequisite.

    Shares are the largest part of the flag's traffic in hundred-thousandths that one split or serve gives to variants
    other than the one it serves switched off; individual targets are left out. `jump` is the largest part of one and
    the same people that gets something new, and nothing where the flag does not widen. None is not known: where it
    widens by anything but its rules and its default. `latent` is the direction as if the flag were switched on, or not
    deprecated where that widens, `prepares` what that would do. `is_indirect` says that the change does not edit the
    flag itself.
    """

    flag_key: str
    direction: Direction
    why: str
    share_before: int | None
    share_after: int | None
    jump: int | None
    latent: Direction
    prepares: str = ""
    is_indirect: bool = False

    @property
    def hurdle(self) -> str:
        """Why the change may not be applied at once, as far as this flag goes; empty where it may."""
        if self.direction is Direction.WIDENS:
            return self.why
        if self.latent is Direction.WIDENS:
            return f"It {PREPARES} {self.prepares}".strip()
        return ""


@dataclass(frozen=True, slots=True)
class Movement:
    """What a change set does to exposure: every flag it edits, and the others that it moves."""

    flags: tuple[FlagMovement, ...] = ()

    @property
    def direction(self) -> Direction:
        """The widest of all."""
        found = {flag.direction for flag in self.flags}
        return next((one for one in (Direction.WIDENS, Direction.NARROWS) if one in found), Direction.NEUTRAL)

    @property
    def widening(self) -> tuple[FlagMovement, ...]:
        """The flags that the change widens."""
        return tuple(flag for flag in self.flags if flag.direction is Direction.WIDENS)

    @property
    def held(self) -> tuple[FlagMovement, ...]:
        """The flags that keep the change from being applied at once: it widens them, or prepares that in secret."""
        return tuple(flag for flag in self.flags if flag.hurdle)

    def of(self, flag_key: str) -> FlagMovement | None:
        """What the change does to one flag; None for a flag that it leaves alone."""
        return next((flag for flag in self.flags if flag.flag_key == flag_key), None)
