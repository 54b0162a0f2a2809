"""`manage.py archive_payloads`: old payloads of one class leave the database for files that prove what they hold."""

import json
from argparse import ArgumentParser
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from audits.context import correlation
from audits.errors import GovernanceError
from audits.management.exits import UNUSABLE, code_of
from flags.models import Project
from rollouts.management.operators import operator
from rollouts.retention.classes import TERMS, PayloadClass, checked_days, retention_of
from rollouts.retention.words import payloads
from rollouts.services.retention.archiving import Archived, archive_payloads, count_due


class Command(BaseCommand):
    help = (
        "Moves payloads of one class that are older than an age into files, which the audit trail anchors by their "
        "SHA-256. Everything else about them stays, pages say where they are, and restore_payloads brings them back."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--class", dest="payload_class", required=True, choices=[str(kind) for kind in PayloadClass]
        )
        parser.add_argument("--older-than", metavar="DAYS", help="such as 400d; otherwise what RETENTION says")
        parser.add_argument("--project", metavar="KEY", help="of this project only; otherwise of every one")
        parser.add_argument("--to", type=Path, metavar="FOLDER", help="where the files go; ARCHIVE_DIR by default")
        parser.add_argument("--as", dest="person", metavar="USER", help="who does it: a superuser; else the system")
        parser.add_argument("--reason", default="", help="why, for the audit trail")
        parser.add_argument("--dry-run", action="store_true", help="say how many there are and change nothing")
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of sentences")

    def handle(self, *args: Any, **options: Any) -> None:
        kind, now = PayloadClass(options["payload_class"]), timezone.now()
        until = now - timedelta(days=_days(kind, options["older_than"]))
        projects = _projects(options["project"])
        if options["dry_run"]:
            self._say(options, kind, {one.key: count_due(one, kind, until=until) for one in projects}, [])
            return
        try:
            folder = options["to"] or settings.ARCHIVE_DIR
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with correlation():
                done = [file for one in projects for file in self._archive(one, kind, until, folder, now, options)]
        except OSError as error:
            message = f"The folder cannot be used: {error}. Nothing was archived."
            raise CommandError(message, returncode=UNUSABLE) from error
        except GovernanceError as error:
            raise CommandError(error.message, returncode=code_of(error)) from error
        self._say(options, kind, {}, done)

    def _archive(
        self,
        project: Project,
        kind: PayloadClass,
        until: datetime,
        folder: Path,
        now: datetime,
        options: dict[str, Any],
    ) -> list[Archived]:
        """File after file until nothing is left."""
        actor, found = operator(options["person"], "rollouts.archive_payloads"), []
        facts: dict[str, Any] = {"until": until, "folder": folder, "actor": actor, "reason": options["reason"]}
        while file := archive_payloads(project, kind, now=now, **facts):
            found.append(file)
        return found

    def _say(self, options: dict[str, Any], kind: PayloadClass, due: dict[str, int], done: list[Archived]) -> None:
        if options["json"]:
            files = [
                {"file": str(one.path), "sha256": one.sha256, "payloads": one.payloads, "size": one.size}
                for one in done
            ]
            self.stdout.write(
                json.dumps({"class": kind.value, "is_dry_run": options["dry_run"], "due": due, "files": files})
            )
            return
        for key, count in due.items():
            self.stdout.write(f"{key}: {payloads(count)} would leave the database.")
        for one in done:
            self.stdout.write(f"{one.path}: {payloads(one.payloads)}, {one.size:,} bytes, SHA-256 {one.sha256}")
        if options["dry_run"]:
            self.stdout.write("Nothing was changed: this was a dry run.")
        elif not done:
            self.stdout.write(f"Nothing to archive. None of these may leave by now: {TERMS[kind].holds}.")


def _days(kind: PayloadClass, older_than: str | None) -> int:
    if older_than is None:
        return retention_of(settings.RETENTION)[kind]
    try:
        return checked_days(kind, older_than)
    except ValueError as error:
        raise CommandError(f"{error}.", returncode=UNUSABLE) from error


def _projects(key: str | None) -> list[Project]:
    rows = Project.objects.order_by("key")
    found = list(rows if key is None else rows.filter(key=key))
    if key is not None and not found:
        message = f"There is no project “{key}”. Check the key, or leave --project out."
        raise CommandError(message, returncode=UNUSABLE)
    return found
