"""The strategies as cards with a tiny picture, their parameters as fields, and the stages they come to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rollouts.admin.plans.typed import Typed, duration_fields, percent_text
from rollouts.admin.plans.values import Known, value_patches
from rollouts.plans.definition import Stage, Strategy
from rollouts.plans.strategies import STRATEGIES, Care, Parameter, blue_green

MOST_SEGMENTS = 8
# Where the fields of a switch to new values begin.
SWITCH = Strategy.BLUE_GREEN.value
# Heights of the bars in the picture of each strategy, of 40.
_PICTURES: Mapping[Strategy, Sequence[int]] = {
    Strategy.LINEAR: (8, 16, 24, 32, 40),
    Strategy.EXPONENTIAL: (3, 5, 8, 14, 24, 40),
    Strategy.CANARY: (5, 5, 5, 40, 40),
    Strategy.RING: (8, 14, 24, 40),
    Strategy.BLUE_GREEN: (0, 0, 40, 40),
    Strategy.CUSTOM: (10, 10, 26, 18, 40),
}
ORDER = (
    Strategy.EXPONENTIAL,
    Strategy.LINEAR,
    Strategy.CANARY,
    Strategy.RING,
    Strategy.BLUE_GREEN,
    Strategy.CUSTOM,
)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a tiny picture."""

    x: float
    y: int
    width: float
    height: int


@dataclass(frozen=True, slots=True)
class Field:
    """One parameter as the form shows it. `unit` decides the widget."""

    name: str
    label: str
    unit: str
    value: str
    chosen_unit: str
    problem: str
    values: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Card:
    """One strategy to choose."""

    key: str
    name: str
    sentence: str
    advice: str
    bars: Sequence[Bar]
    is_chosen: bool
    fields: Sequence[Field]


def cards(typed: Typed, chosen: Strategy) -> list[Card]:
    """Every strategy with its parameters as they stand in the form."""
    return [
        Card(
            key=strategy.value,
            name="Own stages" if strategy is Strategy.CUSTOM else strategy.label,
            sentence=STRATEGIES[strategy].sentence,
            advice=STRATEGIES[strategy].advice,
            bars=_bars(_PICTURES[strategy]),
            is_chosen=strategy is chosen,
            fields=[_field(typed, strategy, one) for one in _asked(strategy)],
        )
        for strategy in ORDER
    ]


def usual_fields() -> dict[str, str]:
    """The fields of a new plan: what is usual for every strategy."""
    fields = {"strategy": Strategy.EXPONENTIAL.value, "extends_once": "1", "rollback_to": "last_good"}
    for strategy in ORDER:
        for one in _asked(strategy):
            name = f"{strategy.value}-{one.name}"
            if one.unit == "minutes":
                fields |= duration_fields(name, one.default)
            elif one.unit == "weight":
                fields[name] = percent_text(one.default)
            elif one.unit == "count":
                fields[name] = str(one.default)
    return fields


def chosen_strategy(typed: Typed) -> Strategy:
    """The strategy that is ticked."""
    found = typed.text("strategy")
    return Strategy(found) if found in set(Strategy) else Strategy.EXPONENTIAL


def switches_values(typed: Typed) -> bool:
    """Whether the switch of blue-green is to new values, not to another variant."""
    return typed.text(f"{SWITCH}-switch") == "values"


def shaped_stages(
    typed: Typed, strategy: Strategy, arms: Sequence[tuple[str, str, str]], known: Known | None = None
) -> tuple[Stage, ...]:
    """The stages of a strategy for all flags: each stage patches every flag by the same share.

    `known` are the present values of the flags, for a switch to new ones.
    """
    if strategy is Strategy.BLUE_GREEN and switches_values(typed):
        return _new_values(typed, [key for key, _, _ in arms], known or {})
    care = Care(
        is_monitored=typed.is_ticked("care-monitored"),
        minimum_sample=typed.number("care-sample", "the number of people"),
        approvals=typed.number("care-approvals", "the number of approvals"),
        hold_back=typed.share("care-hold-back", "the share that stays without it"),
    )
    values = {one.name: _value(typed, strategy, one) for one in _asked(strategy)}
    if strategy is Strategy.RING and not values["segments"]:
        typed.problems["ring-segments-0"] = "Choose at least one segment."
    if strategy is Strategy.LINEAR and not 1 <= values["steps"] <= 30:
        typed.problems["linear-steps"] = "Choose 1 to 30 steps."
        values["steps"] = 5
    more: dict[str, Any] = {} if strategy is Strategy.BLUE_GREEN else {"care": care}
    made = []
    for key, variant, against in arms:
        other = {} if strategy is Strategy.BLUE_GREEN else {"against": against or None}
        made.append(STRATEGIES[strategy].stages(key, variant=variant, **other, **values, **more))
    return _together(made)


def _new_values(typed: Typed, keys: Sequence[str], known: Known) -> tuple[Stage, ...]:
    """One switch of every flag to the values that were typed."""
    patches = value_patches(typed, SWITCH, keys, known, enabled=True, needs_each=True)
    (stage,) = blue_green("", minutes=typed.minutes(f"{SWITCH}-minutes", "the time"))
    return (replace(stage, patches=patches),)


def _together(by_flag: Sequence[tuple[Stage, ...]]) -> tuple[Stage, ...]:
    return tuple(
        replace(parts[0], patches=tuple(patch for part in parts for patch in part.patches))
        for parts in zip(*by_flag, strict=True)
    )


def _asked(strategy: Strategy) -> tuple[Parameter, ...]:
    """The parameters that the form asks for; own stages are rows of their own."""
    return () if strategy is Strategy.CUSTOM else STRATEGIES[strategy].parameters


def _field(typed: Typed, strategy: Strategy, one: Parameter) -> Field:
    name = f"{strategy.value}-{one.name}"
    values = [typed.text(f"{name}-{number}") for number in range(MOST_SEGMENTS)] if one.unit == "segments" else []
    shown = max([place for place, value in enumerate(values) if value], default=-1) + 2
    problem = typed.problems.get(name, "") or typed.problems.get(f"{name}-0", "")
    # A unit has a field of its own, so it is not said twice.
    label = one.label.replace("Minutes that", "How long").replace("Minutes between", "Time between")
    return Field(name, label, one.unit, typed.text(name), typed.text(f"{name}-unit"), problem, values[: max(3, shown)])


def _value(typed: Typed, strategy: Strategy, one: Parameter) -> Any:
    name = f"{strategy.value}-{one.name}"
    if one.unit == "minutes":
        return typed.minutes(name, "the time")
    if one.unit == "weight":
        return typed.share(name, "the share")
    if one.unit == "segments":
        found = [typed.text(f"{name}-{number}") for number in range(MOST_SEGMENTS)]
        return [segment for segment in dict.fromkeys(found) if segment]
    return typed.number(name, "the number", default=one.default)


def _bars(heights: Sequence[int]) -> list[Bar]:
    width = 100 / len(heights)
    return [
        Bar(round(place * width + 1, 1), 44 - max(2, height), round(width - 2, 1), max(2, height))
        for place, height in enumerate(heights)
    ]
