"""Reads for people; one module per noun. Programs read snapshots."""
