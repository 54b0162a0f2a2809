"""What the buttons of the inbox do with the chosen flags: snooze, clean up, plan their ending, wake."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time

from django.urls import reverse

from audits.context import Actor
from flags.errors import NotFound
from flags.models import Flag, Project
from flags.services.keys import problem
from rollouts.deprecations.checking import year_problem
from rollouts.models import Snooze
from rollouts.schedules.zones import instant_in, zone_of
from rollouts.services.cleaning import Cleaning, propose_clean_up, words_of
from rollouts.services.drafted_endings import Announcement, draft_endings, too_late
from rollouts.services.staleness import end_snooze, snooze_flags

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
            day = date.fromisoformat(self.text(name))
        except ValueError:
            raise problem(name, "Give a day, such as 2027-01-31.") from None
        if found := year_problem(datetime.combine(day, time.min)):
            raise problem(name, found)
        return day


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it, what was left out and why, and where to go."""

    words: str
    left_out: Sequence[str] = ()
    address: str = ""


def snooze_ticked(call: Call) -> Outcome:
    """Say that the chosen flags are wanted until a day."""
    day = call.day("until")
    until = instant_in(zone_of(call.zone), datetime.combine(day, time.min))
    flags = _chosen(call)
    snooze_flags(call.project, flags, until=until, actor=call.actor, reason=call.text("reason"), now=call.now)
    return Outcome(f"{_flags(len(flags))} snoozed until {day:%-d %B %Y}.")


def wake(call: Call) -> Outcome:
    """Take a snooze back."""
    try:
        snooze_id = uuid.UUID(call.text("snooze"))
    except ValueError:
        raise problem("snooze", "Choose the snooze to end.") from None
    if not Snooze.objects.filter(pk=snooze_id, project=call.project).exists():
        raise NotFound("There is no such snooze.", snooze_id=str(snooze_id))
    row = end_snooze(snooze_id, actor=call.actor, reason="", now=call.now)
    return Outcome(f"{row.flag.name} is no longer snoozed.")


def clean_up(call: Call) -> Outcome:
    """Open one change request for all chosen flags; several environments are one bundle."""
    try:
        how = Cleaning(call.text("how"))
    except ValueError:
        raise problem("how", "Choose what becomes of the flags.") from None
    ids = [flag.pk for flag in _chosen(call)]
    found = propose_clean_up(call.project, ids, how, actor=call.actor, reason=call.text("reason"), now=call.now)
    requests = sorted(found.requests, key=lambda request: request.environment.position)
    numbers = ", ".join(f"#{request.number} in {request.environment.name}" for request in requests)
    together = ". They go live together once each is approved" if len(requests) > 1 else ""
    address = reverse("admin:rollouts_changerequest_change", args=[requests[-1].pk])
    return Outcome(f"Proposed: {numbers}{together}.", words_of(found.left_out), address)


def plan_endings(call: Call) -> Outcome:
    """Draft a timeline for each chosen flag in every environment where it is set up, by the template of its kind."""
    announced, chosen = Announcement(call.day("starts_on"), call.zone, call.text("reason")), _chosen(call)
    if found_past := too_late(chosen, announced, now=call.now):
        raise problem("starts_on", found_past)
    found = draft_endings(call.project, chosen, announced, actor=call.actor, now=call.now)
    flags = len({timeline.flag_id for timeline in found.timelines})
    words = f"Drafts of timelines for {_flags(flags)}. Nothing has changed yet: look at them, then propose them."
    return Outcome(words, words_of(found.left_out), reverse("admin:rollouts_deprecationtimeline_changelist"))


ACTS: Mapping[str, Callable[[Call], Outcome]] = {
    "snooze": snooze_ticked,
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


def _flags(number: int) -> str:
    return "1 flag" if number == 1 else f"{number} flags"
