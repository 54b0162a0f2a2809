"""Cleaning up flags that nobody needs any more: one change request per environment for all of them."""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from audits.context import Actor
from flags import permissions
from flags.changes import ChangeSet, ConfigEdit
from flags.documents.schema import Document
from flags.errors import PermissionMissing
from flags.lifecycle.shapes import Shape, shape_of
from flags.models import Environment, Flag, FlagConfig, Project
from flags.services.attempts import attempt
from flags.services.keys import problem
from rollouts.deprecations.transitions import LIVE_STATES
from rollouts.models import ChangeRequest, DeprecationTimeline, PlanFlag
from rollouts.services.bundles import create_bundle, submit_bundle
from rollouts.services.checks import checked_prose
from rollouts.services.drafting import create_change_request, submit_change_request

MOST_FLAGS = 50


class Cleaning(StrEnum):
    """What becomes of flags. `TIDY`: everybody keeps what everybody gets, and rules that decide nothing go.
    `SWITCH_OFF`: everybody gets the switched-off answer.
    """

    TIDY = "tidy"
    SWITCH_OFF = "switch_off"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A flag that a clean-up left as it is in an environment, and why."""

    flag_key: str
    environment: str
    why: str

    @property
    def words(self) -> str:
        """As a sentence."""
        return f"{self.flag_key} in {self.environment}: {self.why}"


@dataclass(frozen=True, slots=True)
class CleanUp:
    """The requests that a clean-up opened, and what it left out."""

    requests: tuple[ChangeRequest, ...]
    left_out: tuple[LeftOut, ...]


def propose_clean_up(
    project: Project, flag_ids: Collection[uuid.UUID], how: Cleaning, *, actor: Actor, reason: str, now: datetime
) -> CleanUp:
    """Ask for a clean-up of flags in every environment where the actor may propose: a submitted request for each.

    Requests for several environments are one bundle, so they go live together. Raises InvalidInput where nothing would
    change, PermissionMissing, and what submitting a request raises.
    """

    def act() -> CleanUp:
        why = checked_prose(reason, field="reason", required=True)
        flags = list(Flag.objects.filter(project=project, pk__in=flag_ids, archived_at=None).order_by("key"))
        if not flags:
            raise problem("flags", "Choose at least one flag.")
        if len(flags) > MOST_FLAGS:
            raise problem("flags", f"Choose at most {MOST_FLAGS} flags at once, so that somebody can still review it.")
        places = [one for one in Environment.objects.filter(project=project) if _may(actor, one)]
        if not places:
            raise PermissionMissing(
                f"This takes the role editor in an environment of {project.name}. Ask an administrator for it.",
                permission=permissions.PROPOSE,
            )
        edits, left_out = _edits(flags, places, how, now=now)
        if not edits:
            first = f" {left_out[0].words}" if left_out else ""
            raise problem("flags", f"Nothing would change.{first}")
        requests = _requests(edits, title=_title(flags, how), actor=actor, reason=why, now=now)
        return CleanUp(tuple(requests), tuple(left_out))

    return attempt(act)


def cleaned(document: Mapping[str, Any], how: Cleaning, *, now: datetime) -> Document | str:
    """The document afterwards, or the sentence that says why it stays as it is."""
    shape = shape_of(document, now)
    if shape is None or shape.is_archived:
        return "it is not served."
    if how is Cleaning.SWITCH_OFF:
        return {**document, "enabled": False} if document["enabled"] else "it is switched off already."
    return _tidied(document, shape)


def _tidied(document: Mapping[str, Any], shape: Shape) -> Document | str:
    if not shape.is_for_all:
        return "people still get different things. Decide on one variant first, or switch it off."
    if shape.deprecated_at is not None:
        return "its end was announced already."
    variant = next(iter(shape.outcomes))
    kept = {name: part for name, part in document.items() if name not in {"targets", "prerequisites"}}
    given = {"default_variant": variant} if shape.is_enabled else {}
    result = {**kept, "rules": [], **given}
    return result if result != document else "nothing about it has to be tidied up."


def _edits(
    flags: Collection[Flag], places: Collection[Environment], how: Cleaning, *, now: datetime
) -> tuple[dict[Environment, list[ConfigEdit]], list[LeftOut]]:
    """What to write, environment by environment: three queries."""
    rows = FlagConfig.objects.filter(flag__in=flags, environment__in=places).select_related("flag", "environment")
    busy = _busy(flags)
    edits: dict[Environment, list[ConfigEdit]] = {}
    left_out = []
    for row in rows.order_by("environment__position", "flag__key"):
        found = busy.get((row.flag_id, row.environment_id)) or cleaned(row.document, how, now=now)
        if isinstance(found, str):
            left_out.append(LeftOut(row.flag.key, row.environment.name, found))
        else:
            edits.setdefault(row.environment, []).append(ConfigEdit(row.flag.key, row.version, found))
    return edits, left_out


def _busy(flags: Collection[Flag]) -> dict[tuple[uuid.UUID, uuid.UUID], str]:
    """Where a plan or a timeline is at work on a flag."""
    live = [state.value for state in LIVE_STATES]
    timelines = DeprecationTimeline.objects.filter(flag__in=flags, state__in=live)
    plans = PlanFlag.objects.filter(flag__in=flags, is_live=True).select_related("plan")
    found = {(row.flag_id, row.environment_id): f"{row.plan.label} is at work on it." for row in plans}
    return found | {(row.flag_id, row.environment_id): f"{row.label} is at work on it." for row in timelines}


def _requests(
    edits: Mapping[Environment, list[ConfigEdit]], *, title: str, actor: Actor, reason: str, now: datetime
) -> list[ChangeRequest]:
    sets = {place.pk: ChangeSet(str(place.pk), tuple(found)) for place, found in edits.items()}
    if len(sets) == 1:
        [(environment_id, change_set)] = sets.items()
        request = create_change_request(
            environment_id, actor=actor, title=title, reason=reason, change_set=change_set, apply_at=None, now=now
        )
        return [submit_change_request(request.pk, actor=actor, now=now)]
    drafts = create_bundle(sets, actor=actor, title=title, reason=reason, apply_at=None, now=now)
    return submit_bundle(drafts[0].membership.bundle_id, actor=actor, now=now)


def _title(flags: Collection[Flag], how: Cleaning) -> str:
    verb = "Switch off" if how is Cleaning.SWITCH_OFF else "Tidy up"
    first = next(iter(flags))
    more = len(flags) - 1
    return f"{verb} {first.name}" + (f" and {more} more stale flag{'' if more == 1 else 's'}" if more else "")


def _may(actor: Actor, environment: Environment) -> bool:
    return permissions.holds(actor, permissions.PROPOSE, environment)
