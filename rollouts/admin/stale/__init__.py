"""The inbox of stale flags: what may go, why, and what to do about many at once."""

from rollouts.admin.stale.pages import StaleVerdictAdmin

__all__ = ["StaleVerdictAdmin"]
