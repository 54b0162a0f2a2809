"""What the editor of timelines offers to choose from, and what it begins with."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.utils import timezone

from flags import permissions
from flags.documents.schema import variant_names
from flags.errors import InvalidInput
from flags.lifecycle.shapes import shape_of
from flags.models import Environment, Flag, FlagConfig
from rollouts.admin.calendar_forms import zone_choices
from rollouts.admin.plans.typed import Typed
from rollouts.admin.timelines.posted import rows_of, rows_shown
from rollouts.admin.timelines.preview import Preview
from rollouts.deprecations.checking import year_problem
from rollouts.deprecations.definition import MilestoneKind
from rollouts.deprecations.schedules import fill
from rollouts.deprecations.templates import BUILT_IN, template_for
from rollouts.models import DeprecationTimeline
from rollouts.schedules.zones import UnusableSchedule, zone_of
from rollouts.selectors.timelines.beside import is_on_its_way, on_its_way_words, timelines_in
from rollouts.services.checks import checked_prose

_BEGINS_IN = timedelta(days=7)
_TUESDAY = 1


@dataclass(frozen=True, slots=True)
class Place:
    """An environment to choose. `standing` is the timeline that is there already, which takes it where `is_taken`."""

    environment: Environment
    is_ticked: bool
    is_taken: bool
    standing: DeprecationTimeline | None


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a timeline is written: its flag, where it can end, its variants, what may replace it, and the draft.

    `standing` are the other timelines of the flag that are not over, by environment.
    """

    flag: Flag
    configs: Sequence[FlagConfig]
    variants: Sequence[str]
    successors: Sequence[Flag]
    timeline: DeprecationTimeline | None = None
    allowed: Collection[uuid.UUID] = ()
    standing: Mapping[uuid.UUID, DeprecationTimeline] = field(default_factory=dict)

    @property
    def environments(self) -> list[Environment]:
        """Where the flag is set up and this person may plan its end."""
        return [config.environment for config in self.configs]

    def chosen(self, typed: Typed) -> list[Environment]:
        """The environments that are ticked; those of a draft stay."""
        if self.timeline is not None:
            return [self.timeline.environment]
        return [one for one in self.environments if typed.is_ticked(f"environment-{one.pk}")]

    def on_its_way(self, environment: Environment) -> DeprecationTimeline | None:
        """The timeline that ends the flag in an environment already."""
        found = self.standing.get(environment.pk)
        return found if found is not None and is_on_its_way(found) else None

    def places(self, typed: Typed) -> list[Place]:
        """The environments as the form offers them."""
        return [self._place(one, typed) for one in self.environments]

    def _place(self, environment: Environment, typed: Typed) -> Place:
        is_taken, standing = self.on_its_way(environment) is not None, self.standing.get(environment.pk)
        is_ticked = typed.is_ticked(f"environment-{environment.pk}") and not is_taken
        return Place(environment, is_ticked, is_taken, standing)


def desk_of(flag: Flag, user: AbstractUser, timeline: DeprecationTimeline | None = None) -> Desk:
    """What there is to choose from for a flag: four queries."""
    allowed = permissions.environments_with(user, permissions.PROPOSE)
    rows = FlagConfig.objects.filter(flag=flag, environment__in=allowed).select_related("environment__project")
    configs = list(rows.order_by("-environment__position", "environment__name"))
    names = list(dict.fromkeys(name for config in configs for name in variant_names(config.document)))
    others = Flag.objects.filter(project=flag.project_id, value_type=flag.value_type, archived_at=None)
    successors = list(others.exclude(pk=flag.pk).order_by("name"))
    standing = timelines_in(flag.pk, [config.environment_id for config in configs], beside=timeline)
    return Desk(flag, configs, names, successors, timeline, allowed, standing)


def first_fields(desk: Desk) -> dict[str, str]:
    """What a new timeline begins with: wherever there is none, by the template of the flag's kind, a week from now."""
    template, zone = template_for(desk.flag.kind), timezone.get_current_timezone_name()
    fields = {f"environment-{one.pk}": "1" for one in desk.environments if one.pk not in desk.standing}
    begins = usual_start().isoformat()
    return filled({**fields, "template": template.key, "starts_on": begins, "zone": zone, "final": _final(desk)}, desk)


