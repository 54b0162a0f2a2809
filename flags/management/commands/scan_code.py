"""`manage.py scan_code`: which lines of a checkout name which flags, taken in here or sent to a server."""

import os
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from audits.context import Actor
from audits.errors import GovernanceError
from flags.models import Flag, Project
from flags.scanning.command import (
    EXIT_CODES,
    REFUSED,
    UNUSABLE,
    CannotScan,
    add_arguments,
    prepare,
    report,
    scan_and_upload,
)
from flags.services.references import import_references


class Command(BaseCommand):
    help = f"Finds flag keys in a checkout. {EXIT_CODES} With --upload no database is needed."
    # Checks ask for things that CI has not.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["upload"]:
                scan_and_upload(options, os.environ, self._say)
            else:
                self._scan_here(options)
        except CannotScan as error:
            raise CommandError(str(error), returncode=error.code) from None

    def _scan_here(self, options: dict[str, Any]) -> None:
        project = Project.objects.filter(key=options["project"]).first()
        if project is None:
            raise CannotScan(f"There is no project “{options['project']}”. Check its key.", UNUSABLE)
        now = timezone.now()
        prepared = prepare(options, Flag.objects.filter(project=project).values_list("key", flat=True), now=now)
        report(prepared, options, self._say)
        if options["dry_run"]:
            return
        try:
            done = import_references(
                project,
                prepared.head,
                lambda: prepared.scan.files,
                actor=Actor.system("flags.scan_code", via="command"),
                now=timezone.now(),
            )
        except GovernanceError as error:
            raise CannotScan(error.message, REFUSED) from None
        self._say(f"Taken in: {done.scan.added:,} new, {done.scan.vanished:,} gone.")

    def _say(self, text: str) -> None:
        """Sentences go to the error output, so that a report on the standard output stays one."""
        self.stderr.write(text, style_func=str)
