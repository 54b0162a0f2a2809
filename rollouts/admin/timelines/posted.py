"""From the fields of the editor to a timeline, and from a timeline to the fields that show it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rollouts.admin.plans.typed import MOST_ROWS, Typed, percent_text
from rollouts.deprecations.checking import year_problem
from rollouts.deprecations.definition import Milestone, MilestoneGates, MilestoneKind, TimelineDefinition
from rollouts.schedules.zones import UnusableSchedule, instant_in, zone_of

CODE_DEFAULT = ""
ROW_FIELDS = ("kind", "at", "minutes", "share", "residual", "days", "approvals")
_KINDS = {kind.value for kind in MilestoneKind}
_USUAL_DAYS = 14
_USUAL_MINUTES = 10


@dataclass(frozen=True, slots=True)
class RowShown:
    """One row of the table of milestones, with what is wrong with it by field."""

    number: int
    fields: Mapping[str, str]
    problems: Mapping[str, str]
    warnings: Sequence[str] = ()

    @property
    def kind(self) -> str:
        """The kind of the milestone."""
        return self.fields.get("kind", "")


def definition_from(typed: Typed, flag_key: str, variants: Sequence[str]) -> TimelineDefinition | None:
    """What the fields say; None where something cannot be read, which `typed.problems` names."""
    zone, milestones = typed.text("zone") or "UTC", []
    try:
        zone_of(zone)
    except UnusableSchedule as error:
        typed.problems["zone"] = str(error)
        return None
    for number in range(typed.count("rows")):
        milestone = _milestone(typed, f"row-{number}", zone)
        if milestone is not None:
            milestones.append(milestone)
    if typed.problems or not milestones:
        return None
    successor = typed.text("successor")
    mapping = {name: typed.text(f"map-{name}") for name in variants if typed.text(f"map-{name}")} if successor else {}
    return TimelineDefinition(
        flag_key,
        tuple(milestones),
        typed.text("final") or None,
        successor,
        mapping,
        typed.text("link"),
        zone,
    )


def fields_of(definition: TimelineDefinition) -> dict[str, str]:
    """The fields that show a timeline."""
    fields = {
        "final": definition.final_variant or CODE_DEFAULT,
        "successor": definition.successor,
        "link": definition.link,
        "zone": definition.zone,
        **{f"map-{old}": new for old, new in definition.mapping.items()},
    }
    return {**fields, **rows_of(definition.milestones, definition.zone)}


def rows_of(milestones: Sequence[Milestone], zone: str) -> dict[str, str]:
    """The fields that show milestones as rows."""
    fields = {"rows": str(len(milestones))}
    for number, milestone in enumerate(milestones):
        gates, prefix = milestone.gates, f"row-{number}"
        asks = gates.residual_at_most is not None
        fields |= {
            f"{prefix}-kind": milestone.kind.value,
            f"{prefix}-at": milestone.at.astimezone(zone_of(zone)).strftime("%Y-%m-%dT%H:%M"),
            f"{prefix}-minutes": str(milestone.minutes or ""),
            f"{prefix}-share": percent_text(milestone.weight) if milestone.weight else "",
            f"{prefix}-residual": str(gates.residual_at_most) if asks else "",
            f"{prefix}-days": str(gates.residual_days) if asks else "",
            f"{prefix}-approvals": str(gates.approvals or ""),
            f"{prefix}-rest": str(gates.not_before_rest_minutes or ""),
        }
    return fields


def rows_shown(typed: Typed, warnings: Mapping[int, Sequence[str]]) -> list[RowShown]:
    """The rows as they were typed."""
    shown = []
    for number in range(typed.count("rows")):
        prefix = f"row-{number}-"
        fields = {name: typed.fields.get(f"{prefix}{name}", "") for name in (*ROW_FIELDS, "rest")}
        problems = {name.removeprefix(prefix): text for name, text in typed.problems.items() if name.startswith(prefix)}
        shown.append(RowShown(number, fields, problems, warnings.get(number, ())))
    return shown


def with_row(fields: Mapping[str, str], kind: MilestoneKind) -> dict[str, str]:
    """The fields with one more brownout or ramp-down, before the sunset and on the day of the one before it."""
    total = Typed(fields).count("rows")
    if total == MOST_ROWS:
        return dict(fields)
    kinds = [fields.get(f"row-{number}-kind") for number in range(total)]
    later = [MilestoneKind.SUNSET.value, MilestoneKind.ARCHIVE.value]
    if kind is MilestoneKind.BROWNOUT:
        later.append(MilestoneKind.RAMP_DOWN.value)
    place = next((number for number, one in enumerate(kinds) if one in later), total)
    known = {str(number) for number in range(total)}
    moved = {name: value for name, value in fields.items() if not name.startswith("row-")}
    for name, value in fields.items():
        if name.startswith("row-"):
            number, _, rest = name.removeprefix("row-").partition("-")
            if number in known:
                moved[f"row-{int(number) + (int(number) >= place)}-{rest}"] = value
    amount = {"minutes": str(_USUAL_MINUTES)} if kind is MilestoneKind.BROWNOUT else {"share": "25"}
    made = {"kind": kind.value, "at": fields.get(f"row-{place - 1}-at", ""), **amount}
    return {**moved, **{f"row-{place}-{name}": value for name, value in made.items()}, "rows": str(total + 1)}


def _milestone(typed: Typed, prefix: str, zone: str) -> Milestone | None:
    kind = typed.text(f"{prefix}-kind")
    if kind not in _KINDS:
        typed.problems[f"{prefix}-kind"] = "Choose what happens at this milestone."
        return None
    at = _instant(typed, f"{prefix}-at", zone)
    minutes = typed.number(f"{prefix}-minutes", "the minutes") if kind == MilestoneKind.BROWNOUT else 0
    weight = typed.share(f"{prefix}-share", "the share") if kind == MilestoneKind.RAMP_DOWN else 0
    asks = bool(typed.text(f"{prefix}-residual"))
    gates = MilestoneGates(
        residual_days=typed.number(f"{prefix}-days", "the days", default=_USUAL_DAYS) if asks else 0,
        residual_at_most=typed.number(f"{prefix}-residual", "the evaluations that may be left") if asks else None,
        approvals=typed.number(f"{prefix}-approvals", "the approvals"),
        not_before_rest_minutes=typed.number(f"{prefix}-rest", "the rest"),
    )
    return Milestone(MilestoneKind(kind), at, minutes, weight, gates) if at else None


def _instant(typed: Typed, name: str, zone: str) -> datetime | None:
    try:
        wall = datetime.strptime(typed.text(name), "%Y-%m-%dT%H:%M")  # noqa: DTZ007 - wall time of the timeline's zone
    except ValueError:
        typed.problems[name] = "Give the date and the time of this milestone."
        return None
    if problem := year_problem(wall):
        typed.problems[name] = problem
        return None
    return instant_in(zone_of(zone), wall)
