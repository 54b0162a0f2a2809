"""`manage.py import_flagd`: a flagd definition as a draft of a change request, with a graded report."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from audits.context import Actor
from audits.errors import GovernanceError
from audits.management.exits import UNUSABLE, code_of
from flags.interop import Grade
from flags.interop.flagd_reading import MAX_BYTES
from flags.models import Environment
from rollouts.management.operators import active_person
from rollouts.services.imports import ImportPlan, PlannedFlag, plan_import, propose_import


class Command(BaseCommand):
    help = (
        "Reads a flagd definition and proposes its flags as a draft of a change request, which somebody else approves. "
        "Flags that do not exist yet are created, switched off. Prints how faithfully each flag can be read."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="the definition: JSON, 1 MB at most")
        parser.add_argument("--project", required=True, metavar="KEY", help="the project the flags belong to")
        parser.add_argument("--environment", required=True, metavar="KEY", help="where they should serve")
        parser.add_argument("--as", required=True, dest="person", metavar="USER", help="who asks: an editor there")
        parser.add_argument("--only", action="append", metavar="FLAG", help="take over this flag only; can be repeated")
        parser.add_argument("--title", default="", help="the title of the request")
        parser.add_argument("--reason", default="", help="why; can be added later, before review")
        parser.add_argument("--dry-run", action="store_true", help="print the report and change nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        environment = _environment(options["project"], options["environment"])
        person = active_person(options["person"])
        definition = _read(options["file"])
        plan = plan_import(environment, definition)
        if plan.report.problems:
            raise CommandError("\n".join(_problem(problem) for problem in plan.report.problems), returncode=UNUSABLE)
        self._print(plan)
        if options["dry_run"]:
            self.stdout.write("Nothing was changed: this was a dry run.")
            return
        try:
            request = propose_import(
                environment,
                definition,
                keys=options["only"],
                actor=Actor.person(person, via="command"),
                title=options["title"],
                reason=options["reason"],
                now=timezone.now(),
            )
        except GovernanceError as error:
            raise CommandError(f"{error.message} Nothing was changed.", returncode=code_of(error)) from error
        self.stdout.write(
            f"Draft #{request.number} “{request.title}” is in {environment.name}. Check it there, then ask for review."
        )

    def _print(self, plan: ImportPlan) -> None:
        for flag in plan.flags:
            self.stdout.write(f"{flag.imported.grade.value:12} {flag.imported.key}  ({_standing(flag)})")
            for note in flag.imported.notes:
                self.stdout.write(f"{'':12}   {note}")
        counts = [(sum(flag.imported.grade is grade for flag in plan.flags), grade.value) for grade in Grade]
        self.stdout.write(", ".join(f"{count} {grade}" for count, grade in counts) + ".")


def _standing(flag: PlannedFlag) -> str:
    if flag.imported.document is None:
        return "not taken over"
    if flag.is_new:
        return f"new, {flag.imported.value_type}"
    return "changes what is served" if flag.is_changed else "as it is live now"


def _environment(project: str, key: str) -> Environment:
    found = Environment.objects.select_related("project").filter(project__key=project, key=key).first()
    if found is None:
        message = f"There is no environment “{key}” in a project “{project}”. Check both keys."
        raise CommandError(message, returncode=UNUSABLE)
    return found


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}. Check the path."
        raise CommandError(message, returncode=UNUSABLE) from error


def _problem(problem: Any) -> str:
    return f"{problem.path}: {problem.message}" if problem.path else problem.message
