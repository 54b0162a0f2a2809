"""Pure: rollout plans. What a plan says, which documents its stages mean, what may happen next, and why."""
