"""Rollouts as a Django app."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class RolloutsConfig(AppConfig):
    """Change requests, approvals and policies."""

    name = "rollouts"
    verbose_name = "Changes"

    def ready(self) -> None:
        """Put the database guards back after every migrate: SQLite drops them when it rebuilds a table."""
        from rollouts.guards import reinstall_guards

        post_migrate.connect(reinstall_guards, sender=self)
