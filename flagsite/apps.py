"""The composition root as Django apps."""

from django.apps import AppConfig
from django.conf import settings
from django.contrib.admin.apps import AdminConfig


class FlagsiteConfig(AppConfig):
    """Users, system checks and what ties the three apps together."""

    name = "flagsite"
    default = False

    def ready(self) -> None:
        """Register system checks, bound the codec registry, record sign-ins; send traces where that is asked for."""
        from flagsite import (
            charsets,
            checks,  # noqa: F401
            sign_ins,
            telemetry,
        )

        charsets.look_up_only_codecs_that_exist()
        sign_ins.connect()
        if settings.ENV.OTEL_ENABLED:
            telemetry.start()


class FlagsiteAdminConfig(AdminConfig):
    """Django's admin with our site as the default one."""

    default_site = "flagsite.site.FlagsiteAdminSite"
    default = False
