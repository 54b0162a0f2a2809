"""Impact runs: the latest of a request, what one compares, and which ones wait for a worker."""

import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from flags.changes import ConfigEdit, SegmentEdit
from flags.evaluation import FlagSource, Snapshot
from flags.models import ContextAttribute, ContextSample, Environment, Flag
from flags.snapshots.building import build
from rollouts.impact import SMALLEST_SAMPLE, Population, Side, affected_flags, mentions_of, proposed_population
from rollouts.impact.scope import related_documents
from rollouts.impact.simulation import MOST_TARGETS
from rollouts.impact.tallies import FLIPS
from rollouts.models import ChangeRequest, ImpactRun, ImpactState, ImpactUpload

# Answers of one run, people times flags: seconds of work, not minutes.
MOST_ANSWERS = 2_000_000
PROPOSED_SIZE = 20_000
UPLOADS_LIVE = timedelta(hours=1)
SILENT_AFTER = timedelta(minutes=1)


def latest_impact(request: ChangeRequest) -> ImpactRun | None:
    """The last run that was finished for the present content of a request."""
    runs = ImpactRun.objects.filter(request=request, digest=request.digest, state=ImpactState.DONE)
    return runs.order_by("-finished_at").first()


def gravest_flips(request: ChangeRequest, *, smallest: int) -> tuple[int, int] | None:
    """Of how many people how many flip, in the run for the present content that finds the largest part of them.

    Whoever shaped the change does not choose the people: his runs count over the proposed population only, and a list
    that was handed in is evidence for readers. Runs over fewer than `smallest` people say nothing either; None where
    there is no other. Individual targets whose answer differs are counted on top. Five queries at most.
    """
    done = ImpactRun.objects.filter(request=request, digest=request.digest, state=ImpactState.DONE)
    runs = [run for run in done.select_related("token") if run.population["kind"] != "upload"]
    shaped = {run.pk for run in runs if _asker(run) in request.contributor_ids}
    proposed = {"kind": "synthetic", **default_population(request).as_json()} if shaped else {}
    found = [_counted(run) for run in runs if run.pk not in shaped or run.population == proposed]
    return max((one for one in found if one[1] >= smallest), key=lambda one: one[0] / one[1], default=None)


def _asker(run: ImpactRun) -> str:
    """Whoever asked; for a service that is who issued its token."""
    return str(run.token.created_by_id if run.token else run.asked_by_id)


def _counted(run: ImpactRun) -> tuple[int, int]:
    """How many flip of how many, with the keys of individual targets; those that nobody asked count as flipped."""
    result: dict[str, Any] = run.result or {}
    named = 0
    for targets in filter(None, (flag["targets"] for flag in result["flags"])):
        asked = min(targets["keys"], MOST_TARGETS)
        named += targets["keys"] - asked + sum(targets[kind.value] for kind in FLIPS)
    return result["flipped"] + named, result["population"] + named


def last_run(request: ChangeRequest) -> ImpactRun | None:
    """The run that was asked for last, whatever became of it and of the content."""
    return ImpactRun.objects.filter(request=request).select_related("asked_by", "token").first()


def compared_snapshots(request: ChangeRequest) -> tuple[Snapshot, Snapshot]:
    """What the environment serves now, and what it would serve with the request on top: three queries at most."""
    before = build(request.environment_id)
    edits = request.content.edits
    configs = {edit.flag_key: edit.document for edit in edits if isinstance(edit, ConfigEdit)}
    segments = {edit.segment_key: edit.document for edit in edits if isinstance(edit, SegmentEdit)}
    fresh = configs.keys() - before.flags.keys()
    rows = Flag.objects.filter(project=request.project_id, key__in=fresh) if fresh else Flag.objects.none()
    types = dict(rows.values_list("key", "value_type"))
    changed = {
        key: replace(before.flags[key], document=document)
        if key in before.flags
        else FlagSource(types[key], document, 0)
        for key, document in configs.items()
        if key in before.flags or key in types
    }
    return before, replace(before, flags={**before.flags, **changed}, segments={**before.segments, **segments})


def flags_in_question(before: Snapshot, after: Snapshot) -> list[str]:
    """The flags whose answers can differ between two snapshots."""
    return affected_flags(Side.of(before), Side.of(after))


def most_people(flags: int) -> int:
    """How many contexts one run may hold, by the number of flags it looks at."""
    return MOST_ANSWERS // max(1, flags)


def usable_samples(environment: Environment) -> int:
    """How many sampled contexts a run may ask; 0 while they are too few, or the environment does not sample."""
    if not environment.samples_contexts:
        return 0
    count = ContextSample.objects.filter(environment=environment).count()
    return count if count >= SMALLEST_SAMPLE else 0


def samples_of(environment_id: uuid.UUID, size: int) -> QuerySet[ContextSample, tuple[str, dict[str, Any]]]:
    """So many samples by their hashes, which is by chance: none once the environment stopped sampling."""
    rows = ContextSample.objects.filter(environment=environment_id, environment__samples_contexts=True)
    return rows.order_by("key_hash").values_list("key_hash", "attributes")[:size]


def default_population(request: ChangeRequest) -> Population:
    """A population in which the rules around a request match at all: four queries at most."""
    before, after = compared_snapshots(request)
    keys = flags_in_question(before, after)
    declared = ContextAttribute.objects.filter(project=request.project_id).values_list("name", "value_type")
    mentions = mentions_of(related_documents(keys, Side.of(before), Side.of(after)))
    size = min(PROPOSED_SIZE, most_people(len(keys)))
    return proposed_population(mentions, declared=dict(declared), size=size)


def waiting_runs() -> QuerySet[ImpactRun]:
    """Runs that no worker has taken up."""
    return ImpactRun.objects.filter(state=ImpactState.QUEUED)


def silent_runs(now: datetime) -> QuerySet[ImpactRun]:
    """Runs whose worker gives no sign of life any more."""
    return ImpactRun.objects.filter(state=ImpactState.RUNNING, seen_at__lte=now - SILENT_AFTER)


def old_uploads(now: datetime) -> QuerySet[ImpactUpload]:
    """Uploads that have to go, whatever became of their runs."""
    return ImpactUpload.objects.filter(created_at__lte=now - UPLOADS_LIVE)
