"""The shapes a plan can be made from. Each gives stages that can be changed afterwards."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flags.documents import percent

from .definition import TOTAL_WEIGHT, Gates, Patch, Stage, Strategy

EXPONENTIAL_SHARES = (1_000, 5_000, 10_000, 25_000, 50_000, TOTAL_WEIGHT)


@dataclass(frozen=True, slots=True)
class Care:
    """What every strategy can be given on top. Stages are monitored as long as somebody is left to compare with.

    `hold_back` is the weight that the last share leaves in the control arm, and `approvals` are asked for before it.
    `minimum_sample` is units per arm.
    """

    is_monitored: bool = False
    minimum_sample: int = 0
    approvals: int = 0
    hold_back: int = 0


_NO_CARE = Care()


@dataclass(frozen=True, slots=True)
class Parameter:
    """One thing to fill in for a strategy: the name of the argument, what to ask for, and what is usual.

    `unit` is one of minutes, weight, count, segments, shares.
    """

    name: str
    label: str
    unit: str
    default: Any


@dataclass(frozen=True, slots=True)
class Shape:
    """A strategy for people: what it does, when to take it, what to fill in, and how it becomes stages."""

    strategy: Strategy
    sentence: str
    advice: str
    parameters: tuple[Parameter, ...]
    stages: Callable[..., tuple[Stage, ...]]


def custom(
    flag_key: str,
    *,
    variant: str,
    against: str | None = None,
    shares: Sequence[tuple[int, int]],
    care: Care = _NO_CARE,
) -> tuple[Stage, ...]:
    """Stages with any shares: each a weight and how many minutes it soaks."""
    rows = _held_back(shares, TOTAL_WEIGHT - care.hold_back)
    stages = []
    for place, (weight, minutes) in enumerate(rows):
        patch = Patch(flag_key, enabled=None if place else True, variant=variant, against=against, weight=weight)
        gates = _gates(minutes, care, is_compared=0 < weight < TOTAL_WEIGHT, is_before_last=place == len(rows) - 2)
        stages.append(Stage(percent(weight), (patch,), gates))
    return tuple(stages)


def linear(
    flag_key: str,
    *,
    variant: str,
    against: str | None = None,
    steps: int = 5,
    minutes: int = 60,
    start: int = 0,
    to: int = TOTAL_WEIGHT,
    care: Care = _NO_CARE,
) -> tuple[Stage, ...]:
    """Equal steps from the weight `start`, which is served before, up to the weight `to`."""
    shares = [(start + (to - start) * step // steps, minutes) for step in range(1, steps + 1)]
    return custom(flag_key, variant=variant, against=against, shares=shares, care=care)


def exponential(
    flag_key: str, *, variant: str, against: str | None = None, minutes: int = 60, care: Care = _NO_CARE
) -> tuple[Stage, ...]:
    """1, 5, 10, 25, 50 and 100 %."""
    shares = [(weight, minutes) for weight in EXPONENTIAL_SHARES]
    return custom(flag_key, variant=variant, against=against, shares=shares, care=care)


def canary(
    flag_key: str,
    *,
    variant: str,
    against: str | None = None,
    weight: int = 5_000,
    minutes: int = 1_440,
    care: Care = _NO_CARE,
) -> tuple[Stage, ...]:
    """A small share for long, then everybody, who are watched for an hour at most."""
    shares = [(weight, minutes), (TOTAL_WEIGHT, min(minutes, 60))]
    return custom(flag_key, variant=variant, against=against, shares=shares, care=care)


def ring(
    flag_key: str,
    *,
    variant: str,
    against: str | None = None,
    segments: Sequence[str],
    minutes: int = 1_440,
    care: Care = _NO_CARE,
) -> tuple[Stage, ...]:
    """One segment after the other, then everybody. Nobody is drawn, so guards of the segments only advise."""
    stages = []
    for place, segment in enumerate(segments):
        patch = Patch(flag_key, enabled=None if place else True, variant=variant, against=against, segment=segment)
        gates = _gates(minutes, care, is_compared=True, is_before_last=place == len(segments) - 1)
        stages.append(Stage(segment, (patch,), gates))
    weight = TOTAL_WEIGHT - care.hold_back
    last = Patch(flag_key, enabled=None if segments else True, variant=variant, against=against, weight=weight)
    gates = _gates(minutes, care, is_compared=weight < TOTAL_WEIGHT, is_before_last=False)
    return (*stages, Stage("Everyone" if weight == TOTAL_WEIGHT else percent(weight), (last,), gates))


def blue_green(
    flag_key: str,
    *,
    variant: str | None = None,
    values_after: Mapping[str, Any] | None = None,
    minutes: int = 60,
) -> tuple[Stage, ...]:
    """One switch for everybody, to another variant or to new values, then a soak with the way back open."""
    weight = None if variant is None else TOTAL_WEIGHT
    patch = Patch(flag_key, enabled=True, variant=variant, weight=weight, values=values_after)
    return (Stage("Switch", (patch,), Gates(soak_minutes=minutes)),)


def _held_back(shares: Sequence[tuple[int, int]], highest: int) -> list[tuple[int, int]]:
    """The shares with none above the highest. Of several that would then follow each other alike, the last is left."""
    rows: list[tuple[int, int]] = []
    for weight, minutes in shares:
        capped = highest if highest < weight <= TOTAL_WEIGHT else weight
        if capped < weight and rows and rows[-1][0] == capped:
            rows.pop()
        rows.append((capped, minutes))
    return rows


def _gates(minutes: int, care: Care, *, is_compared: bool, is_before_last: bool) -> Gates:
    is_monitored = care.is_monitored and is_compared
    return Gates(
        soak_minutes=minutes,
        approvals=care.approvals if is_before_last else 0,
        minimum_sample=care.minimum_sample if is_compared else 0,
        is_monitored=is_monitored,
    )


_MINUTES = Parameter("minutes", "Minutes that each stage is served before the next one", "minutes", 60)

STRATEGIES: Mapping[Strategy, Shape] = {
    shape.strategy: shape
    for shape in (
        Shape(
            Strategy.LINEAR,
            "The share grows in equal steps until everybody has it.",
            "Take it for changes whose load grows with the people who get them.",
            (
                Parameter("steps", "Number of steps", "count", 5),
                _MINUTES,
                Parameter("start", "Share that has it already", "weight", 0),
                Parameter("to", "Share at the end", "weight", TOTAL_WEIGHT),
            ),
            linear,
        ),
        Shape(
            Strategy.EXPONENTIAL,
            "1 %, 5 %, 10 %, 25 %, 50 %, then everybody: few people meet a mistake, and the end comes soon.",
            "Take it where nothing speaks for another one.",
            (_MINUTES,),
            exponential,
        ),
        Shape(
            Strategy.CANARY,
            "A small share gets it and is watched for long, then everybody gets it at once.",
            "Take it where problems show slowly, and half a rollout would be worse than none.",
            (
                Parameter("weight", "Share that gets it first", "weight", 5_000),
                Parameter("minutes", "Minutes that this share is watched", "minutes", 1_440),
            ),
            canary,
        ),
        Shape(
            Strategy.RING,
            "One audience after the other: colleagues, beta customers, a region, then everybody.",
            "Take it where you can talk to those who get it first. Guards only advise here: nobody is drawn by lot.",
            (
                Parameter("segments", "Segments in the order in which they get it", "segments", ()),
                Parameter("minutes", "Minutes between one segment and the next", "minutes", 1_440),
            ),
            ring,
        ),
        Shape(
            Strategy.BLUE_GREEN,
            "Everybody is switched over at one moment, and can be switched back at one moment.",
            "Take it where both must never be served side by side.",
            (Parameter("minutes", "Minutes that the switch is watched", "minutes", 60),),
            blue_green,
        ),
        Shape(
            Strategy.CUSTOM,
            "Stages of your own.",
            "Take it where none of the others fits.",
            (Parameter("shares", "Share and minutes of each stage", "shares", ((10_000, 60), (TOTAL_WEIGHT, 60))),),
            custom,
        ),
    )
}
