"""`manage.py replay_verdict`: a guard's verdict given again from its evidence."""

import uuid
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audits.management.exits import FOUND_WRONG, UNUSABLE
from rollouts.models import GuardVerdict
from rollouts.selectors.guard_replay import differences_of, replayed


class Command(BaseCommand):
    help = (
        "Gives a verdict of a guard again from the counts that are kept with it and with those before it, and says "
        "“identical” or what differs. The minutes that were reported are not needed any more."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("verdict", type=uuid.UUID, help="the id of the verdict, as the audit trail names it")

    def handle(self, *args: Any, **options: Any) -> None:
        verdict = GuardVerdict.objects.select_related("plan").filter(pk=options["verdict"]).first()
        if verdict is None:
            message = "There is no verdict with this id. Take it from the plan's page or the audit trail."
            raise CommandError(message, returncode=UNUSABLE)
        self.stdout.write(
            f"{verdict.plan.label}, guard {verdict.metric}, verdict {verdict.number}, {verdict.at:%c} UTC"
        )
        self.stdout.write(verdict.sentence)
        try:
            found = differences_of(verdict, replayed(verdict))
        except (ValueError, KeyError, TypeError) as error:
            raise CommandError(f"It cannot be given again: {error}", returncode=FOUND_WRONG) from error
        if found:
            count = "1 thing differs" if len(found) == 1 else f"{len(found)} things differ"
            raise CommandError("\n".join([f"{count}:", *found]), returncode=FOUND_WRONG)
        self.stdout.write(self.style.SUCCESS("identical"))
