"""Bringing what is known about drift up to date."""

import uuid
from datetime import datetime
from itertools import product

from flags.models import Environment, Flag, Project
from flags.services.attempts import attempt
from rollouts.models import Drift
from rollouts.selectors.drift import neighbours
from rollouts.selectors.unlike import configs_in, read_documents

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
    flags = Flag.objects.filter(project=project, archived_at=None)
    flag_ids = list(flags.values_list("pk", flat=True))
    configs = configs_in(pairs, flags)
    read_documents(configs, flag_ids, pairs)
    found: Found = {}
    for flag_id, pair in product(flag_ids, pairs):
        upper, lower = configs.of(flag_id, pair)
        if upper is None or lower is None or not configs.may_differ(flag_id, pair):
            continue
        place = (flag_id, pair[0].pk, pair[1].pk)
        known, (aspects, _) = former.get(place, {}), configs.unlike(upper, lower)
        if aspects:
            found[place] = {one.value: known.get(one.value, at.isoformat()) for one, at in aspects.items()}
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
