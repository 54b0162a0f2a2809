"""The pages of rollout plans: their list, one plan, the editor, and templates."""

from rollouts.admin.plans.pages import RolloutPlanAdmin

__all__ = ["RolloutPlanAdmin"]
