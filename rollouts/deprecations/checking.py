"""What is wrong with a timeline."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from flags.documents.deprecation import deprecation_of, deprecation_problems
from flags.documents.schema import named, quote, variant_names
from flags.documents.words import percent
from rollouts.plans.words import span
from rollouts.schedules.zones import UnusableSchedule, zone_of

from .codec import invalid
from .definition import TOTAL_WEIGHT, Milestone, MilestoneKind, TimelineDefinition
from .documents import brownout_ends_at, document_at, is_over
from .mapping import mapping_problems
from .words import local, milestone_name

MAX_MILESTONES = 20
MAX_BROWNOUT_MINUTES = 24 * 60
MAX_REST_MINUTES = 365 * 24 * 60
MAX_RESIDUAL_DAYS = 365
MAX_RESIDUAL = 1_000_000_000
MAX_APPROVALS = 10
FIRST_YEAR, LAST_YEAR = 2_000, 2_199

_K = MilestoneKind
_ORDER = tuple(_K)
_ONCE = (_K.ANNOUNCE, _K.WARN, _K.SUNSET, _K.ARCHIVE)

Problems = list[tuple[str, str]]
Found = Iterator[tuple[str, str]]


def check(definition: TimelineDefinition, base_document: Mapping[str, Any]) -> None:
    """Raise InvalidTimeline with every problem, if there is any."""
    problems = problems_of(definition, base_document)
    if problems:
        raise invalid(problems)


def problems_of(definition: TimelineDefinition, base_document: Mapping[str, Any]) -> Problems:
    """Path and sentence of everything that is wrong with a timeline of a flag whose document is given."""
    problems = schedule_problems(definition)
    problems += _base_problems(base_document)
    problems += _answer_problems(definition, variant_names(base_document))
    return problems or _field_problems(definition, base_document)


def schedule_problems(definition: TimelineDefinition) -> Problems:
    """Path and sentence of what is wrong with the milestones, whatever the flag is."""
    try:
        zone_of(definition.zone)
    except UnusableSchedule as error:
        return [("zone", str(error))]
    milestones = definition.milestones
    if len(milestones) > MAX_MILESTONES:
        return [("milestones", f"Use at most {MAX_MILESTONES} milestones; there are {len(milestones)}.")]
    problems = list(_kind_problems(milestones))
    for place, milestone in enumerate(milestones):
        found = [*_amount_problems(milestone), *_gate_problems(milestone, place)]
        problems += [(f"milestones.{place}.{field}", text) for field, text in found]
    if not problems:
        problems += _date_problems(definition)
    return problems


def past_problems(definition: TimelineDefinition, *, now: datetime, reached: int = 1) -> Problems:
    """Path and sentence of the milestones after that number whose date is past; by itself the announcement may be."""
    return [
        (
            f"milestones.{place}.at",
            f"{milestone_name(milestone)}: {local(milestone.at, definition.zone)} is past. Choose a later date.",
        )
        for place, milestone in enumerate(definition.milestones)
        if place >= reached and milestone.at <= now
    ]


def dates_past(definition: TimelineDefinition, *, reached: int, now: datetime) -> Problems:
    """Path and sentence of the dates that a timeline at that milestone would rush through if it went on now.

    Brownouts whose window is over are left out: they are missed. The announcement alone may come late: nobody gets
    less time by it than was planned.
    """
    while reached < len(definition.milestones) and is_over(definition.milestones[reached], now=now):
        reached += 1
    return past_problems(definition, now=now, reached=max(reached, 1))


def year_problem(at: datetime) -> str:
    """Why a date cannot be used, whatever it is for; empty where it can."""
    return "" if FIRST_YEAR <= at.year <= LAST_YEAR else f"Choose a date of the years {FIRST_YEAR} to {LAST_YEAR}."


def _kind_problems(milestones: tuple[Milestone, ...]) -> Found:
    kinds = [milestone.kind for milestone in milestones]
    for kind in _ONCE:
        if kinds.count(kind) != 1:
            there = "there is none" if kind not in kinds else f"there are {kinds.count(kind)}"
            yield "milestones", f"A timeline has one milestone “{kind.label}”; {there}."
    for place, (before, after) in enumerate(pairwise(kinds), start=1):
        if _ORDER.index(after) < _ORDER.index(before):
            order = ", ".join(kind.label.lower() for kind in _ORDER)
            text = f"“{after.label}” comes before “{before.label}”, not after it. The order is: {order}."
            yield f"milestones.{place}.kind", text
    shares = [(place, item.weight) for place, item in enumerate(milestones) if item.kind is _K.RAMP_DOWN]
    for (_, less), (place, more) in pairwise(shares):
        if more <= less:
            text = f"The shares of a ramp-down grow; here {percent(more)} follows {percent(less)}."
            yield f"milestones.{place}.weight", text


def _amount_problems(milestone: Milestone) -> Found:
    if milestone.kind is _K.BROWNOUT:
        if not 1 <= milestone.minutes <= MAX_BROWNOUT_MINUTES:
            yield "minutes", "Let a brownout last from 1 minute to 24 hours."
    elif milestone.minutes:
        yield "minutes", "Only a brownout has a length. Leave it out here."
    if milestone.kind is _K.RAMP_DOWN:
        if not 1 <= milestone.weight < TOTAL_WEIGHT:
            yield "weight", "Give the share of a ramp-down as more than 0 % and less than 100 %; all is the sunset."
    elif milestone.weight:
        yield "weight", "Only a ramp-down has a share. Leave it out here."
    if text := year_problem(milestone.at):
        yield "at", text


def _gate_problems(milestone: Milestone, place: int) -> Found:
    gates = milestone.gates
    if gates.residual_at_most is not None:
        if not 0 <= gates.residual_at_most <= MAX_RESIDUAL:
            yield "gates.residual_at_most", "Give the evaluations that may be left as a number, 0 for none."
        if not 1 <= gates.residual_days <= MAX_RESIDUAL_DAYS:
            yield "gates.residual_days", f"Count evaluations over 1 to {MAX_RESIDUAL_DAYS} days."
    elif gates.residual_days:
        yield "gates.residual_days", "Say how many evaluations may be left in these days, or leave the days out."
    if not 0 <= gates.approvals <= MAX_APPROVALS:
        yield "gates.approvals", f"Ask for 0 to {MAX_APPROVALS} approvals."
    if not 0 <= gates.not_before_rest_minutes <= MAX_REST_MINUTES:
        yield "gates.not_before_rest_minutes", f"Give the rest in minutes, from 0 to {MAX_REST_MINUTES} (a year)."
    elif gates.not_before_rest_minutes and not place:
        yield "gates.not_before_rest_minutes", "Nothing comes before the announcement. Leave the rest out here."


def _date_problems(definition: TimelineDefinition) -> Found:
    for place, (before, after) in enumerate(pairwise(definition.milestones), start=1):
        path = f"milestones.{place}"
        if after.at <= before.at:
            yield (
                f"{path}.at",
                f"{milestone_name(after)} has to come later than {milestone_name(before).lower()} on "
                f"{local(before.at, definition.zone)}. Choose a later date.",
            )
            continue
        if before.kind is _K.BROWNOUT and after.at < brownout_ends_at(before):
            ends_at = local(brownout_ends_at(before), definition.zone)
            yield f"{path}.at", f"The brownout before it runs until {ends_at}. Choose a date from then on."
        rest = timedelta(minutes=after.gates.not_before_rest_minutes)
        if rest > after.at - before.at:
            yield (
                f"{path}.gates.not_before_rest_minutes",
                f"{milestone_name(after)} is planned {span(after.at - before.at)} after the milestone before it, but "
                f"asks for a rest of {span(rest)}, so it would always be late. Shorten the rest or move the date.",
            )


def _base_problems(base_document: Mapping[str, Any]) -> Found:
    deprecation = deprecation_of(base_document)
    if deprecation is None:
        return
    if deprecation.is_archived:
        yield "flag_key", "The flag is archived here already. Revive it first, if it is to end in another way."
    elif deprecation.withdrawal is not None:
        yield "flag_key", "The flag is being withdrawn here already. Undo that first, and then begin anew."


def _answer_problems(definition: TimelineDefinition, names: list[str]) -> Found:
    if definition.final_variant is not None and definition.final_variant not in names:
        yield "final_variant", f"Choose one of the variants {quote(names)}, or the code default."
    if definition.successor == definition.flag_key:
        yield "successor", f"{named(definition.flag_key)} cannot replace itself. Choose another flag, or none."
    if not definition.successor:
        if definition.mapping:
            yield "mapping", "Choose the successor whose variants stand for those of this flag."
        return
    yield from mapping_problems(definition.mapping, names)


def _field_problems(definition: TimelineDefinition, base_document: Mapping[str, Any]) -> Problems:
    """What the document would be refused for: the address of the link, the key of the successor."""
    last = len(definition.milestones)
    document = document_at(definition, base_document, last, now=definition.milestones[-1].at)
    found = deprecation_problems(document["deprecation"], variant_names(base_document))
    return [(problem.path.removeprefix("deprecation."), problem.message) for problem in found]