def filled(fields: dict[str, str], desk: Desk) -> dict[str, str]:
    """The fields with the milestones of the chosen template, announced on the chosen day."""
    if fill_problem(fields):
        return fields
    template = next((one for one in BUILT_IN if one.key == fields.get("template")), template_for(desk.flag.kind))
    zone, starts_on = fields.get("zone", "").strip() or "UTC", date.fromisoformat(fields["starts_on"].strip())
    definition = fill(template, flag_key=desk.flag.key, starts_on=starts_on, zone=zone)
    kept = {name: value for name, value in fields.items() if not name.startswith("row-")}
    return {**kept, **rows_of(definition.milestones, zone)}


def fill_problem(fields: Mapping[str, str]) -> str:
    """Why dates cannot be set from the chosen day; empty where they can."""
    try:
        starts_on = date.fromisoformat(fields.get("starts_on", "").strip())
        zone_of(fields.get("zone", "").strip() or "UTC")
    except ValueError:
        return "Choose the day on which it is announced."
    except UnusableSchedule as error:
        return str(error)
    return year_problem(datetime.combine(starts_on, time.min))


def say_what_is_known(typed: Typed, desk: Desk, *, to_propose: bool) -> None:
    """Mark what would be refused later: an environment where no timeline can go, and a reason that cannot be kept."""
    chosen = desk.chosen(typed)
    taken = [other for one in chosen if (other := desk.on_its_way(one)) is not None]
    if not chosen:
        typed.problems["environments"] = "Choose at least one environment."
    elif taken and (to_propose or desk.timeline is None):
        typed.problems["environments"] = " ".join(on_its_way_words(other) for other in taken)
    is_asked = to_propose and any(one.is_protected for one in chosen)
    if is_asked and not typed.text("reason"):
        typed.problems["reason"] = "Say why it ends: nobody can approve it without a reason."
        return
    try:
        checked_prose(typed.fields.get("reason", ""), field="reason")
    except InvalidInput as error:
        typed.problems["reason"] = error.message


def form_context(typed: Typed, desk: Desk, preview: Preview) -> dict[str, Any]:
    """What the template of the editor shows."""
    said = list(preview.problems)
    for path, message in said:
        typed.problems.setdefault(field_of(path), message)
    successor = next((one for one in desk.successors if one.key == typed.text("successor")), None)
    return {
        "fields": typed.fields,
        "problems": typed.problems,
        "rows": rows_shown(typed, preview.warnings),
        "kinds": [(kind.value, kind.label) for kind in MilestoneKind],
        "templates": BUILT_IN,
        "zones": zone_choices(typed.text("zone") or "UTC"),
        "places": desk.places(typed),
        "variants": desk.variants,
        "successors": desk.successors,
        "mapping": _mapping(typed, desk, successor) if successor else [],
        "their_variants": _variants_of(desk, successor) if successor else [],
    }


def _mapping(typed: Typed, desk: Desk, successor: Flag) -> list[tuple[str, str]]:
    """Each variant with what stands for it: what was chosen, else the one of the same name."""
    theirs = _variants_of(desk, successor)
    return [(name, typed.text(f"map-{name}") or (name if name in theirs else "")) for name in desk.variants]


def _variants_of(desk: Desk, flag: Flag) -> list[str]:
    """The variants of a flag in the environments where this person plans ends."""
    rows = FlagConfig.objects.filter(flag=flag, environment__in=desk.allowed)
    documents = rows.values_list("document", flat=True)
    return list(dict.fromkeys(name for document in documents for name in variant_names(document)))


def field_of(path: str) -> str:
    """The field of the form that a path of a definition is about."""
    parts = path.split(".")
    if parts[0] == "milestones" and len(parts) > 2:
        name = {"residual_at_most": "residual", "residual_days": "days", "weight": "share"}.get(parts[-1], parts[-1])
        return f"row-{parts[1]}-{name}"
    if parts[0] == "mapping" and len(parts) > 1:
        return f"map-{parts[1]}"
    return {"final_variant": "final"}.get(parts[0], parts[0])


def _final(desk: Desk) -> str:
    """What everybody gets already in the first environment, the one that matters most; else the code default."""
    shape = shape_of(desk.configs[0].document, timezone.now()) if desk.configs else None
    return (next(iter(shape.outcomes)) or "") if shape is not None and shape.is_for_all else ""


def usual_start() -> date:
    """The first Tuesday that is at least a week away: templates go in whole weeks, so all of it is on Tuesdays."""
    earliest = timezone.localdate() + _BEGINS_IN
    return earliest + timedelta(days=(_TUESDAY - earliest.weekday()) % 7)
