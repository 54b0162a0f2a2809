"""What a plan stands on: the flags as they were when it was prepared, as it left them, and as they are now."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from flags.documents import initial_document
from flags.models import Environment, Flag, FlagConfig
from rollouts.models import RolloutPlan

Documents = Mapping[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Ground:
    """The present configs of a plan's flags, and what is not as the plan left it: keys with both versions."""

    configs: Mapping[str, FlagConfig]
    moved: tuple[dict[str, Any], ...]

    @property
    def moved_keys(self) -> frozenset[str]:
        """The flags that somebody else changed."""
        return frozenset(item["key"] for item in self.moved)

    def version(self, key: str) -> int:
        """The present version of a flag; 0 where it was never set up."""
        return self.configs[key].version if key in self.configs else 0

    def digest(self, key: str) -> str:
        """The digest of what a flag serves now; empty where it was never set up."""
        return self.configs[key].digest if key in self.configs else ""


def base_of(environment: Environment, flags: Collection[Flag]) -> dict[str, dict[str, Any]]:
    """Document, version and digest of each flag as it is now, by key: two queries at most.

    A flag that is not set up here starts switched off, with the variants it has elsewhere in the project.
    """
    present = _configs(environment, [flag.key for flag in flags])
    missing = [flag for flag in flags if flag.key not in present]
    base = {
        key: {"document": config.document, "version": config.version, "digest": config.digest}
        for key, config in present.items()
    }
    rows = FlagConfig.objects.filter(flag__in=missing).order_by("updated_at") if missing else ()
    elsewhere = {row.flag_id: row.document["variants"] for row in rows}
    for flag in missing:
        document = initial_document(flag.key, flag.value_type, elsewhere.get(flag.pk))
        base[flag.key] = {"document": document, "version": 0, "digest": ""}
    return {flag.key: base[flag.key] for flag in flags}


def ground_of(plan: RolloutPlan) -> Ground:
    """The flags of a plan as they are now, and which of them somebody else changed: one query."""
    configs = _configs(plan.environment, plan.definition["flags"])
    present = Ground(configs, ())
    moved = tuple(
        {"key": key, "base_version": known["version"], "current_version": present.version(key)}
        for key in plan.definition["flags"]
        if (known := left_as(plan, key))["digest"] != present.digest(key)
    )
    return Ground(configs, moved)


def left_as(plan: RolloutPlan, key: str) -> Mapping[str, Any]:
    """Version and digest of a flag as the plan last left it; before the start, as it was prepared on."""
    found: Mapping[str, Any] = plan.written.get(key) or plan.base[key]
    return found


def documents_at(plan: RolloutPlan, stage: int) -> dict[str, dict[str, Any]]:
    """The whole document of every flag of the plan in a stage; stage 0 is how it was before."""
    documents = {key: plan.base[key]["document"] for key in plan.definition["flags"]}
    for changed in plan.documents[:stage]:
        documents |= changed
    return documents


def _configs(environment: Environment, keys: Collection[str]) -> dict[str, FlagConfig]:
    rows = FlagConfig.objects.filter(environment=environment, flag__key__in=list(keys))
    return {row.flag.key: row for row in rows.select_related("flag").order_by("flag__key")}
