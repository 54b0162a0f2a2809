"""Audits as a Django app."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AuditsConfig(AppConfig):
    """The append-only evidence of who did what."""

    name = "audits"
    verbose_name = "Audit"

    def ready(self) -> None:
        """Put the database guards back after every migrate: SQLite drops them when it rebuilds a table."""
        from audits.guards import reinstall_guards

        post_migrate.connect(reinstall_guards, sender=self)
