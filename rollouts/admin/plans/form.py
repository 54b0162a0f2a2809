"""The editor's form put together for its template: every field with what was typed and what is wrong with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flags.models import Environment, Flag, Segment
from rollouts.admin.plans.posted import spec_of
from rollouts.admin.plans.shapes import SWITCH, cards, chosen_strategy, switches_values
from rollouts.admin.plans.stage_rows import CHECK_FIELDS, CHECK_PLACES, VALUES
from rollouts.admin.plans.typed import UNITS, Typed
from rollouts.admin.plans.values import FlagValues, Known, ValueField, value_fields
from rollouts.models import GuardMetric
from rollouts.plans.checking import OPERATORS
from rollouts.plans.definition import GuardAction, PlanDefinition
from rollouts.selectors.plans.ground import base_of

_ACTIONS = (
    (GuardAction.ROLL_BACK, "Roll back at once"),
    (GuardAction.PAUSE, "Pause and ask a person"),
    (GuardAction.HOLD, "Hold until it is better"),
    (GuardAction.WARN, "Only warn"),
)


@dataclass(frozen=True, slots=True)
class FlagRow:
    """One flag of the plan with its two variants."""

    number: int
    key: str
    variant: str
    against: str
    variants: Sequence[str]
    problems: Mapping[str, str]
    values: FlagValues | None = None


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One outside check of a stage; `name` begins the names of its fields."""

    name: str
    fields: Mapping[str, str]
    problem: str


@dataclass(frozen=True, slots=True)
class StageRow:
    """One stage written by hand. `fields` by their short names."""

    number: int
    fields: Mapping[str, str]
    problems: Mapping[str, str]
    said: Sequence[str]
    values: Sequence[ValueField]
    checks: Sequence[CheckRow]

    @property
    def may_have_more_checks(self) -> bool:
        """Whether another outside check can be added."""
        return bool(self.checks[-1].fields["kind"]) and len(self.checks) < len(CHECK_PLACES)


@dataclass(frozen=True, slots=True)
class GuardRow:
    """One metric of the catalogue."""

    key: str
    name: str
    description: str
    sentence: str
    is_chosen: bool
    breach: str
    watches: str
    problem: str


def form_context(
    typed: Typed,
    environment: Environment,
    flags: Sequence[Flag],
    metrics: Sequence[GuardMetric],
    stored: PlanDefinition | None,
    said: Sequence[tuple[str, str]] = (),
) -> dict[str, Any]:
    """Everything that the form shows: three queries. `said` are problems of a service by their paths."""
    strategy = chosen_strategy(typed)
    rows = flag_rows(typed, environment, flags)
    known = known_values(rows)
    return {
        "fields": typed.fields,
        "flag_rows": rows,
        "flag_choices": [(flag.key, f"{flag.name} ({flag.key})") for flag in flags],
        "cards": cards(typed, strategy),
        "stage_rows": [_stage_row(typed, number, said, known) for number in range(typed.count("rows"))],
        "switch_values": value_fields(typed, SWITCH, known) if switches_values(typed) else [],
        "switch_problem": typed.problems.get(f"{SWITCH}-values", ""),
        "segments": list(Segment.objects.filter(environment=environment).order_by("key").values_list("key", flat=True)),
        "units": list(UNITS),
        "operators": OPERATORS,
        "guard_rows": _guard_rows(typed, metrics, rows, stored),
        "actions": _ACTIONS,
        "watched": list(dict.fromkeys(row.key for row in rows if row.key)),
        "problems": typed.problems,
    }


def flag_rows(typed: Typed, environment: Environment, flags: Sequence[Flag]) -> list[FlagRow]:
    """The chosen flags with their variants; where none is chosen yet, what is usual is proposed."""
    total = typed.count("flags", 1)
    keys = [typed.text(f"flag-{number}") for number in range(total)]
    by_key = {flag.key: flag for flag in flags if flag.key in keys}
    base = base_of(environment, list(by_key.values()))
    found = []
    for number, key in enumerate(keys):
        document = base[key]["document"] if key in base else None
        names = [variant["name"] for variant in document["variants"]] if document else []
        variant, against = typed.text(f"variant-{number}"), typed.text(f"against-{number}")
        if document and variant not in names:
            variant, against = usual_arms(document)
            typed.fields |= {f"variant-{number}": variant, f"against-{number}": against}
        problems = {name: typed.problems.get(f"{name}-{number}", "") for name in ("flag", "variant", "against")}
        flag = by_key.get(key)
        values = FlagValues.of(flag, document) if flag and document else None
        found.append(FlagRow(number, key, variant, against, names, problems, values))
    return found


