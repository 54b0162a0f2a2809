"""Days without figures: a few in a row are a long weekend, more are a gap of which nothing is known."""

from collections.abc import Iterable
from typing import Final

# Where nobody works from Good Friday to Easter Monday, four days pass without a figure.
LONGEST_SILENCE_DAYS: Final = 4


def is_silent(reported: Iterable[bool]) -> bool:
    """Whether figures are missing for too many days in a row. `reported` says of each day whether any came."""
    silent = 0
    for has_any in reported:
        silent = 0 if has_any else silent + 1
        if silent > LONGEST_SILENCE_DAYS:
            return True
    return False
