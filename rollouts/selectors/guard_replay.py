"""Giving a verdict again from what is kept with it, to prove that it follows from its counts."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from rollouts.guarding.judging import Judgement, replay
from rollouts.models import GuardSample, GuardVerdict
from rollouts.selectors.guard_samples import intervals_kept


def replayed(verdict: GuardVerdict) -> Judgement:
    """The judgement of all minutes that were kept of the guard up to this verdict. Raises ValueError where they cannot
    be read, or belong to another version of the method.
    """
    given, mine = verdict.parameters, {"plan": verdict.plan_id, "attempt": verdict.attempt, "metric": verdict.metric}
    verdicts = GuardVerdict.objects.filter(**mine, number__lte=verdict.number).order_by("number")
    samples = GuardSample.objects.filter(**mine).order_by("through")
    intervals = intervals_kept([*verdicts, *samples], through=datetime.fromisoformat(given["through"]))
    return replay(
        given,
        intervals,
        now=datetime.fromisoformat(given["now"]),
        sampled_at=datetime.fromisoformat(given["sampled_at"]) if given["sampled_at"] else None,
        started_at=datetime.fromisoformat(given["started_at"]),
        fresh=given["fresh"],
        errors_in_a_row=given["errors_in_a_row"],
        previous=given["previous"],
    )


def differences_of(verdict: GuardVerdict, judgement: Judgement) -> list[str]:
    """What differs between a verdict as it was kept and as it was given again, one line each."""
    kept = {"outcome": verdict.outcome, "action": verdict.action, "sentence": verdict.sentence}
    again = {
        "outcome": judgement.outcome.value,
        "action": judgement.action.value if judgement.action else "",
        "sentence": judgement.sentence,
    }
    return [*_differing(kept, again), *_differing(verdict.statistics, judgement.statistics)]


def _differing(kept: Mapping[str, Any], again: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted({*kept, *again}):
        if kept.get(name) != again.get(name):
            yield f"{name}: kept {kept.get(name)!r}, again {again.get(name)!r}"
