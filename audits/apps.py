"""Audits as a Django app."""

from django.apps import AppConfig


class AuditsConfig(AppConfig):
    """The append-only evidence of who did what."""

    name = "audits"
    verbose_name = "Audit"
