"""Flags as a Django app."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class FlagsConfig(AppConfig):
    """Flags, environments, segments, tokens and the single write path."""

    name = "flags"
    verbose_name = "Flags"

    def ready(self) -> None:
        """Put the database guards back after every migrate: SQLite drops them when it rebuilds a table.

        Let the polling thread write down what the kill list of this host forces, sampled contexts, and how often flags
        were evaluated here.
        """
        from flags import snapshots
        from flags.api.metrics import meters
        from flags.api.unanswered import unanswered
        from flags.archive_guards import reinstall_guards
        from flags.services.asked_in_vain import AskedInVain
        from flags.services.kills import settle_this_host
        from flags.services.own_evaluations import OwnEvaluations
        from flags.services.samples import gather_samples

        post_migrate.connect(reinstall_guards, sender=self)
        snapshots.on_settled(settle_this_host)
        snapshots.after_looks(gather_samples)
        snapshots.after_looks(OwnEvaluations(meters.counted).write_if_due)
        snapshots.after_looks(AskedInVain(unanswered.take).write_if_due)
