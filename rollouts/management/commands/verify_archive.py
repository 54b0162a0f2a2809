"""`manage.py verify_archive`: is a file of the archive the one that was written, and is everything in it?"""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audits.management.exits import FOUND_WRONG, UNUSABLE
from rollouts.retention.words import payloads
from rollouts.services.retention.verifying import Report, unfounded_files, verify_archive


class Command(BaseCommand):
    help = (
        "Proves a file of the archive against the audit trail and the database: its SHA-256, that of every payload, "
        "and that none is missing. Says as well where payloads are noted for a file that no event names. Exit code 0: "
        "sound, 1: altered, incomplete or noted without an event, 2: there is no such file."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="the file, as archive_payloads wrote it")
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of sentences")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            report = verify_archive(options["file"])
        except OSError as error:
            words = f"{options['file']} cannot be read: {error.strerror}. Check the path."
            raise CommandError(words, returncode=UNUSABLE) from error
        unfounded = unfounded_files()
        if options["json"]:
            self.stdout.write(json.dumps({**report.as_json(), "unfounded": unfounded}))
        else:
            self._say(report)
            for sentence in unfounded:
                self.stdout.write(self.style.ERROR(sentence))
        if unfounded or not report.is_sound:
            raise SystemExit(FOUND_WRONG)

    def _say(self, report: Report) -> None:
        for problem in report.problems:
            self.stdout.write(self.style.ERROR(problem))
        if report.event is None or not report.is_sound:
            self.stdout.write(self.style.ERROR(f"ALTERED: {report.file} is not what was archived."))
            return
        self.stdout.write(
            self.style.SUCCESS(
                f"Sound: {payloads(report.lines)} as event {report.event.sequence} says; in this file alone: "
                f"{report.archived:,}, in the database as well: {report.present:,}."
            )
        )
