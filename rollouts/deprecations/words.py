"""Timelines in sentences: when each milestone comes, and what it does to people and services."""

from datetime import datetime, timedelta

from flags.documents.schema import named, quoted
from flags.documents.words import percent
from rollouts.plans.words import span
from rollouts.schedules.zones import zone_of

from .definition import Milestone, MilestoneKind, TimelineDefinition

_K = MilestoneKind


def local(at: datetime, zone: str) -> str:
    """“3 March 2026, 09:00” by the clocks of a zone."""
    shown = at.astimezone(zone_of(zone))
    return f"{shown.day} {shown:%B %Y, %H:%M}"


def local_day(at: datetime, zone: str) -> str:
    """“3 March 2026” by the clocks of a zone."""
    return local(at, zone).partition(",")[0]


def milestone_name(milestone: Milestone) -> str:
    """The milestone in a list: “Ramp-down to 25 %”, “Brownout of 10 minutes”, “Sunset”."""
    if milestone.kind is _K.BROWNOUT:
        return f"Brownout of {span(timedelta(minutes=milestone.minutes))}"
    if milestone.kind is _K.RAMP_DOWN:
        return f"Ramp-down of {percent(milestone.weight)}"
    return {
        _K.ANNOUNCE: "Announcement",
        _K.WARN: "Warning to services",
        _K.SUNSET: "Sunset",
        _K.ARCHIVE: "Archiving",
    }[milestone.kind]


def milestone_sentence(definition: TimelineDefinition, number: int) -> str:
    """What happens at a milestone, and when by the clocks of the timeline."""
    milestone = definition.milestones[number - 1]
    at = local(milestone.at, definition.zone)
    return f"{'On' if milestone.kind is _K.BROWNOUT else 'From'} {at}{_what_happens(definition, milestone)}"


def _what_happens(definition: TimelineDefinition, milestone: Milestone) -> str:
    flag, served = named(definition.flag_key), final_answer(definition)
    if milestone.kind is _K.ANNOUNCE:
        return f": people are told that {flag} ends. What is served stays as it is."
    if milestone.kind is _K.WARN:
        return f": every evaluation says that {flag} is deprecated{_told(definition)}. Answers stay as they are."
    if milestone.kind is _K.BROWNOUT:
        return f" for {span(timedelta(minutes=milestone.minutes))}: everybody gets {served}, then what they got before."
    if milestone.kind is _K.RAMP_DOWN:
        return f": {percent(milestone.weight)} of people get {served}, always the same ones."
    if milestone.kind is _K.SUNSET:
        return f": everybody gets {served}."
    return (
        f": {flag} is left out of what is served. Services that still ask are told that there is no such flag and use "
        "their code default. This cannot be undone; the flag can be revived."
    )


def _told(definition: TimelineDefinition) -> str:
    sunset_at = next((item.at for item in definition.milestones if item.kind is _K.SUNSET), None)
    told = (
        f"that its sunset is on {local_day(sunset_at, definition.zone)}" if sunset_at else "that it has no sunset yet"
    )
    replaced = f" and that {named(definition.successor)} replaces it" if definition.successor else ""
    return f", {told}{replaced}" if replaced else f" and {told}"


def final_answer(definition: TimelineDefinition) -> str:
    """What people get from whom the flag is withdrawn."""
    return "their code default" if definition.final_variant is None else quoted(definition.final_variant)


def summary(definition: TimelineDefinition) -> str:
    """A whole timeline in three sentences; a year is said where it is another one than that of the date before."""
    parts, year = [], 0
    for milestone in definition.milestones:
        at = local(milestone.at, definition.zone)
        this_year = milestone.at.astimezone(zone_of(definition.zone)).year
        parts.append(_part(milestone, at if this_year != year else at.replace(f" {this_year},", ",")))
        year = this_year
    dates = "; ".join(parts)
    replaced = f" {named(definition.successor)} replaces it." if definition.successor else ""
    return (
        f"{dates[:1].upper()}{dates[1:]}. Whoever it is withdrawn from gets {final_answer(definition)}.{replaced} "
        f"Times are those of {definition.zone}."
    )


def _part(milestone: Milestone, at: str) -> str:
    if milestone.kind is _K.BROWNOUT:
        return f"brownout on {at} ({span(timedelta(minutes=milestone.minutes))})"
    if milestone.kind is _K.RAMP_DOWN:
        return f"{percent(milestone.weight)} from {at}"
    return {
        _K.ANNOUNCE: "announced on {}",
        _K.WARN: "services told from {}",
        _K.SUNSET: "sunset on {}",
        _K.ARCHIVE: "archived on {}",
    }[milestone.kind].format(at)
