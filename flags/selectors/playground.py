"""One evaluation context against several flags and environments, side by side. Nothing of it is kept."""

import json
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flags.evaluation.bucketing import Generation
from flags.evaluation.compile import CompiledSnapshot, FlagSource, Snapshot
from flags.evaluation.explain import MAX_TRACE_NODES, compile_related, explain_compiled
from flags.evaluation.resolution import ErrorCode
from flags.evaluation.traces import Explanation
from flags.models import Environment, Flag, FlagConfig, Segment
from flags.snapshots import store

# Nodes that the explanations of one page show together; each may have a few, however many there are.
_PAGE_NODES = 20_000
_CELL_NODES = 100


@dataclass(frozen=True, slots=True)
class PlaygroundCell:
    """What one flag answers in one environment; no explanation where it is not set up.

    `answer` is the value as JSON, "" where the code default decides. `differs`: from the row's reference.
    """

    environment: Environment
    explanation: Explanation | None
    answer: str
    differs: bool = False


@dataclass(frozen=True, slots=True)
class PlaygroundRow:
    """One flag in every environment asked for. `differs`: not every environment answers the same."""

    flag: Flag
    cells: Sequence[PlaygroundCell]

    @property
    def differs(self) -> bool:
        """Whether some environment answers otherwise than the reference."""
        return any(cell.differs for cell in self.cells)


def current_snapshots(environments: Collection[Environment], *, project_key: str) -> dict[uuid.UUID, Snapshot]:
    """What each environment serves now, as the database has it: two queries for any number of environments."""
    flags: dict[uuid.UUID, dict[str, FlagSource]] = {environment.pk: {} for environment in environments}
    segments: dict[uuid.UUID, dict[str, Mapping[str, Any]]] = {environment.pk: {} for environment in environments}
    configs = FlagConfig.objects.filter(environment__in=environments).order_by()
    for place, key, value_type, document, version in configs.values_list(
        "environment_id", "flag__key", "flag__value_type", "document", "version"
    ):
        flags[place][key] = FlagSource(value_type, document, version)
    for place, key, document in (
        Segment.objects.filter(environment__in=environments).order_by().values_list("environment_id", "key", "document")
    ):
        segments[place][key] = document
    return {
        environment.pk: Snapshot(
            project_key=project_key,
            environment_id=str(environment.pk),
            environment_key=environment.key,
            revision=environment.revision,
            generation=Generation(environment.generation),
            flags=flags[environment.pk],
            segments=segments[environment.pk],
            requires_targeting_key=environment.requires_targeting_key,
        )
        for environment in environments
    }


def reference_of(environments: Sequence[Environment]) -> Environment:
    """The environment the others are compared with: production, else the last one."""
    production = [environment for environment in environments if environment.kind == "production"]
    return (production or list(environments))[-1]


def playground_rows(
    flags: Collection[Flag],
    environments: Sequence[Environment],
    context: Mapping[str, Any],
    *,
    project_key: str,
    now: datetime,
) -> list[PlaygroundRow]:
    """Explain every flag in every environment for one context: two queries. Local kills of this process count."""
    snapshots = current_snapshots(environments, project_key=project_key)
    keys = [flag.key for flag in flags]
    compiled = {place: _compiled(snapshot, place, keys) for place, snapshot in snapshots.items()}
    nodes = min(MAX_TRACE_NODES, max(_CELL_NODES, _PAGE_NODES // max(1, len(keys) * len(environments))))
    reference = reference_of(environments)
    rows = []
    for flag in flags:
        cells = []
        for environment in environments:
            explanation = explain_compiled(compiled[environment.pk], flag.key, context, now, nodes=nodes)
            cells.append(_cell(environment, explanation))
        wanted = next(cell.answer for cell in cells if cell.environment.pk == reference.pk)
        rows.append(PlaygroundRow(flag, [_compared(cell, wanted) for cell in cells]))
    return rows


def _compiled(snapshot: Snapshot, environment_id: uuid.UUID, flag_keys: Iterable[str]) -> CompiledSnapshot:
    """The snapshot this process serves if it is the same one, else what these flags need of it."""
    served = store.served.get(environment_id)
    if served is not None and served.snapshot == snapshot:
        return served
    return compile_related(snapshot, flag_keys, forced=served.forced if served else {})


def _cell(environment: Environment, explanation: Explanation) -> PlaygroundCell:
    resolution = explanation.resolution
    if resolution.error_code is ErrorCode.FLAG_NOT_FOUND:
        return PlaygroundCell(environment, None, "")
    answer = json.dumps(resolution.value, ensure_ascii=False, sort_keys=True) if resolution.has_value else ""
    return PlaygroundCell(environment, explanation, answer)


def _compared(cell: PlaygroundCell, wanted: str) -> PlaygroundCell:
    return PlaygroundCell(cell.environment, cell.explanation, cell.answer, differs=cell.answer != wanted)
