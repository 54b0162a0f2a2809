"""Bringing what is known about drift up to date."""

import uuid
from datetime import datetime
from itertools import product
from typing import Any

from flags.aspects import differing
from flags.models import Environment, FlagConfig, Project
from flags.services.attempts import attempt
from rollouts.models import Drift
from rollouts.selectors.drift import neighbours

Found = dict[tuple[uuid.UUID, uuid.UUID, uuid.UUID], dict[str, str]]


def refresh_drift(project_id: uuid.UUID, *, now: datetime) -> bool:
    """Compare neighbouring environments of a project and note since when each aspect differs; whether anything moved.

    An aspect that differs anew does so since the later of the two versions. What is the same again is forgotten.
    """

    def act() -> bool:
        # One at a time: two sweeps would note the same flag twice.
        project = Project.objects.select_for_update(of=("self",), no_key=True).filter(pk=project_id).first()
        if project is None:
            return False
        rows = {(row.flag_id, row.upstream_id, row.downstream_id): row for row in Drift.objects.filter(project=project)}
        found = _found(project, {place: row.aspects for place, row in rows.items()})
        gone = [row.pk for place, row in rows.items() if place not in found]
        changed = [place for place, row in rows.items() if place in found and row.aspects != found[place]]
        fresh = [place for place in found if place not in rows]
        for place in changed:
            rows[place].aspects, rows[place].since = found[place], _oldest(found[place])
        Drift.objects.filter(pk__in=gone).delete()
        Drift.objects.bulk_update([rows[place] for place in changed], ["aspects", "since"], batch_size=500)
        Drift.objects.bulk_create([_row(project, place, found[place]) for place in fresh], batch_size=500)
        return bool(gone or changed or fresh)

    return attempt(act)


def _found(project: Project, former: Found) -> Found:
    """Every aspect that differs, with the instant since when, by flag and pair."""
    pairs = neighbours(Environment.objects.filter(project=project))
    configs: dict[tuple[uuid.UUID, uuid.UUID], Any] = {}
    for config in FlagConfig.objects.filter(environment__project=project):
        configs[config.flag_id, config.environment_id] = config
    found: Found = {}
    for flag_id, (upstream, downstream) in product({flag_id for flag_id, _ in configs}, pairs):
        upper, lower = configs.get((flag_id, upstream.pk)), configs.get((flag_id, downstream.pk))
        if upper is None or lower is None or upper.digest == lower.digest:
            continue
        place = (flag_id, upstream.pk, downstream.pk)
        latest, known = max(upper.updated_at, lower.updated_at).isoformat(), former.get(place, {})
        aspects = differing(upper.document, lower.document)
        if aspects:
            found[place] = {aspect.value: known.get(aspect.value, latest) for aspect in aspects}
    return found


def _row(project: Project, place: tuple[uuid.UUID, uuid.UUID, uuid.UUID], aspects: dict[str, str]) -> Drift:
    flag_id, upstream_id, downstream_id = place
    return Drift(
        project=project,
        flag_id=flag_id,
        upstream_id=upstream_id,
        downstream_id=downstream_id,
        aspects=aspects,
        since=_oldest(aspects),
    )


def _oldest(aspects: dict[str, str]) -> datetime:
    return min(map(datetime.fromisoformat, aspects.values()))
