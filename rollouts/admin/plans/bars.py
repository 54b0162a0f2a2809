"""The picture of a plan: one column per stage, as high as its share, in the past, now or still to come."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from flags.documents.words import percent
from rollouts.models import PlanStep, RolloutPlan
from rollouts.plans.definition import TOTAL_WEIGHT, PlanDefinition, Stage
from rollouts.plans.transitions import PlanAct, PlanState

HEIGHT = 100
# A column so low that nobody saw it would be read as nothing.
LOWEST = 7
GROUP_HEIGHT = 30
_MEMBERS = "members of "
SYMBOLS = {
    "done": "check_circle",
    "good": "verified",
    "now": "radio_button_checked",
    "held": "pan_tool",
    "bad": "cancel",
    "next": "radio_button_unchecked",
    "never": "remove",
}
LOOK_WORDS = {
    "done": "done",
    "good": "found good",
    "now": "now",
    "held": "held here",
    "bad": "rolled back",
    "next": "to come",
    "never": "not reached",
}
_WAYS = frozenset({PlanAct.START, PlanAct.ADVANCE, PlanAct.SKIP, PlanAct.JUMP_BACK, PlanAct.ROLL_BACK, PlanAct.RESUME})


@dataclass(frozen=True, slots=True)
class Column:
    """One stage in the picture. `look` is a key of LOOK_WORDS; `at` is when it was entered or, ahead, may be."""

    number: int
    name: str
    share: str
    weight: int
    look: str
    at: datetime | None = None
    waits_for: str = ""
    is_here: bool = False

    @property
    def is_group(self) -> bool:
        """Whether it is about named people, so that its height means nothing."""
        return self.weight == 0 and self.share.startswith(_MEMBERS)

    @property
    def height(self) -> int:
        """How high it is drawn, of HEIGHT."""
        if self.is_group:
            return GROUP_HEIGHT
        return 0 if self.weight == 0 else max(LOWEST, round(self.weight * HEIGHT / TOTAL_WEIGHT))

    @property
    def top(self) -> int:
        """Where its upper edge is."""
        return HEIGHT - self.height

    @property
    def symbol(self) -> str:
        """The symbol of its look."""
        return SYMBOLS[self.look]

    @property
    def words(self) -> str:
        """Its look in words."""
        return LOOK_WORDS[self.look]

    @property
    def is_ahead(self) -> bool:
        """Whether its instant is an expectation."""
        return self.look == "next"


def columns_of(
    plan: RolloutPlan,
    definition: PlanDefinition,
    *,
    steps: Sequence[PlanStep] = (),
    expected: Mapping[int, tuple[datetime | None, str]] | None = None,
) -> list[Column]:
    """Every stage of a plan. `expected` says for stages ahead from when, and what they wait for besides time."""
    entered, broken = entries(steps), broken_stage(plan, steps)
    shares = stage_shares(definition.stages)
    columns = []
    for number, (stage, (weight, words)) in enumerate(zip(definition.stages, shares, strict=True), start=1):
        look = _look(plan, number, broken)
        at, waits_for = (expected or {}).get(number, (None, "")) if look == "next" else (entered.get(number), "")
        is_here = number == plan.stage
        columns.append(Column(number, stage.name, words, weight, look, at, waits_for, is_here))
    return columns


def stage_shares(stages: Iterable[Stage]) -> list[tuple[int, str]]:
    """For each stage the weight that its first flag's growing variant has by then, and the share in words."""
    weight, found = 0, []
    for stage in stages:
        first = stage.patches[0].flag_key if stage.patches else ""
        own = [patch for patch in stage.patches if patch.flag_key == first]
        words = ""
        for patch in own:
            if patch.weight is not None:
                weight, words = patch.weight, percent(patch.weight)
            elif patch.segment is not None:
                words = f"{_MEMBERS}{patch.segment}"
            elif patch.values is not None or patch.default_variant is not None:
                weight, words = TOTAL_WEIGHT, "everyone"
            elif patch.enabled is not None:
                words = "switched on" if patch.enabled else "switched off"
        found.append((weight, words or percent(weight)))
    return found


def entries(steps: Iterable[PlanStep]) -> dict[int, datetime]:
    """When each stage was last entered; where several were passed at once they share the instant."""
    found: dict[int, datetime] = {}
    for step in steps:
        if step.act not in _WAYS or step.from_stage == step.to_stage:
            continue
        if step.to_stage > step.from_stage:
            found.update(dict.fromkeys(range(step.from_stage + 1, step.to_stage + 1), step.at))
        else:
            found.setdefault(step.to_stage, step.at)
    return found


def broken_stage(plan: RolloutPlan, steps: Iterable[PlanStep]) -> int:
    """The stage that a plan was rolled back from, 0 where it was not or has gone on since."""
    if plan.current_state is not PlanState.ROLLED_BACK:
        return 0
    return max((step.from_stage for step in steps if step.act == PlanAct.ROLL_BACK), default=0)


def _look(plan: RolloutPlan, number: int, broken: int) -> str:
    state = plan.current_state
    if state is PlanState.COMPLETED:
        return "good" if number <= plan.good_stage else "done"
    if number < plan.stage:
        return "good" if number <= plan.good_stage else "done"
    if number == plan.stage and plan.stage:
        return _look_here(plan)
    if broken and number <= broken:
        return "bad"
    return "never" if state in {PlanState.ABORTED, PlanState.ROLLED_BACK} else "next"


def _look_here(plan: RolloutPlan) -> str:
    if plan.current_state is PlanState.ABORTED:
        return "done"
    is_held = plan.is_blocked or plan.current_state in {PlanState.PAUSED, PlanState.ROLLED_BACK}
    return "held" if is_held else "now"
