"""What the buttons of the inbox do with the chosen flags: snooze, clean up, plan their ending, wake."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from django.urls import reverse

from audits.context import Actor, correlation
from audits.errors import GovernanceError
from flags import permissions
from flags.errors import PermissionMissing
from flags.lifecycle.shapes import shape_of
from flags.models import Environment, Flag, FlagConfig, Project
from flags.services.keys import problem
from rollouts.deprecations.schedules import fill
from rollouts.deprecations.templates import template_for
from rollouts.schedules.zones import instant_in, zone_of
from rollouts.services.cleaning import Cleaning, propose_clean_up
from rollouts.services.staleness import end_snooze, snooze
from rollouts.services.timelines.drafting import create_timelines

MOST_FLAGS = 50


@dataclass(frozen=True, slots=True)
class Call:
    """One press of a button: on which flags of a project, by whom, when, with which fields."""

    project: Project
    flag_ids: Sequence[uuid.UUID]
    actor: Actor
    now: datetime
    zone: str
    fields: Mapping[str, str]

    def text(self, name: str) -> str:
        """A field as text without blanks around it; a missing one is empty."""
        return self.fields.get(name, "").strip()

    def day(self, name: str) -> date:
        """A field as a day. Raises InvalidInput."""
        try:
            return date.fromisoformat(self.text(name))
        except ValueError:
            raise problem(name, "Give a day, such as 2027-01-31.") from None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it, what was left out and why, and where to go."""

    words: str
    left_out: Sequence[str] = ()
    address: str = ""


def snooze_flags(call: Call) -> Outcome:
    """Say that the chosen flags are wanted until a day."""
    until = instant_in(zone_of(call.zone), datetime.combine(call.day("until"), datetime.min.time()))
    reason = call.text("reason")

    def one(flag: Flag) -> None:
        snooze(flag.pk, until=until, actor=call.actor, reason=reason, now=call.now)

    done, left_out = _each(_chosen(call), one)
    return Outcome(f"{_flags(done)} snoozed until {call.day('until'):%-d %B %Y}.", left_out)


def wake(call: Call) -> Outcome:
    """Take a snooze back."""
    try:
        row = end_snooze(uuid.UUID(call.text("snooze")), actor=call.actor, reason="", now=call.now)
    except ValueError:
        raise problem("snooze", "Choose the snooze to end.") from None
    return Outcome(f"{row.flag.name} is no longer snoozed.")


def clean_up(call: Call) -> Outcome:
    """Open one change request per environment for all chosen flags."""
    try:
        how = Cleaning(call.text("how"))
    except ValueError:
        raise problem("how", "Choose what becomes of the flags.") from None
    ids = [flag.pk for flag in _chosen(call)]
    found = propose_clean_up(call.project, ids, how, actor=call.actor, reason=call.text("reason"), now=call.now)
    numbers = ", ".join(f"#{request.number} in {request.environment.name}" for request in found.requests)
    together = " They go live together once each is approved." if len(found.requests) > 1 else ""
    address = reverse("admin:rollouts_changerequest_change", args=[found.requests[0].pk])
    return Outcome(f"Proposed: {numbers}.{together}", [one.words for one in found.left_out], address)


def plan_endings(call: Call) -> Outcome:
    """Draft a timeline for each chosen flag in every environment where it is set up, by the template of its kind."""
    starts_on, reason = call.day("starts_on"), call.text("reason")
    places = [
        one
        for one in Environment.objects.filter(project=call.project)
        if permissions.holds(call.actor, permissions.PROPOSE, one)
    ]

    def one(flag: Flag) -> None:
        configs = list(FlagConfig.objects.filter(flag=flag, environment__in=places))
        if not configs:
            raise problem("flags", "It is set up nowhere where you may propose.")
        for config in configs:
            shape = shape_of(config.document, call.now)
            final = next(iter(shape.outcomes)) if shape and shape.is_for_all else None
            definition = fill(
                template_for(flag.kind), flag_key=flag.key, starts_on=starts_on, zone=call.zone, final_variant=final
            )
            create_timelines(
                flag.pk, [config.environment_id], definition, actor=call.actor, now=call.now, reason=reason
            )

    done, left_out = _each(_chosen(call), one)
    words = f"Drafts of timelines for {_flags(done).lower()}. Nothing has changed yet: look at them, then propose them."
    return Outcome(words, left_out, reverse("admin:rollouts_deprecationtimeline_changelist"))


ACTS: Mapping[str, Callable[[Call], Outcome]] = {
    "snooze": snooze_flags,
    "wake": wake,
    "clean_up": clean_up,
    "plan_endings": plan_endings,
}


def _chosen(call: Call) -> list[Flag]:
    """The flags that were ticked. Raises InvalidInput for none, or too many."""
    flags = list(Flag.objects.filter(project=call.project, pk__in=call.flag_ids).order_by("key"))
    if not flags:
        raise problem("flags", "Tick the flags that it is about.")
    if len(flags) > MOST_FLAGS:
        raise problem("flags", f"Tick at most {MOST_FLAGS} flags at once.")
    return flags


def _each(flags: Sequence[Flag], do: Callable[[Flag], None]) -> tuple[int, list[str]]:
    """Do it for each flag; how many it was done for, and why not for the others. Raises where it was done for none."""
    left_out: list[str] = []
    first: GovernanceError | None = None
    for flag in flags:
        try:
            with correlation():
                do(flag)
        except PermissionMissing:
            raise
        except GovernanceError as error:
            first = first or error
            left_out.append(f"{flag.name}: {error.message}")
    if first is not None and len(left_out) == len(flags):
        raise first
    return len(flags) - len(left_out), left_out


def _flags(number: int) -> str:
    return "1 flag" if number == 1 else f"{number} flags"
