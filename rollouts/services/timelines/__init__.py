"""Writes of deprecation timelines."""
