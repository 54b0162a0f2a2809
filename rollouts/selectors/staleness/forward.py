"""What stands in code after a flag is gone, for those who may know what it serves."""

from collections.abc import Collection

from flags.lifecycle.lives import Life
from flags.lifecycle.readiness import ForwardValue


def seen_forward(life: Life, seen: Collection[str]) -> ForwardValue:
    """The forward value of a flag for somebody who may look at the environments with these keys.

    What is served in others is not told: neither variant nor value.
    """
    hidden = [place.name for place in life.facts.deciding if place.key not in seen]
    if not hidden:
        return life.removal.forward
    return ForwardValue(False, f"Whoever may look at {' and '.join(hidden)} sees what stands in code then.")
