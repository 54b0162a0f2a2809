"""Flags as a Django app."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class FlagsConfig(AppConfig):
    """Flags, environments, segments, tokens and the single write path."""

    name = "flags"
    verbose_name = "Flags"

    def ready(self) -> None:
        """Put the database guards back after every migrate: SQLite drops them when it rebuilds a table."""
        from flags.guards import reinstall_guards

        post_migrate.connect(reinstall_guards, sender=self)
