"""The form in which a verdict on a flag is kept; pages and the API read the same words fresh."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from flags.evaluation.instants import instant_text
from flags.lifecycle.lives import Life
from flags.lifecycle.readiness import Matter
from flags.lifecycle.staleness import Staleness
from flags.models import Flag
from rollouts.models import StaleVerdict


def verdict_row(flag: Flag, life: Life, now: datetime) -> StaleVerdict:
    """The row of a flag as of now."""
    found, confidence = life.staleness, life.staleness.confidence
    return StaleVerdict(
        flag=flag,
        project_id=flag.project_id,
        stage=life.stage.stage.value,
        stage_since=life.stage.since,
        stages=stages_as_json(life),
        is_stale=found.is_stale,
        stale_since=found.since,
        reasons=reasons_as_json(found),
        confidence=confidence.value if confidence else "",
        readiness=life.removal.readiness.value,
        blockers=matters_as_json(life.removal.blockers),
        cautions=matters_as_json(life.removal.cautions),
        judged_at=now,
    )


def stages_as_json(life: Life) -> dict[str, Any]:
    """The stage in each environment, by its key."""
    return {
        facts.key: {
            "stage": place.now.stage.value,
            "since": instant_text(place.now.since) if place.now.since else None,
            "sentence": place.now.sentence,
        }
        for facts, place in zip(life.facts.places, life.places, strict=True)
    }


def reasons_as_json(found: Staleness) -> list[dict[str, Any]]:
    """What was found, the surest first."""
    findings = sorted(found.findings, key=lambda each: (-each.confidence.rank, each.since))
    return [
        {
            "code": each.reason.value,
            "since": instant_text(each.since),
            "sentence": each.sentence,
            "confidence": each.confidence.value,
            "numbers": each.numbers,
        }
        for each in findings
    ]


def matters_as_json(matters: Sequence[Matter]) -> list[dict[str, str]]:
    """What stands in the way of removing a flag."""
    return [{"code": each.code, "sentence": each.sentence, "environment": each.environment} for each in matters]
