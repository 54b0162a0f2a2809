"""Rollouts as a Django app."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class RolloutsConfig(AppConfig):
    """Change requests, approvals and policies."""

    name = "rollouts"
    verbose_name = "Changes"

    def ready(self) -> None:
        """Put the database guards back after every migrate: SQLite drops them when it rebuilds a table.

        Make the settings known that take two people to loosen, let the calendar be asked before every write, and the
        rules before what they look at is changed, release trains before a plan moves on, and whatever stands on an
        archived flag before its key goes to another one.
        """
        from flags.services.watches import register_watch
        from rollouts.guards import reinstall_guards
        from rollouts.selectors.watching import RulesWatch
        from rollouts.services.calendar import register_calendar_kind
        from rollouts.services.details import register_details_kinds
        from rollouts.services.freezes import register_calendar_gate
        from rollouts.services.retirement import register_archived_holds
        from rollouts.services.rules import register_rule_kind
        from rollouts.services.settings_handlers import register_kinds
        from rollouts.services.train_moves import register_train_gate

        post_migrate.connect(reinstall_guards, sender=self)
        register_kinds()
        register_rule_kind()
        register_calendar_kind()
        register_details_kinds()
        register_calendar_gate()
        register_train_gate()
        register_archived_holds()
        register_watch("rules", RulesWatch())
