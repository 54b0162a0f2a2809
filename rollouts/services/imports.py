"""Flags from elsewhere as one change request: missing flags are created switched off, what they serve is proposed."""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from audits.context import Actor
from flags import permissions
from flags.changes import ChangeSet, ConfigEdit, diff_configs
from flags.errors import InvalidInput
from flags.evaluation import Generation
from flags.interop import ImportedFlag, ImportReport, read_definition
from flags.models import Environment, Flag, FlagConfig
from flags.services.attempts import attempt
from flags.services.flags import create_flag
from rollouts.models import ChangeRequest
from rollouts.services.checks import MOST_EDITS
from rollouts.services.drafting import create_change_request

KIND = "release"


@dataclass(frozen=True, slots=True)
class PlannedFlag:
    """One flag of a definition against what an environment serves now."""

    imported: ImportedFlag
    is_new: bool
    is_changed: bool

    @property
    def is_proposable(self) -> bool:
        """Whether taking it over would change anything."""
        return self.imported.document is not None and self.is_changed


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What importing a definition into an environment would do."""

    environment: Environment
    report: ImportReport
    flags: tuple[PlannedFlag, ...]

    @property
    def proposable(self) -> tuple[PlannedFlag, ...]:
        """The flags that a change request could hold."""
        return tuple(flag for flag in self.flags if flag.is_proposable)


def plan_import(environment: Environment, definition: bytes | str) -> ImportPlan:
    """Read a definition for an environment. Changes nothing and never raises for what the definition holds."""
    types = dict(Flag.objects.filter(project=environment.project_id).values_list("key", "value_type"))
    report = read_definition(definition, generation=Generation(environment.generation), value_types=types)
    live = _live(environment, [flag.key for flag in report.usable])
    flags = tuple(
        PlannedFlag(flag, flag.key not in types, flag.document is not None and _moves(flag, live.get(flag.key)))
        for flag in report.flags
    )
    return ImportPlan(environment, report, flags)


def propose_import(
    environment: Environment,
    definition: bytes | str,
    *,
    keys: Collection[str] | None,
    actor: Actor,
    title: str,
    reason: str,
    now: datetime,
) -> ChangeRequest:
    """Create the missing flags and a draft that holds the config of every flag in `keys` (None: all that can be).

    All or nothing. Raises PermissionMissing, InvalidInput where nothing or too much is left to propose, and what
    creating flags and requests raises.
    """
    act = partial(_propose, environment, definition, keys=keys, actor=actor, title=title, reason=reason, now=now)
    return attempt(act)


def _propose(
    environment: Environment,
    definition: bytes | str,
    *,
    keys: Collection[str] | None,
    actor: Actor,
    title: str,
    reason: str,
    now: datetime,
) -> ChangeRequest:
    permissions.require(actor, permissions.PROPOSE, environment)
    plan = plan_import(environment, definition)
    chosen = [flag for flag in plan.proposable if keys is None or flag.imported.key in keys]
    _refuse_unusable(plan, chosen, keys=keys)
    for flag in chosen:
        if flag.is_new:
            _create(environment.project_id, flag.imported, actor=actor, now=now)
    live = _live(environment, [flag.imported.key for flag in chosen])
    edits = tuple(_edit(flag.imported, live.get(flag.imported.key)) for flag in chosen)
    return create_change_request(
        environment.pk,
        actor=actor,
        title=title or suggested_title(len(edits)),
        reason=reason,
        change_set=ChangeSet(str(environment.pk), edits),
        apply_at=None,
        now=now,
    )


def suggested_title(count: int) -> str:
    """A title for a request that takes flags over."""
    return f"Take over {count} {'flag' if count == 1 else 'flags'} from a flagd definition"


def _refuse_unusable(plan: ImportPlan, chosen: list[PlannedFlag], *, keys: Collection[str] | None) -> None:
    if plan.report.problems:
        raise InvalidInput(plan.report.problems[0].message, problems=[])
    unknown = set(keys or ()) - {flag.imported.key for flag in plan.flags}
    if unknown:
        raise InvalidInput(f"The definition has no flag “{min(unknown)[:100]}”. Check the key.", problems=[])
    if not chosen:
        raise InvalidInput(
            f"There is nothing to take over: no flag was chosen, or {plan.environment.name} serves them so already.",
            problems=[],
        )
    if len(chosen) > MOST_EDITS:
        raise InvalidInput(
            f"One change request takes {MOST_EDITS} flags and {len(chosen)} are chosen. Choose fewer and come again.",
            problems=[],
        )


def _create(project_id: uuid.UUID, flag: ImportedFlag, *, actor: Actor, now: datetime) -> None:
    document = flag.document or {}
    create_flag(
        project_id,
        actor=actor,
        key=flag.key,
        name=flag.key.replace("-", " ").replace("_", " ").strip()[:120] or flag.key,
        kind=KIND,
        value_type=flag.value_type,
        variants=document["variants"],
        description="Taken over from a flagd definition.",
        now=now,
    )


def _live(environment: Environment, keys: list[str]) -> dict[str, FlagConfig]:
    rows = FlagConfig.objects.filter(environment=environment, flag__key__in=keys).select_related("flag")
    return {row.flag.key: row for row in rows}


def _moves(flag: ImportedFlag, live: FlagConfig | None) -> bool:
    return live is None or bool(diff_configs(live.document, _onto(live.document, flag.document or {})))


def _edit(flag: ImportedFlag, live: FlagConfig | None) -> ConfigEdit:
    document = dict(flag.document or {}) if live is None else _onto(live.document, flag.document or {})
    return ConfigEdit(flag_key=flag.key, base_version=live.version if live else 0, document=document)


def _onto(live: Mapping[str, Any], imported: Mapping[str, Any]) -> dict[str, Any]:
    """The imported document, with what no definition can say kept from the live one."""
    words = {variant["name"]: variant["description"] for variant in live["variants"]}
    variants = [
        {**variant, "description": words.get(variant["name"], variant["description"])}
        for variant in imported["variants"]
    ]
    kept = {name: live[name] for name in ("client_visible", "deprecation") if live.get(name)}
    return {**imported, **kept, "variants": variants}
