"""The gates of a stage: which are met, and a sentence with numbers for each."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from rollouts.guarding.outcomes import GuardOutcome
from rollouts.plans.definition import Gates, GuardAction, Stage
from rollouts.plans.stage_facts import CheckOutcome, GuardFacts, StageFacts

from . import words

SOAK, NOT_BEFORE, SAMPLE, GUARDS, CHECK, APPROVAL = "soak", "not_before", "sample", "guards", "check", "approval"
BREACHES = frozenset({GuardOutcome.BREACH, GuardOutcome.HARD_BREAK})


@dataclass(frozen=True, slots=True)
class GateState:
    """One gate. `due_at` is when time alone will meet it, None where it takes more than time or is met."""

    name: str
    is_met: bool
    sentence: str
    due_at: datetime | None = None


def gates_of(stage: Stage, facts: StageFacts) -> tuple[GateState, ...]:
    """Every gate that the stage has, in the order in which they are asked; approval comes last."""
    return tuple(_gates(stage.gates, facts))


def takes_more_than_time(gates: Gates) -> bool:
    """Whether a stage waits for people, for data or for an answer, so that nothing may pass it over."""
    return bool(gates.approvals or gates.is_monitored or gates.minimum_sample or gates.checks)


def time_is_up_at(gates: Gates, *, entered_at: datetime, extra_soak_minutes: int = 0) -> datetime:
    """When the gates of time of a stage are met at the earliest."""
    soaked_at = entered_at + timedelta(minutes=gates.soak_minutes + extra_soak_minutes)
    return soaked_at if gates.not_before is None else max(soaked_at, gates.not_before)


def is_decided(guard: GuardFacts) -> bool:
    """Whether the guard has an opinion: safe is shown, or it is bad and the plan only wants to be warned."""
    return guard.outcome is GuardOutcome.HEALTHY or (guard.outcome in BREACHES and guard.action is GuardAction.WARN)


def is_good(facts: StageFacts) -> bool:
    """Whether guards found the stage good: people are drawn for some, each of these has shown it to be safe, and the
    others found nothing worse.
    """
    safe = all(guard.outcome is GuardOutcome.HEALTHY for guard in facts.deciding)
    return bool(facts.deciding) and safe and not any(guard.outcome in BREACHES for guard in facts.guards)


def _gates(gates: Gates, facts: StageFacts) -> Iterator[GateState]:
    if gates.soak_minutes or facts.extra_soak_minutes:
        yield _soak(gates, facts)
    if gates.not_before is not None:
        at = words.instant(gates.not_before, now=facts.now)
        is_met = facts.now >= gates.not_before
        sentence = f"Not before {at}: that has come." if is_met else f"Not before {at}."
        yield GateState(NOT_BEFORE, is_met, sentence, None if is_met else gates.not_before)
    if gates.minimum_sample:
        yield _sample(gates.minimum_sample, facts)
    if gates.is_monitored:
        yield _guards(facts)
    for check in gates.checks:
        yield _check(check.name, facts)
    if gates.approvals:
        sentence = f"{facts.approvals} of {_approvals(gates.approvals)} to leave this stage."
        yield GateState(APPROVAL, facts.approvals >= gates.approvals, sentence)


def _soak(gates: Gates, facts: StageFacts) -> GateState:
    wanted = gates.soak_minutes + facts.extra_soak_minutes
    soaked = facts.served_for // timedelta(minutes=1)
    data = ""
    if gates.is_monitored:
        soaked, data = min(soaked, facts.fresh_minutes), " with fresh data"
    text = f"Served for {words.amount(min(soaked, wanted))} of {words.amount(wanted)} minutes{data}"
    if soaked >= wanted:
        return GateState(SOAK, True, f"{text}.")
    if not gates.is_monitored:
        due_at = facts.entered_at + timedelta(minutes=wanted)
        return GateState(SOAK, False, f"{text}; next at {words.instant(due_at, now=facts.now)}.", due_at)
    due_at = facts.now + timedelta(minutes=wanted - soaked)
    return GateState(SOAK, False, f"{text}; at {words.instant(due_at, now=facts.now)} if data keeps coming.", due_at)


def _sample(wanted: int, facts: StageFacts) -> GateState:
    seen = facts.smallest_sample
    where = "with each variant" if facts.is_randomised else "with the new variant"
    if seen < wanted:
        return GateState(SAMPLE, False, f"{words.amount(seen)} of {words.people(wanted)} seen {where}.")
    was = "was" if wanted == 1 else "were"
    sentence = f"{words.people(seen)} seen {where}; {words.amount(wanted)} {was} asked for."
    return GateState(SAMPLE, True, sentence)


def _guards(facts: StageFacts) -> GateState:
    if not facts.is_randomised:
        return GateState(GUARDS, True, "Guards only advise here: who gets it was not drawn by lot.")
    undecided = [guard.name for guard in facts.deciding if not is_decided(guard)]
    total = len(facts.deciding)
    if undecided:
        sentence = (
            f"{total - len(undecided)} of {_guard_count(total)} found this safe; undecided: {', '.join(undecided)}."
        )
        return GateState(GUARDS, False, sentence)
    warned = [guard.name for guard in facts.guards if guard.outcome in BREACHES]
    if warned:
        return GateState(GUARDS, True, f"Worse than before, which the plan only warns of: {', '.join(warned)}.")
    # A monitored stage without any guard has nobody to say that it is safe.
    who = "Both guards" if total == 2 else f"{'All ' if total > 2 else ''}{_guard_count(total)}"
    sentence = f"{who} found this safe."
    advising = [guard.name for guard in facts.guards if not guard.is_randomised]
    more = f" Not drawn by lot in this stage, so only advice: {', '.join(advising)}." if advising else ""
    return GateState(GUARDS, bool(total), f"{sentence}{more}")


def _guard_count(number: int) -> str:
    return "1 guard" if number == 1 else f"{number} guards"


def _approvals(number: int) -> str:
    return "1 approval" if number == 1 else f"{number} approvals"


def _check(name: str, facts: StageFacts) -> GateState:
    found = facts.checks.get(name)
    if found is None:
        return GateState(CHECK, False, f"{name}: not asked yet.")
    is_met = found.outcome is CheckOutcome.PASSED
    said = {
        CheckOutcome.PASSED: "passed",
        CheckOutcome.FAILED: "failed",
        CheckOutcome.ERROR: "could not be asked",
    }[found.outcome]
    return GateState(CHECK, is_met, f"{name} {said}{f': {found.sentence}' if found.sentence else '.'}")
