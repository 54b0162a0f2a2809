"""The hard break: a treatment that plainly does not work, seen without statistics."""

from collections.abc import Sequence

from .likelihoods import Arms, summed

LEAST_BAD = 20
LEAST_CONTROL = 20
BROKEN_SHARE = 0.5
SOUND_SHARE = 0.1
# A break long after the start is drowned in what was counted before, so the last minutes are looked at alone.
MINUTES = 15


def is_hard_break(arms: Arms) -> bool:
    """At least 20 bad units and half of all in treatment, while under a tenth of at least 20 are bad in control."""
    return (
        arms.x_treatment >= LEAST_BAD
        and arms.x_treatment >= BROKEN_SHARE * arms.n_treatment
        and arms.n_control >= LEAST_CONTROL
        and arms.x_control < SOUND_SHARE * arms.n_control
    )


def hard_break(total: Arms, recent: Sequence[Arms]) -> Arms | None:
    """The counts that show a hard break: of the whole stage so far, or of some number of the last 15 minutes."""
    if is_hard_break(total):
        return total
    # Without one minute of at least half bad units no span of minutes can have that.
    if all(arms.x_treatment < BROKEN_SHARE * arms.n_treatment for arms in recent[-MINUTES:] if arms.n_treatment):
        return None
    spans = (summed(recent[-minutes:]) for minutes in range(1, MINUTES + 1))
    return next((span for span in spans if is_hard_break(span)), None)
