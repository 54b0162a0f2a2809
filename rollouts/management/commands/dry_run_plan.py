"""`manage.py dry_run_plan`: what a rollout plan would do and when, without doing it."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from audits.management.exits import UNUSABLE
from flags.documents.words import percent
from rollouts.models import RolloutPlan
from rollouts.plans.codec import from_json
from rollouts.selectors.plans.dry_runs import DryRun, dry_run


class Command(BaseCommand):
    help = (
        "Carries a rollout plan out on paper, from its first stage on as if it began now: when each stage comes, its "
        "share, what it waits for, how many of some made-up people it reaches, and what stands around it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("number", type=int, help="the number of the plan")
        parser.add_argument("--project", required=True, help="the key of its project")

    def handle(self, *args: Any, **options: Any) -> None:
        plans = RolloutPlan.objects.select_related("environment", "project")
        plan = plans.filter(project__key=options["project"], number=options["number"]).first()
        if plan is None:
            message = "There is no plan with this number in this project. Look at the list of plans."
            raise CommandError(message, returncode=UNUSABLE)
        definition = from_json(plan.definition)
        found = dry_run(definition, plan.environment, base=plan.base, documents=plan.documents, now=timezone.now())
        self.stdout.write(f"#{plan.number} {plan.title}, {plan.environment.name}. Nothing is written.")
        for line in lines_of(found):
            self.stdout.write(line)


def lines_of(found: DryRun) -> list[str]:
    """The dry run line by line."""
    lines = []
    for entry, reach in zip(found.entries, found.reach, strict=True):
        share = "" if entry.share is None else percent(entry.share)
        name = f"{entry.name}, {share}" if share not in {"", entry.name} else entry.name
        lines.append(f"{entry.earliest_at:%Y-%m-%d %H:%M} UTC  {entry.stage}. {name}")
        lines += [f"    {sentence}" for sentence in (*entry.sentences, reach.sentence)]
    lines.append(f"{found.ends_at:%Y-%m-%d %H:%M} UTC  done at the earliest")
    if found.approvals:
        lines.append(f"It asks for {found.approvals} approval{'' if found.approvals == 1 else 's'} before it starts.")
    return [*lines, *(finding.sentence for finding in found.findings), *found.depends]
