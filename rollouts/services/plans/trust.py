"""What a way back may write: what was approved with the plan, or what was served in its course."""

from collections import defaultdict
from collections.abc import Collection
from typing import Any

from flags.changes import document_digest
from flags.models import FlagConfig
from rollouts.models import PlanStep, RolloutPlan
from rollouts.selectors.plans.ground import Ground, documents_at
from rollouts.services.plans.consent import is_as_approved


def altered_keys(plan: RolloutPlan, stage_number: int, ground: Ground) -> frozenset[str]:
    """The flags for which a stage would write what was neither approved with the plan nor served in its course.

    No query where the plan is stored as it was approved.
    """
    documents, is_approved = documents_at(plan, stage_number), is_as_approved(plan)
    digests = {key: document_digest(document) for key, document in documents.items()}
    by_stages = {key for changed in plan.documents[:stage_number] for key in changed}
    doubtful = [
        key
        for key, digest in digests.items()
        if digest != ground.digest(key)
        and not (is_approved if key in by_stages else _is_as_prepared(plan.base[key], is_approved=is_approved))
    ]
    served = _served(plan, doubtful) if doubtful else {}
    return frozenset(key for key in doubtful if digests[key] not in served.get(key, ()))


def _is_as_prepared(known: dict[str, Any], *, is_approved: bool) -> bool:
    """Whether how a flag was before the plan is stored as it was. One that was never set up was switched off."""
    if not known["version"]:
        return not known["document"]["enabled"]
    return is_approved and document_digest(known["document"]) == known["digest"]


def _served(plan: RolloutPlan, keys: Collection[str]) -> dict[str, set[str]]:
    """The digests of what the plan wrote of these flags, and of what each was right before: two queries."""
    numbers: dict[str, set[int]] = defaultdict(set)
    for evidence in PlanStep.objects.filter(plan=plan).values_list("evidence", flat=True):
        for key, version in evidence.get("versions", {}).items():
            numbers[key].add(version)
    wanted = {key: numbers[key] | {min(numbers[key]) - 1} for key in keys if numbers[key]}
    found: dict[str, set[str]] = defaultdict(set)
    flags = plan.flags.values("flag")
    rows = FlagConfig.history.filter(environment=plan.environment_id, flag__in=flags, flag__key__in=list(wanted))
    versions = {version for each in wanted.values() for version in each}
    for key, version, digest in rows.filter(version__in=versions).values_list("flag__key", "version", "digest"):
        if version in wanted[key]:
            found[key].add(digest)
    return found
