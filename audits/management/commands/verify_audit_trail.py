"""`manage.py verify_audit_trail`: is every chain whole, and if not, where does it break first?"""

import json
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audits.chains import Verdict, chain_names, verify_chain
from audits.management.exits import FOUND_WRONG, UNUSABLE


class Command(BaseCommand):
    help = (
        "Checks the audit trail: every event's hash, the link to the event before it, the numbering and the end of "
        "each chain. Names the first bad event of each broken chain. "
        "Exit code 0: sound, 1: broken, 2: nothing could be checked."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--project", metavar="KEY", help="only the chain of this project")
        which.add_argument("--all", action="store_true", help="every chain, that of the site included (the default)")
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of sentences")

    def handle(self, *args: Any, **options: Any) -> None:
        project = options["project"]
        chains = chain_names(project)
        if project is not None and not chains:
            raise CommandError(
                f"There are no audit events of a project {project!r}. Check the key, or leave --project out.",
                returncode=UNUSABLE,
            )
        started = time.perf_counter()
        verdicts = [self._verify(chain) for chain in chains]
        seconds = time.perf_counter() - started
        if options["json"]:
            self.stdout.write(json.dumps(_as_json(verdicts, seconds)))
        else:
            self._say(verdicts, seconds)
        if any(verdict.bad for verdict in verdicts):
            raise SystemExit(FOUND_WRONG)

    def _verify(self, chain: str) -> Verdict:
        if not self.stderr.isatty():
            return verify_chain(chain)

        def show(count: int) -> None:
            self.stderr.write(f"\r{chain}: {count:,} events", ending="")

        verdict = verify_chain(chain, on_progress=show)
        self.stderr.write("\r\x1b[K", ending="")
        return verdict

    def _say(self, verdicts: list[Verdict], seconds: float) -> None:
        for verdict in verdicts:
            if verdict.bad is not None:
                self.stdout.write(self.style.ERROR(_sentence(verdict)))
        events = sum(verdict.events for verdict in verdicts)
        broken = sum(verdict.bad is not None for verdict in verdicts)
        checked = (
            f"{events:,} events in {len(verdicts)} chain{'' if len(verdicts) == 1 else 's'} checked in {seconds:.1f} s"
        )
        if broken:
            self.stdout.write(self.style.ERROR(f"BROKEN: {broken} of {len(verdicts)} chains; {checked}."))
        else:
            self.stdout.write(self.style.SUCCESS(f"Sound: {checked}."))


def _sentence(verdict: Verdict) -> str:
    bad = verdict.bad
    if bad is None:
        return f"Chain {verdict.chain} is sound."
    named = f" ({bad.event_id})" if bad.event_id else ""
    return f"Chain {bad.chain}, event {bad.sequence}{named}: {bad.fault}: {bad.message}."


def _as_json(verdicts: list[Verdict], seconds: float) -> dict[str, Any]:
    return {
        "verdict": "broken" if any(verdict.bad for verdict in verdicts) else "sound",
        "events": sum(verdict.events for verdict in verdicts),
        "seconds": round(seconds, 3),
        "chains": [
            {
                "chain": verdict.chain,
                "events": verdict.events,
                "head_hash": verdict.head_hash,
                "first_bad": verdict.bad
                and {
                    "sequence": verdict.bad.sequence,
                    "id": verdict.bad.event_id or None,
                    "fault": verdict.bad.fault.value,
                    "message": verdict.bad.message,
                },
            }
            for verdict in verdicts
        ],
    }
