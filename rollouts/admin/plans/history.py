"""What happened to a plan, step by step, with what each step was decided on; and the story of a rollback."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model

from rollouts.admin.plans.bars import Column
from rollouts.admin.plans.words import ACT_SYMBOLS
from rollouts.models import PlanStep, RolloutPlan
from rollouts.plans.transitions import PlanAct, PlanState
from rollouts.selectors.plans.rollbacks import verification_of

ENGINE_NAME = "The plan itself"
_WORDS: Mapping[str, str] = {
    PlanAct.EDIT: "edited the draft",
    PlanAct.PROPOSE: "proposed it for approval",
    PlanAct.RECALL: "took the proposal back",
    PlanAct.START: "started with",
    PlanAct.ADVANCE: "went on from {old} to {new}",
    PlanAct.APPROVE_STAGE: "approved leaving {new}",
    PlanAct.EXTEND: "gave {new} more time",
    PlanAct.SKIP: "went on early from {old} to {new}",
    PlanAct.PAUSE: "paused at {new}",
    PlanAct.RESUME: "resumed at {new}",
    PlanAct.JUMP_BACK: "went back from {old} to {new}",
    PlanAct.ROLL_BACK: "rolled back from {old} to {new}",
    PlanAct.HOLD: "was held at {new}",
    PlanAct.CLEAR: "was let go on from {new}",
    PlanAct.REBASE: "brought the draft up to date",
    PlanAct.ABORT: "ended the plan at {new}",
    PlanAct.COMPLETE: "completed the plan with {new}",
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing a step was decided on; `is_met` None where it is neither good nor bad."""

    text: str
    is_met: bool | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """One step for people."""

    person: str
    words: str
    at: datetime
    quote: str
    symbol: str
    tone: str
    revision: int | None
    evidence: Sequence[Evidence] = ()


@dataclass(frozen=True, slots=True)
class Story:
    """What a rollback did: from where to where, why, who was told, and whether it is served."""

    person: str
    is_automatic: bool
    old: str
    new: str
    at: datetime
    reason: str
    sentences: Sequence[str]
    left_alone: Sequence[str]
    told: Sequence[str]
    attempt: int
    revision: int | None
    verification: str = ""
    is_verified: bool | None = None
    mismatches: Sequence[str] = field(default_factory=list)


def people_named(steps: Iterable[PlanStep]) -> dict[str, str]:
    """The names of everybody in these steps and their evidence, by id: one query."""
    ids = {step.actor_id for step in steps} | {who for step in steps for who in step.evidence.get("told") or ()}
    rows = get_user_model().objects.filter(pk__in=[one for one in ids if _is_id(one)])
    return {str(person.pk): person.get_full_name() or person.get_username() for person in rows}


def moments_of(steps: Sequence[PlanStep], columns: Sequence[Column], names: Mapping[str, str]) -> list[Moment]:
    """Every step, the newest first."""
    return [_moment(step, columns, names) for step in reversed(steps)]


def story_of(
    plan: RolloutPlan, steps: Sequence[PlanStep], columns: Sequence[Column], names: Mapping[str, str]
) -> Story | None:
    """The story of the rollback in which a plan stands now; None where it stands in none. One query."""
    if plan.current_state is not PlanState.ROLLED_BACK:
        return None
    back = next((step for step in reversed(steps) if step.act == PlanAct.ROLL_BACK), None)
    if back is None:
        return None
    look, evidence = verification_of(back), back.evidence
    found: Mapping[str, Any] = look.details if look else {}
    return Story(
        person=_person(back, names),
        is_automatic=back.is_automatic,
        old=stage_words(columns, back.from_stage),
        new=stage_words(columns, back.to_stage),
        at=back.at,
        reason=back.reason,
        sentences=[str(one) for one in evidence.get("sentences") or () if str(one) != back.reason],
        left_alone=_moved(evidence),
        told=[names.get(str(who), "somebody who is gone") for who in evidence.get("told") or ()],
        attempt=int(evidence.get("ended_attempt") or plan.attempt),
        revision=back.revision,
        verification=_verification(found) if look else "",
        is_verified=None if look is None else look.action.endswith("verified"),
        mismatches=_altered(evidence)
        + [_mismatch(one) for one in [*(found.get("mismatches") or ()), *(found.get("forced") or ())]],
    )


