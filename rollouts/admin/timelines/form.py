"""What the editor of timelines offers to choose from, and what it begins with."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.utils import timezone

from flags import permissions
from flags.documents.schema import variant_names
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

_BEGINS_IN = timedelta(days=7)
_TUESDAY = 1


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a timeline is written: its flag, where it can end, its variants, what may replace it, and the draft."""

    flag: Flag
    configs: Sequence[FlagConfig]
    variants: Sequence[str]
    successors: Sequence[Flag]
    timeline: DeprecationTimeline | None = None
    allowed: Collection[uuid.UUID] = ()

    @property
    def environments(self) -> list[Environment]:
        """Where the flag is set up and this person may plan its end."""
        return [config.environment for config in self.configs]

    def chosen(self, typed: Typed) -> list[Environment]:
        """The environments that are ticked; those of a draft stay."""
        if self.timeline is not None:
            return [self.timeline.environment]
        return [one for one in self.environments if typed.is_ticked(f"environment-{one.pk}")]


def desk_of(flag: Flag, user: AbstractUser, timeline: DeprecationTimeline | None = None) -> Desk:
    """What there is to choose from for a flag: three queries."""
    allowed = permissions.environments_with(user, permissions.PROPOSE)
    rows = FlagConfig.objects.filter(flag=flag, environment__in=allowed).select_related("environment__project")
    configs = list(rows.order_by("-environment__position", "environment__name"))
    names = list(dict.fromkeys(name for config in configs for name in variant_names(config.document)))
    others = Flag.objects.filter(project=flag.project_id, value_type=flag.value_type, archived_at=None)
    return Desk(flag, configs, names, list(others.exclude(pk=flag.pk).order_by("name")), timeline, allowed)


def first_fields(desk: Desk) -> dict[str, str]:
    """What a new timeline begins with: everywhere, by the template of the flag's kind, a week from now."""
    template, zone = template_for(desk.flag.kind), timezone.get_current_timezone_name()
    fields = {f"environment-{one.pk}": "1" for one in desk.environments}
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


def form_context(typed: Typed, desk: Desk, preview: Preview) -> dict[str, Any]:
    """What the template of the editor shows."""
    said = list(preview.problems)
    for path, message in said:
        typed.problems.setdefault(_field_of(path), message)
    successor = next((one for one in desk.successors if one.key == typed.text("successor")), None)
    return {
        "fields": typed.fields,
        "problems": typed.problems,
        "rows": rows_shown(typed, preview.warnings),
        "kinds": [(kind.value, kind.label) for kind in MilestoneKind],
        "templates": BUILT_IN,
        "zones": zone_choices(typed.text("zone") or "UTC"),
        "places": [(one, typed.is_ticked(f"environment-{one.pk}")) for one in desk.environments],
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


def _field_of(path: str) -> str:
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
