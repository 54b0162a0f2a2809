"""The governance API: thin clients of selectors and services."""
