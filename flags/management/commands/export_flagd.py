"""`manage.py export_flagd`: what an environment serves as a flagd definition, for providers that read a file."""

import json
import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audits.management.exits import UNUSABLE
from flags.interop import Definition, export_definition
from flags.models import Environment
from flags.snapshots import build

INCOMPLETE = 3


class Command(BaseCommand):
    help = (
        "Prints the flagd definition of an environment, or writes it to a file in one step. What a definition cannot "
        "say is named on the error output. It holds all rules and targeted keys: never give it to browsers."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--project", required=True, metavar="KEY", help="the project")
        parser.add_argument("--environment", required=True, metavar="KEY", help="the environment")
        parser.add_argument("--output", type=Path, metavar="FILE", help="write here instead of printing")
        parser.add_argument(
            "--strict", action="store_true", help=f"write nothing and end with {INCOMPLETE} if a flag is left out"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        project, key = options["project"], options["environment"]
        environment = Environment.objects.filter(project__key=project, key=key).first()
        if environment is None:
            message = f"There is no environment “{key}” in a project “{project}”. Check both keys."
            raise CommandError(message, returncode=UNUSABLE)
        definition = export_definition(build(environment.pk))
        self._name_omissions(definition)
        if options["strict"] and any(omission.is_left_out for omission in definition.omissions):
            raise CommandError("Nothing was written, because flags would be left out.", returncode=INCOMPLETE)
        text = json.dumps(definition.document, indent=2, ensure_ascii=False) + "\n"
        if options["output"] is None:
            self.stdout.write(text, ending="")
        else:
            _write(options["output"], text)

    def _name_omissions(self, definition: Definition) -> None:
        for omission in definition.omissions:
            fate = "left out" if omission.is_left_out else "said less precisely"
            self.stderr.write(f"{omission.flag_key}: {fate}, because of {omission.what}. {omission.why}")


def _write(path: Path, text: str) -> None:
    """Write beside the file and rename, so that a provider that watches it never reads half of it."""
    beside = path.with_name(f"{path.name}.new")
    try:
        beside.write_text(text, encoding="utf-8")
        os.replace(beside, path)
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}. Check the folder."
        raise CommandError(message, returncode=UNUSABLE) from error
