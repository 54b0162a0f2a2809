"""Pure: whether a change widens or narrows what people are exposed to.

A key is exposed to a flag while it is served anything else than what the flag serves switched off. A change narrows
when every context gets, whatever it holds and whenever it asks, either what it got before or what the flag serves
switched off; it is neutral when nobody's answer can differ. Everything that cannot be shown to narrow widens.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Document = Mapping[str, Any]


class Direction(StrEnum):
    """Which way a change moves exposure."""

    NEUTRAL = "neutral"
    NARROWS = "narrows"
    WIDENS = "widens"


@dataclass(frozen=True, slots=True)
class FlagMovement:
    """What a change does to one flag, also to one that it moves through a segment or a prerequisite.

    Shares are the largest part of the flag's traffic in hundred-thousandths that one split or serve gives to variants
    other than the one it serves switched off; `is_indirect` says that the change does not edit the flag itself.
    """

    flag_key: str
    direction: Direction
    why: str
    share_before: int
    share_after: int
    is_indirect: bool = False


@dataclass(frozen=True, slots=True)
class Movement:
    """What a change set does to exposure: flag by flag, those it moves only."""

    flags: tuple[FlagMovement, ...] = ()

    @property
    def direction(self) -> Direction:
        """The widest of all."""
        found = {flag.direction for flag in self.flags}
        return next((one for one in (Direction.WIDENS, Direction.NARROWS) if one in found), Direction.NEUTRAL)
