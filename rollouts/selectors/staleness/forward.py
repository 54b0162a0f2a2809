"""What stands in code after a flag is gone, for those who may know what it serves."""

from collections.abc import Collection

from flags.lifecycle.lives import Life
from flags.lifecycle.readiness import ForwardValue

UNSEEN = "You may not look at every environment that decides about it, so nobody tells you here what people get."


def seen_forward(life: Life, seen: Collection[str]) -> ForwardValue:
    """The forward value of a flag for somebody who may look at the environments with these keys.

    What is served in others is not told: neither variant nor value.
    """
    if all(place.key in seen for place in life.facts.deciding):
        return life.removal.forward
    return ForwardValue(False, UNSEEN)