def stage_words(columns: Sequence[Column], number: int) -> str:
    """A stage by its share and name; 0 is how it was before."""
    column = next((one for one in columns if one.number == number), None)
    if column is None:
        return "how it was before"
    return column.share if column.name == column.share else f"“{column.name}” ({column.share})"


def _moment(step: PlanStep, columns: Sequence[Column], names: Mapping[str, str]) -> Moment:
    symbol, tone = ACT_SYMBOLS.get(step.act, ("circle", "quiet"))
    old, new = stage_words(columns, step.from_stage), stage_words(columns, step.to_stage)
    words = _WORDS.get(step.act, step.act).format(old=old, new=new)
    if step.act == PlanAct.START:
        words = f"{words} {new}"
    return Moment(
        person=_person(step, names),
        words=words,
        at=step.at,
        quote=step.reason,
        symbol=symbol,
        tone=tone,
        revision=step.revision,
        evidence=_evidence(step, columns, names),
    )


def _person(step: PlanStep, names: Mapping[str, str]) -> str:
    if step.is_automatic:
        return ENGINE_NAME
    return names.get(step.actor_id, "Somebody who is gone")


def _evidence(step: PlanStep, columns: Sequence[Column], names: Mapping[str, str]) -> list[Evidence]:
    kept = step.evidence
    found = [Evidence(str(gate["sentence"]), bool(gate["is_met"])) for gate in kept.get("gates") or ()]
    found += [Evidence(_samples(metric, counts)) for metric, counts in (kept.get("samples") or {}).items()]
    passed = [stage_words(columns, number) for number in kept.get("passed_over") or ()]
    if passed:
        found.append(Evidence(f"Passed over on the way, their time was up: {', '.join(passed)}."))
    if moved := _moved(kept):
        found.append(Evidence(f"Left as somebody else made it meanwhile: {', '.join(moved)}.", False))
    found += [Evidence(line, False) for line in _altered(kept)]
    if kept.get("request_number"):
        found.append(Evidence(f"Change request #{kept['request_number']} asks for it."))
    if step.act == PlanAct.HOLD and isinstance(kept.get("code"), str):
        found.append(Evidence(f"What held it: {kept['code'].replace('_', ' ')}.", False))
    if kept.get("told"):
        people = ", ".join(names.get(str(who), "somebody who is gone") for who in kept["told"])
        found.append(Evidence(f"Told by mail: {people}."))
    return found


def _moved(evidence: Mapping[str, Any]) -> list[str]:
    """The flags that a way back left as somebody else made them."""
    altered = evidence.get("altered") or ()
    return [str(key) for key in evidence.get("left_alone") or () if key not in altered]


def _altered(evidence: Mapping[str, Any]) -> list[str]:
    """A line about the flags that a way back left alone because of what is stored for them."""
    keys = ", ".join(str(key) for key in evidence.get("altered") or ())
    return [f"Left alone, as what is stored to go back to was neither approved nor served: {keys}."] if keys else []


def _samples(metric: str, counts: Any) -> str:
    if not isinstance(counts, Mapping):
        return f"{metric}: {counts}"
    parts = [f"{value:,} {name}" if isinstance(value, int) else f"{value} {name}" for name, value in counts.items()]
    return f"Counted for {metric}: {', '.join(parts)}."


def _verification(found: Mapping[str, Any]) -> str:
    if found.get("problem"):
        return str(found["problem"])
    checked, took = int(found.get("checked") or 0), int(found.get("milliseconds") or 0)
    flags = f"{checked} flag{'' if checked == 1 else 's'}"
    if found.get("mismatches") or found.get("forced"):
        return f"Looked at {flags} after the rollback: not everything is served as it should be."
    return f"Looked at {flags} after the rollback: all of it is served again, after {took / 1000:.1f} s."


def _mismatch(one: Any) -> str:
    return str(one.get("message") or one.get("key") or one) if isinstance(one, Mapping) else str(one)


def _is_id(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
