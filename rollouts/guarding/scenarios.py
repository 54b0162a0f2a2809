"""Test traffic: how customers fare in a rehearsal of what guards are there for."""

from dataclasses import dataclass

USUAL, WORSE = 0.05, 0.4
ALL = "all"


@dataclass(frozen=True, slots=True)
class Scenario:
    """A story of one rollout. `treatment` is the part of bad customers with the new variant in equal parts of the
    time; None: nothing is reported.
    """

    key: str
    label: str
    sentence: str
    treatment: tuple[float | None, ...]


SCENARIOS = {
    one.key: one
    for one in (
        Scenario("healthy", "All is well", "Both variants fare the same.", (USUAL,)),
        Scenario("breach", "It breaks", "The new variant fails eight times as often, from the start.", (WORSE,)),
        Scenario("gap", "Nothing is heard", "Reports stop in the middle third.", (USUAL, None, USUAL)),
        Scenario("recovery", "It breaks and recovers", "Bad in the first half, good again after it.", (WORSE, USUAL)),
    )
}


def chosen(key: str) -> Scenario | None:
    """A scenario by its key; `all` is one after the other."""
    if key == ALL:
        parts = tuple(part for name in ("healthy", "gap", "recovery", "breach") for part in SCENARIOS[name].treatment)
        return Scenario(ALL, "One after the other", "Healthy, a gap, a recovery, and a breach at the end.", parts)
    return SCENARIOS.get(key)


def bad_part(scenario: Scenario, *, is_treatment: bool, elapsed: float) -> float | None:
    """The part of bad customers at a moment; `elapsed` is the part of the time that is over. None: nothing is sent."""
    place = min(int(max(elapsed, 0.0) * len(scenario.treatment)), len(scenario.treatment) - 1)
    part = scenario.treatment[place]
    return part if part is None or is_treatment else USUAL
