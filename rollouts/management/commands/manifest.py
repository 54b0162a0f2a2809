"""`manage.py manifest`: a project as one YAML file, compared with what there is and applied through approvals."""

import json
import sys
import time
from argparse import ArgumentParser
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from audits.context import Actor
from audits.errors import GovernanceError
from audits.management.exits import REFUSED, UNUSABLE
from flags.models import Environment, Project
from rollouts.management.operators import active_person
from rollouts.manifest.checking import problems_of
from rollouts.manifest.errors import InvalidManifest
from rollouts.manifest.nodes import MAX_BYTES
from rollouts.manifest.reading import Reading, read_manifest
from rollouts.manifest.schema import schema_text
from rollouts.manifest.writing import write_manifest
from rollouts.models import ChangeRequest
from rollouts.selectors.manifest_plans import ManifestPlan, plan_manifest
from rollouts.selectors.manifests import present_state
from rollouts.services.manifest_outcomes import Applied, State
from rollouts.services.manifests import apply_manifest
from rollouts.transitions import AWAITING_STATES, RequestState

DRIFT, PENDING = 4, 10
PAUSE_SECONDS = 2.0


class Command(BaseCommand):
    help = (
        "Plans, applies, exports or validates a manifest, or writes its JSON Schema. Ends with 0 where nothing is left "
        "to do, 10 where something waits for people, 2 for a manifest that cannot be used, 3 where something was "
        "refused, 4 for drift."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("act", choices=("plan", "apply", "export", "validate", "schema"))
        parser.add_argument("--file", type=Path, default=Path("flags.yaml"), help="the manifest; flags.yaml by default")
        parser.add_argument("--project", metavar="KEY", help="the project; otherwise the one the manifest names")
        parser.add_argument(
            "--environment", action="append", metavar="KEY", help="this environment only; can be repeated"
        )
        parser.add_argument("--as", dest="person", metavar="USER", help="who plans or applies")
        parser.add_argument("--reason", default="", help="why; needed to apply")
        parser.add_argument("--wait", type=int, default=0, metavar="SECONDS", help="wait for requests to be applied")
        parser.add_argument("--fail-on-drift", action="store_true", help="plan: end with 4 where anything differs")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            code = getattr(self, f"_{options['act']}")(options)
        except InvalidManifest as error:
            raise CommandError(_lines(error), returncode=UNUSABLE) from error
        except GovernanceError as error:
            raise CommandError(error.message, returncode=REFUSED) from error
        if code:
            sys.exit(code)

    def _validate(self, options: dict[str, Any]) -> int:
        reading = _read(options)
        reading.refuse(problems_of(reading.manifest, None))
        self._say(options, {"valid": True}, ["The manifest can be used."])
        return 0

    def _export(self, options: dict[str, Any]) -> int:
        project = Project.objects.filter(key=options["project"] or "").first()
        if project is None:
            raise CommandError("There is no such project. Name one with --project.", returncode=UNUSABLE)
        self.stdout.write(write_manifest(present_state(project, only=_only(options, project.key)).manifest), ending="")
        return 0

    def _schema(self, options: dict[str, Any]) -> int:
        self.stdout.write(schema_text(), ending="")
        return 0

    def _plan(self, options: dict[str, Any]) -> int:
        reading = _read(options)
        _require_project(reading)
        actor = Actor.person(_person(options), via="command") if options["person"] else Actor.system("manifest.plan")
        plan = plan_manifest(reading, actor=actor, only=_only(options, _project_key(reading)))
        self._say(options, plan.as_json(), _plan_lines(plan))
        return DRIFT if options["fail_on_drift"] and plan.has_drifted else 0

    def _apply(self, options: dict[str, Any]) -> int:
        reading, actor = _read(options), Actor.person(_person(options), via="command")
        _require_project(reading)
        if not options["reason"].strip():
            raise CommandError("Say why with --reason: it is kept with every change.", returncode=UNUSABLE)
        only = _only(options, _project_key(reading))
        done = apply_manifest(reading, actor=actor, reason=options["reason"], now=timezone.now(), only=only)
        self._say(options, done.as_json(), _applied_lines(done))
        if done.state is State.REFUSED:
            return REFUSED
        if done.state is State.DONE:
            return 0
        is_all = all(one.result.request is not None for one in done.outcomes if one.result.state is State.PENDING)
        code = self._waited(done.requests, options["wait"], is_all=is_all)
        if code == 0 and _is_left(done, plan_manifest(reading, actor=actor, only=only)):
            self.stderr.write("A change request was edited before it was applied: something else is served.")
            return REFUSED
        return code

    def _waited(self, requests: Sequence[ChangeRequest], seconds: int, *, is_all: bool) -> int:
        """What the command ends with once people decided, or nobody did in time."""
        end = time.monotonic() + seconds
        while True:
            for request in requests:
                request.refresh_from_db()
            states = {request.current_state for request in requests}
            if states - AWAITING_STATES - {RequestState.APPLIED, RequestState.DRAFT}:
                self.stderr.write("A change request was not applied: its page says why.")
                return REFUSED
            if is_all and states <= {RequestState.APPLIED}:
                return 0
            if time.monotonic() >= end or not states - {RequestState.APPLIED}:
                return PENDING
            time.sleep(PAUSE_SECONDS)

    def _say(self, options: dict[str, Any], shape: dict[str, Any], lines: Sequence[str]) -> None:
        self.stdout.write(json.dumps(shape, indent=2) if options["json"] else "\n".join(lines))


def _is_left(done: Applied, plan: ManifestPlan) -> bool:
    """Whether anything that was asked for differs still."""
    asked = {address for one in done.outcomes if one.result.request is not None for address in one.addresses}
    return any(step.difference.address in asked for step in plan.steps)


def _require_project(reading: Reading) -> None:
    """Raise CommandError where the manifest is that of a project that does not exist."""
    key = _project_key(reading)
    if not Project.objects.filter(key=key).exists():
        raise CommandError(f"There is no project “{key[:60]}”. Create it first, or check the key.", returncode=UNUSABLE)


def _read(options: dict[str, Any]) -> Reading:
    try:
        with options["file"].open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        message = f"{options['file']} cannot be read: {error.strerror}. Check the path."
        raise CommandError(message, returncode=UNUSABLE) from error
    reading = read_manifest(text)
    if options["project"] and options["project"] != _project_key(reading):
        message = f"The manifest is that of the project “{_project_key(reading)}”, and not of “{options['project']}”."
        raise CommandError(message, returncode=UNUSABLE)
    return reading


def _project_key(reading: Reading) -> str:
    return str(reading.manifest["project"]["key"])


def _only(options: dict[str, Any], project: str) -> Collection[str] | None:
    """The environments asked for, None for all. Raises CommandError for one that does not exist."""
    if not options["environment"]:
        return None
    known = set(Environment.objects.filter(project__key=project).values_list("key", flat=True))
    unknown = sorted(set(options["environment"]) - known)
    if unknown:
        raise CommandError(f"The project has no environment “{unknown[0]}”. Check the key.", returncode=UNUSABLE)
    return set(options["environment"])


def _person(options: dict[str, Any]) -> Any:
    if not options["person"]:
        raise CommandError("Say with --as who applies it: an active person's user name.", returncode=UNUSABLE)
    return active_person(options["person"])


def _lines(error: InvalidManifest) -> str:
    return "\n".join(
        f"line {item['line']}, column {item['column']}: {item['path'] or 'manifest'}: {item['message']}"
        for item in error.facts["problems"]
    )


def _plan_lines(plan: ManifestPlan) -> list[str]:
    if not plan.steps:
        return ["Everything is as the manifest says."]
    lines = []
    for step in plan.steps:
        lines.append(f"{step.difference.kind.value:16}{step.difference.address}")
        lines += [f"{'':18}{sentence}" for sentence in step.difference.sentences]
        lines.append(f"{'':18}-> {step.sentence}")
    return lines


def _applied_lines(done: Applied) -> list[str]:
    if not done.outcomes:
        return ["Nothing was to be done: everything is as the manifest says."]
    lines = []
    for outcome in done.outcomes:
        lines.append(f"{outcome.result.state.value:9}{outcome.result.sentence}")
        lines += [f"{'':11}{address}" for address in outcome.addresses]
    return lines
