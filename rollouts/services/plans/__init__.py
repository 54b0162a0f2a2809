"""Rollout plans: shaping them, starting them, what people and the engine do with them."""
