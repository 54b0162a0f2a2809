"""The inbox of stale flags: what may go, why, and what to do about many at once."""

from rollouts.admin.stale.pages import StaleVerdictAdmin
from rollouts.admin.stale.thresholds import StaleThresholdsAdmin

__all__ = ["StaleThresholdsAdmin", "StaleVerdictAdmin"]
