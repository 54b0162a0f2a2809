"""Reads about deprecation timelines."""
