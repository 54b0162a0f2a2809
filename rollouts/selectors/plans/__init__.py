"""Reads about rollout plans."""
