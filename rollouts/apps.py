"""Rollouts as a Django app."""

from django.apps import AppConfig


class RolloutsConfig(AppConfig):
    """Change requests, approvals and policies."""

    name = "rollouts"
    verbose_name = "Changes"