def known_values(rows: Sequence[FlagRow]) -> Known:
    """What the variants of the chosen flags are worth now, by flag."""
    return {row.key: row.values for row in rows if row.values is not None}


def usual_arms(document: Mapping[str, Any]) -> tuple[str, str]:
    """What most people roll out: the first variant that is not what everybody gets now."""
    names = [variant["name"] for variant in document["variants"]]
    against = document.get("default_variant") or document.get("off_variant") or names[-1]
    truths = [variant["name"] for variant in document["variants"] if variant["value"] is True]
    growing = next((name for name in [*truths, *names] if name != against), names[0])
    if growing == names[0] and against == growing:
        against = names[-1]
    return growing, against


def _stage_row(typed: Typed, number: int, said: Sequence[tuple[str, str]], known: Known) -> StageRow:
    short = ("name", "from", "kind", "share", "segment", "soak", "soak-unit", "approvals", "sample", "monitored")
    names = [*short, "not-before", "values"]
    prefix = f"row-{number}-"
    mine = [text for path, text in said if path.startswith(f"stages.{number}.") or path == f"stages.{number}"]
    return StageRow(
        number,
        {name.replace("-", "_"): typed.text(f"{prefix}{name}") for name in names},
        {name.replace("-", "_"): typed.problems.get(f"{prefix}{name}", "") for name in names},
        mine,
        value_fields(typed, f"row-{number}", known) if typed.text(f"{prefix}kind") == VALUES else (),
        _check_rows(typed, prefix),
    )


def _check_rows(typed: Typed, prefix: str) -> list[CheckRow]:
    """The outside checks that are there, with an empty one where there is none or another one is wanted."""
    rows = [
        CheckRow(
            f"{prefix}{place}",
            {name: typed.text(f"{prefix}{place}-{name}") for name in CHECK_FIELDS},
            typed.problems.get(f"{prefix}{place}-threshold", ""),
        )
        for place in CHECK_PLACES
    ]
    given = [row for row in rows if row.fields["kind"]]
    is_wanted = typed.text("do") == f"add_check-{prefix.removeprefix('row-').removesuffix('-')}"
    empty = [row for row in rows if not row.fields["kind"]]
    return given + empty[:1] if not given or is_wanted else given


def _guard_rows(
    typed: Typed, metrics: Sequence[GuardMetric], rows: Sequence[FlagRow], stored: PlanDefinition | None
) -> list[GuardRow]:
    first = rows[0]
    found = []
    for metric in metrics:
        spec = spec_of(metric, (first.key or "a flag", first.variant or "new", first.against or "old"))
        usual = spec.on_breach.value if spec else GuardAction.ROLL_BACK.value
        found.append(_guard_row(typed, metric.key, metric.name, metric.description, _watch_words(spec), usual))
    known = {metric.key for metric in metrics}
    for guard in stored.guards if stored else ():
        if guard.metric not in known:
            words = "The plan has it with its own numbers; the catalogue offers it no more."
            found.append(_guard_row(typed, guard.metric, guard.name, "", words, guard.on_breach.value))
    return found


def _guard_row(typed: Typed, key: str, name: str, description: str, sentence: str, usual: str) -> GuardRow:
    return GuardRow(
        key=key,
        name=name,
        description=description,
        sentence=sentence,
        is_chosen=typed.is_ticked(f"guard-{key}"),
        breach=typed.text(f"breach-{key}") or usual,
        watches=typed.text(f"watch-{key}"),
        problem=typed.problems.get(f"guard-{key}", ""),
    )


def _watch_words(spec: Any) -> str:
    if spec is None:
        return "Its numbers in the catalogue cannot be used as they are."
    kind = "Stops the rollout when it is worse" if spec.is_guardrail else "Only a signal: holds when it is worse"
    safe = f"safe once x{spec.tolerable:g} is ruled out, from {spec.minimum_sample:,} people with each variant on"
    return f"{kind} than x{1 + spec.margin:g}; {safe}."
