"""Drafting the ends of many flags at once: a timeline for each where it is set up, by the template of its kind."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from audits.context import Actor, correlation
from audits.errors import GovernanceError
from flags.lifecycle.shapes import shape_of
from flags.models import Environment, Flag, FlagConfig, Project
from flags.services.attempts import attempt
from flags.services.keys import problem
from rollouts.deprecations.checking import past_problems
from rollouts.deprecations.schedules import fill
from rollouts.deprecations.templates import template_for
from rollouts.deprecations.transitions import STANDING_STATES
from rollouts.models import DeprecationTimeline
from rollouts.services.cleaning import MOST_WORDS, LeftOut, proposing_places, words_of
from rollouts.services.timelines.drafting import create_timelines

Standing = Mapping[tuple[uuid.UUID, uuid.UUID], str]


@dataclass(frozen=True, slots=True)
class Announcement:
    """When ends are announced, by the clocks of which zone, and why."""

    starts_on: date
    zone: str
    reason: str


@dataclass(frozen=True, slots=True)
class DraftedEndings:
    """The drafts that were made, and what was left out."""

    timelines: tuple[DeprecationTimeline, ...]
    left_out: tuple[LeftOut, ...]


def draft_endings(
    project: Project, flags: Sequence[Flag], announced: Announcement, *, actor: Actor, now: datetime
) -> DraftedEndings:
    """A draft of a timeline for each of these flags wherever the actor may propose and everybody gets the same.

    Of one flag all drafts are made or none; the others go ahead. Raises PermissionMissing, and what creating a timeline
    raises where none was made.
    """
    places = proposing_places(project, actor)
    configs: dict[uuid.UUID, list[FlagConfig]] = {}
    for config in FlagConfig.objects.filter(flag__in=flags).select_related("environment"):
        configs.setdefault(config.flag_id, []).append(config)
    standing = _standing(flags)
    made: list[DeprecationTimeline] = []
    left_out: list[LeftOut] = []
    first: GovernanceError | None = None
    for flag in flags:
        wanted, without = _wanted(flag, configs.get(flag.pk, []), places, standing, now)
        left_out += without
        try:
            with correlation():
                made += _draft(flag, wanted, announced, actor=actor, now=now)
        except GovernanceError as error:
            first = first or error
            left_out.append(LeftOut(flag.key, "", error.message))
    if not made:
        raise first or problem("flags", f"Nothing was drafted. {' '.join(words_of(left_out)[:MOST_WORDS])}")
    return DraftedEndings(tuple(made), tuple(left_out))


def too_late(flags: Sequence[Flag], announced: Announcement, *, now: datetime) -> str:
    """Why no end can be announced on this day: what follows it would be past. Empty where all of it lies ahead."""
    for template in {template_for(flag.kind).key: template_for(flag.kind) for flag in flags}.values():
        definition = fill(template, flag_key="", starts_on=announced.starts_on, zone=announced.zone)
        if past_problems(definition, now=now):
            day = f"{announced.starts_on.day} {announced.starts_on:%B %Y}"
            return f"Milestones that follow an announcement on {day} are past already. Choose a day from today on."
    return ""


def _standing(flags: Sequence[Flag]) -> Standing:
    """The timelines these flags have already, by flag and environment."""
    rows = DeprecationTimeline.objects.filter(flag__in=flags, state__in=STANDING_STATES)
    return {(row.flag_id, row.environment_id): row.label for row in rows.defer("base", "written")}


def _wanted(
    flag: Flag, configs: Sequence[FlagConfig], places: Collection[Environment], standing: Standing, now: datetime
) -> tuple[dict[str | None, list[uuid.UUID]], list[LeftOut]]:
    """The environments to draft in by what everybody gets there, and where nothing is drafted."""
    if not configs:
        return {}, [LeftOut(flag.key, "", "it is set up nowhere.")]
    wanted: dict[str | None, list[uuid.UUID]] = {}
    left_out = []
    for config in configs:
        place, shape = config.environment, shape_of(config.document, now)
        if place not in places:
            left_out.append(LeftOut(flag.key, place.name, "you may not propose there; it takes the role editor."))
        elif label := standing.get((flag.pk, place.pk)):
            left_out.append(LeftOut(flag.key, place.name, f"{label} is there already."))
        elif shape is None or shape.is_archived:
            left_out.append(LeftOut(flag.key, place.name, "it is not served."))
        elif not shape.is_for_all:
            left_out.append(
                LeftOut(flag.key, place.name, "people still get different things. Decide on one variant first.")
            )
        else:
            wanted.setdefault(next(iter(shape.outcomes)), []).append(place.pk)
    return wanted, left_out


def _draft(
    flag: Flag,
    wanted: Mapping[str | None, Collection[uuid.UUID]],
    announced: Announcement,
    *,
    actor: Actor,
    now: datetime,
) -> list[DeprecationTimeline]:
    """The drafts of one flag: all of them or none."""
    template, day = template_for(flag.kind), announced.starts_on

    def act() -> list[DeprecationTimeline]:
        made = []
        for final, environment_ids in wanted.items():
            definition = fill(template, flag_key=flag.key, starts_on=day, zone=announced.zone, final_variant=final)
            made += create_timelines(
                flag.pk, environment_ids, definition, actor=actor, now=now, reason=announced.reason
            )
        return made

    return attempt(act)
