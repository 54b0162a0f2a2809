"""What a guard can say, and what the engine then does."""

from enum import StrEnum

from rollouts.plans.definition import GuardAction, GuardSpec


class GuardOutcome(StrEnum):
    """What a guard says of its treatment."""

    COLLECTING = "collecting"
    HEALTHY = "healthy"
    AT_RISK = "at_risk"
    BREACH = "breach"
    HARD_BREAK = "hard_break"
    RECOVERED = "recovered"
    MISSING = "missing"
    STALE = "stale"
    PROBE_ERROR = "probe_error"
    SAMPLE_RATIO = "sample_ratio"
    SHARED_INCIDENT = "shared_incident"

    @property
    def label(self) -> str:
        """The outcome in words."""
        return _LABELS.get(self, self.value.replace("_", " ").capitalize())


_LABELS = {
    GuardOutcome.MISSING: "No data",
    GuardOutcome.STALE: "Data out of date",
    GuardOutcome.SAMPLE_RATIO: "Shares are off",
    GuardOutcome.PROBE_ERROR: "Cannot be asked",
}
TROUBLES = frozenset(GuardOutcome) - {
    GuardOutcome.COLLECTING,
    GuardOutcome.HEALTHY,
    GuardOutcome.AT_RISK,
    GuardOutcome.RECOVERED,
}


def action_of(outcome: GuardOutcome, spec: GuardSpec, *, has_events: bool = False) -> GuardAction | None:
    """What follows from an outcome; None where nothing does.

    A guard that is no guardrail never rolls back, and missing data only does for a critical one. Nor does a hard break
    of which some are events that may all be one person's.
    """
    match outcome:
        case GuardOutcome.HARD_BREAK:
            return GuardAction.ROLL_BACK if spec.is_guardrail and not has_events else GuardAction.PAUSE
        case GuardOutcome.BREACH:
            signal = GuardAction.WARN if spec.on_breach == GuardAction.WARN else GuardAction.HOLD
            return spec.on_breach if spec.is_guardrail else signal
        case GuardOutcome.MISSING:
            return _at_silence(spec.on_missing, spec)
        case GuardOutcome.STALE:
            return _at_silence(spec.on_stale, spec)
        case GuardOutcome.PROBE_ERROR:
            return _at_silence(spec.on_probe_error, spec)
        case GuardOutcome.SAMPLE_RATIO | GuardOutcome.SHARED_INCIDENT:
            return GuardAction.HOLD
        case GuardOutcome.AT_RISK:
            return GuardAction.WARN
        case _:
            return None


def _at_silence(action: GuardAction, spec: GuardSpec) -> GuardAction:
    """Silence is no evidence against the treatment: it rolls back for a critical guardrail only."""
    is_refused = action == GuardAction.ROLL_BACK and not (spec.is_critical and spec.is_guardrail)
    return GuardAction.PAUSE if is_refused else action
