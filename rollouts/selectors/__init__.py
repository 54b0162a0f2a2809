"""Reads for people and sweepers. Nothing here writes."""
