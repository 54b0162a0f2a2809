"""`manage.py restore_payloads`: what an archive holds comes back into the database."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from audits.errors import GovernanceError
from audits.management.exits import FOUND_WRONG, UNUSABLE, code_of
from flags.errors import InvalidInput
from rollouts.management.operators import operator
from rollouts.retention.words import payloads
from rollouts.services.retention.restoring import restore_payloads


class Command(BaseCommand):
    help = (
        "Brings the payloads of a file of the archive back, byte for byte, after proving the file. Run a second time "
        "it changes nothing. The file stays."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="the file, as archive_payloads wrote it")
        parser.add_argument("--as", dest="person", metavar="USER", help="who does it: a superuser; else the system")
        parser.add_argument("--reason", default="", help="why, for the audit trail")
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of sentences")

    def handle(self, *args: Any, **options: Any) -> None:
        actor = operator(options["person"], "rollouts.restore_payloads")
        try:
            done = restore_payloads(options["file"], actor=actor, now=timezone.now(), reason=options["reason"])
        except OSError as error:
            message = f"{options['file']} cannot be read: {error.strerror}. Check the path."
            raise CommandError(message, returncode=UNUSABLE) from error
        except InvalidInput as error:
            # The file is not what was archived, which verify_archive ends with as well.
            raise CommandError(error.message, returncode=FOUND_WRONG) from error
        except GovernanceError as error:
            raise CommandError(error.message, returncode=code_of(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps({"restored": done.restored, "present": done.present}))
            return
        self.stdout.write(f"{payloads(done.restored)} came back; there already: {done.present:,}.")
