"""Cleaning up flags that nobody needs any more: one change request for all; several environments are a bundle."""

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
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
from rollouts.models import ChangeRequest, StaleVerdict
from rollouts.selectors.staleness.facts import FlagLife, lives_of
from rollouts.services.bundles import create_bundle, submit_bundle
from rollouts.services.checks import checked_prose
from rollouts.services.drafting import create_change_request, submit_change_request

MOST_FLAGS = 50
# Sentences, and keys in a sentence, that somebody reads at once.
MOST_WORDS = 5


class Cleaning(StrEnum):
    """What becomes of flags. `TIDY`: everybody gets what everybody with a targeting key gets, and rules that decide
    nothing go; that widens where a split left out whoever has no key.

    `SWITCH_OFF`: everybody gets the switched-off answer.
    """

    TIDY = "tidy"
    SWITCH_OFF = "switch_off"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A flag that an act left as it is in an environment, or everywhere where that is empty, and why."""

    flag_key: str
    environment: str
    why: str


@dataclass(frozen=True, slots=True)
class CleanUp:
    """The requests that a clean-up opened, and what it left out."""

    requests: tuple[ChangeRequest, ...]
    left_out: tuple[LeftOut, ...]


def propose_clean_up(
    project: Project, flag_ids: Collection[uuid.UUID], how: Cleaning, *, actor: Actor, reason: str, now: datetime
) -> CleanUp:
    """Ask for a clean-up of stale flags in every environment where the actor may propose: a submitted request for each.

    Requests for several environments are one bundle, so they go live together. What is not stale, asked for already or
    in the way is left out. Raises InvalidInput where nothing would change, PermissionMissing, and what submitting a
    request raises.
    """

    def act() -> CleanUp:
        why = checked_prose(reason, field="reason", required=True)
        flags = list(Flag.objects.filter(project=project, pk__in=flag_ids).order_by("key"))
        if not flags:
            raise problem("flags", "Choose at least one flag.")
        if len(flags) > MOST_FLAGS:
            raise problem("flags", f"Choose at most {MOST_FLAGS} flags at once, so that somebody can still review it.")
        places = proposing_places(project, actor)
        # One at a time, so that of two that ask for the same at once the second one finds the request of the first.
        Project.objects.select_for_update(of=("self",), no_key=True).get(pk=project.pk)
        edits, left_out = _edits(project, flags, places, how, now=now)
        if not edits:
            raise problem("flags", f"Nothing would change. {' '.join(words_of(left_out)[:MOST_WORDS])}")
        edited = {edit.flag_key for found in edits.values() for edit in found}
        title = _title([flag for flag in flags if flag.key in edited], how)
        requests = _requests(edits, title=title, actor=actor, reason=why, now=now)
        return CleanUp(tuple(requests), tuple(left_out))

    return attempt(act)


def proposing_places(project: Project, actor: Actor) -> list[Environment]:
    """The environments of a project where the actor may propose, in their order. Raises PermissionMissing for none."""
    environments = Environment.objects.filter(project=project).order_by("position", "key")
    places = [one for one in environments if permissions.holds(actor, permissions.PROPOSE, one)]
    if not places:
        raise PermissionMissing(
            f"This takes the role editor in an environment of {project.name}. Ask an administrator for it.",
            permission=permissions.PROPOSE,
        )
    return places


def words_of(left_out: Iterable[LeftOut]) -> list[str]:
    """What was left out in sentences, flags with the same reason together."""
    together: dict[tuple[str, str], list[str]] = {}
    for one in left_out:
        together.setdefault((one.environment, one.why), []).append(one.flag_key)
    return [f"{_listed(keys)}{f' in {place}' if place else ''}: {why}" for (place, why), keys in together.items()]


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
    project: Project, flags: Sequence[Flag], places: Collection[Environment], how: Cleaning, *, now: datetime
) -> tuple[dict[Environment, list[ConfigEdit]], list[LeftOut]]:
    """What to write, environment by environment, and what is left out: as many queries for many flags as for one."""
    stale = set(StaleVerdict.objects.filter(flag__in=flags, is_stale=True).values_list("flag", flat=True))
    configs: dict[uuid.UUID, list[FlagConfig]] = {}
    for config in FlagConfig.objects.filter(flag__in=flags).select_related("environment"):
        configs.setdefault(config.flag_id, []).append(config)
    edits: dict[Environment, list[ConfigEdit]] = {place: [] for place in places}
    left_out = []
    for each in lives_of(project, now=now, flags=flags):
        key, served = each.flag.key, configs.get(each.flag.pk, [])
        against = _against(each, how, is_stale=each.flag.pk in stale)
        if against or not served:
            left_out.append(LeftOut(key, "", against or "it is set up nowhere."))
            continue
        for config in served:
            found = _edited(config, each, edits.keys(), how, now)
            if isinstance(found, str):
                left_out.append(LeftOut(key, config.environment.name, found))
            else:
                edits[config.environment].append(ConfigEdit(key, config.version, found))
    return {place: found for place, found in edits.items() if found}, left_out


def _against(each: FlagLife, how: Cleaning, *, is_stale: bool) -> str:
    """Why a flag is left as it is everywhere, empty where nothing speaks against it.

    What people get may change only where the flag could go as well.
    """
    if each.flag.archived_at is not None:
        return "it is archived."
    if not is_stale:
        return "it does not count as stale."
    blockers = each.life.removal.blockers if how is Cleaning.SWITCH_OFF else ()
    return blockers[0].sentence if blockers else ""


def _edited(
    config: FlagConfig, each: FlagLife, places: Collection[Environment], how: Cleaning, now: datetime
) -> Document | str:
    """The document of a flag in one environment afterwards, or why it stays as it is there."""
    if config.environment not in places:
        return "you may not propose there; it takes the role editor."
    place = next(one for one in each.life.facts.places if one.key == config.environment.key)
    if place.requests:
        return f"{place.requests[0]} asks for a change of it already."
    at_work = [*place.plans, *place.timelines]
    return f"{at_work[0]} is at work on it." if at_work else cleaned(config.document, how, now=now)


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


def _title(flags: Sequence[Flag], how: Cleaning) -> str:
    verb = "Switch off" if how is Cleaning.SWITCH_OFF else "Tidy up"
    more = len(flags) - 1
    return f"{verb} {flags[0].name}" + (f" and {more} more stale flag{'' if more == 1 else 's'}" if more else "")


def _listed(keys: Sequence[str]) -> str:
    more = len(keys) - MOST_WORDS
    return f"{', '.join(keys[:MOST_WORDS])}{f' and {more} more' if more > 0 else ''}"
