"""Whether a flag is stale, and why: reasons weighed over its environments, and what speaks against calling it so."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from .facts import FlagFacts, PlaceFacts
from .reasons import Confidence, Finding, Held, Reason, confidence_in, reasons_in
from .thresholds import PERMANENT_TAG, UNTOUCHED_DAYS, YOUNG_DAYS, is_tagged_permanent

# One environment that decides is enough: a share that stands still in production is forgotten there.
_ANYWHERE = frozenset({Reason.FORGOTTEN_PARTIAL})
_DOUBTS = {
    Confidence.LOW: " No figures of evaluations come from there, so look for yourself.",
    Confidence.MEDIUM: " Figures of some of these days are missing.",
    Confidence.HIGH: "",
}


@dataclass(frozen=True, slots=True)
class Guard:
    """Why a flag is not called stale, whatever was found."""

    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Staleness:
    """What was found about a flag. It is stale when there is a reason and no guard.

    `free_since` is when the last guard ended, as far as that is known.
    """

    findings: Sequence[Finding]
    guards: Sequence[Guard]
    free_since: datetime

    @property
    def is_stale(self) -> bool:
        """Whether it is past its life."""
        return bool(self.findings) and not self.guards

    @property
    def since(self) -> datetime | None:
        """Since when it is stale, None unless it is: a reason held for longer than is usual, and no guard did."""
        return max(min(each.due_at for each in self.findings), self.free_since) if self.is_stale else None

    @property
    def confidence(self) -> Confidence | None:
        """That of the surest reason, None without one."""
        return max((each.confidence for each in self.findings), key=lambda found: found.rank, default=None)


def judge(flag: FlagFacts, now: datetime) -> Staleness:
    """What there is to say about a flag at an instant. What was before its present life says nothing about it."""
    living = flag.of_this_life
    return Staleness(tuple(_findings(living, now)), tuple(_guards(living, now)), _free_since(living))


def _findings(flag: FlagFacts, now: datetime) -> Iterator[Finding]:
    if flag.is_permanent:
        return
    if flag.archived_at is None:
        deciding = flag.deciding
        held = [(place, list(reasons_in(flag, place, now))) for place in deciding]
        for reason in Reason:
            found = [(place, each) for place, every in held for each in every if each.reason is reason]
            if found and (len(found) == len(deciding) or reason in _ANYWHERE):
                yield _weighed(flag, found, now)
        yield from _expired(flag, deciding, now)
        yield from _only_in_config(flag, deciding, now)
    yield from _only_in_code(flag, now)
    yield from _unknown(flag, now)


def _weighed(flag: FlagFacts, found: Sequence[tuple[PlaceFacts, Held]], now: datetime) -> Finding:
    first = found[0][1]
    since = max(each.since for _, each in found)
    confidence = min((each.confidence for _, each in found), key=lambda one: one.rank)
    names = " and ".join(place.name for place, _ in found)
    age = (now - since).days
    words = f"In {names}, {first.what}: for {_days(age)}, and {_days(first.days)} are usual.{_DOUBTS[confidence]}"
    asked = _asked_elsewhere(flag, now) if first.reason in {Reason.NEVER_EVALUATED, Reason.NO_EVALUATIONS} else []
    if asked and confidence is not Confidence.LOW:
        confidence = Confidence.MEDIUM
        words += f" It is still asked for in {' and '.join(asked)}."
    in_bulk = [place for place, each in found if each.in_bulk]
    if in_bulk:
        confidence = Confidence.LOW
        words += _bulk_words(in_bulk)
    due_at = since + timedelta(days=first.days)
    return Finding(first.reason, since, due_at, words, confidence, {"days": age, "threshold": first.days})


def _bulk_words(places: Sequence[PlaceFacts]) -> str:
    names = " and ".join(place.name for place in places)
    return f" Clients that ask for all flags at once still get it in {names}, and may use it without saying so."


def _asked_elsewhere(flag: FlagFacts, now: datetime) -> list[str]:
    deciding = {place.key for place in flag.deciding}
    return [place.name for place in flag.places if place.key not in deciding and place.use.lately(now)]


def _expired(flag: FlagFacts, deciding: Sequence[PlaceFacts], now: datetime) -> Iterator[Finding]:
    days, age = flag.thresholds.lifetime, (now - flag.born_at).days
    if days is None or age < days:
        return
    # Age alone never makes anybody sure.
    least = min((confidence_in(place, days, now) for place in deciding), key=lambda c: c.rank, default=Confidence.LOW)
    confidence = min(least, Confidence.MEDIUM, key=lambda one: one.rank)
    words = f"It has lived for {_days(age)}; flags of the kind “{flag.kind}” are meant to go after {_days(days)}."
    since = flag.born_at + timedelta(days=days)
    yield Finding(Reason.EXPIRED_BY_KIND, since, since, words, confidence, {"days": age, "threshold": days})


def _only_in_config(flag: FlagFacts, deciding: Sequence[PlaceFacts], now: datetime) -> Iterator[Finding]:
    named, days = flag.references, flag.thresholds.unused
    is_used = any(place.use.lately(now) for place in deciding)
    if not named.is_scanned or named.live or not deciding or days is None or is_used:
        return
    since = named.extinct_at or max(flag.born_at, named.scanned_since or now)
    due_at = since + timedelta(days=UNTOUCHED_DAYS)
    if due_at > now:
        return
    # A key that is put together at run time is in no line of code; figures would show it.
    confidence = min((confidence_in(place, days, now) for place in deciding), key=lambda one: one.rank)
    lead = "Code no longer names it" if named.extinct_at else "No code names it"
    words = f"{lead}, and it is still set up."
    in_bulk = [place for place in deciding if place.use.in_bulk_since(now - timedelta(days=days))]
    if in_bulk:
        confidence = min(confidence, Confidence.MEDIUM, key=lambda one: one.rank)
        words += _bulk_words(in_bulk)
    yield Finding(Reason.ONLY_IN_CONFIG, since, due_at, words, confidence, {"days": (now - since).days})


def _only_in_code(flag: FlagFacts, now: datetime) -> Iterator[Finding]:
    if not flag.references.live or any(_is_served(place) for place in flag.places):
        return
    gone = [place.changed_at for place in flag.places if place.changed_at is not None]
    since = flag.archived_at or max(gone, default=flag.born_at)
    words = f"Code still names it in {flag.references.live} lines, and it is served nowhere."
    due_at = since + timedelta(days=UNTOUCHED_DAYS)
    if due_at <= now:
        numbers = {"days": (now - since).days, "lines": flag.references.live}
        yield Finding(Reason.ONLY_IN_CODE, since, due_at, words, Confidence.HIGH, numbers)


def _unknown(flag: FlagFacts, now: datetime) -> Iterator[Finding]:
    asking = [(place, use) for place in flag.places if not _is_served(place) for use in place.use.unknown]
    # What is served where it matters at least as much is no flag that was forgotten.
    matters = any(place.weighs for place, _ in asking)
    if not asking or any(_is_served(place) and place.weighs >= matters for place in flag.places):
        return
    services = sorted({use.service for _, use in asking})
    names = " and ".join(dict.fromkeys(place.name for place, _ in asking))
    words = f"{', '.join(services[:5])} asked for it in {names}, where it is not served."
    since = min(use.first_at or use.last_at for _, use in asking)
    yield Finding(Reason.UNKNOWN_KEY_ASKED, since, since, words, Confidence.HIGH, {"services": len(services)})


def _is_served(place: PlaceFacts) -> bool:
    return place.shape is not None and not place.shape.is_archived


def _guards(flag: FlagFacts, now: datetime) -> Iterator[Guard]:
    if flag.is_permanent:
        how = f"the tag “{PERMANENT_TAG}”" if is_tagged_permanent(flag.tags) else "its kind"
        yield Guard("permanent", f"It is meant to stay, by {how}.")
    if flag.born_at > now - timedelta(days=YOUNG_DAYS):
        yield Guard("young", f"It is younger than {YOUNG_DAYS} days.")
    changed = flag.changed_at
    if changed is not None and changed > now - timedelta(days=UNTOUCHED_DAYS):
        yield Guard("changed_lately", f"It was changed in the last {UNTOUCHED_DAYS} days.")
    if flag.snoozed_until is not None:
        why = f": {flag.snooze_reason}" if flag.snooze_reason else "."
        yield Guard("snoozed", f"It is snoozed until {flag.snoozed_until:%Y-%m-%d}{why}")
    yield from _work_on_it(flag, now)


def _free_since(flag: FlagFacts) -> datetime:
    """When the last guard of those whose end is known ended or will end: youth, changes and snoozes."""
    ends = [flag.born_at + timedelta(days=YOUNG_DAYS)]
    if flag.changed_at is not None:
        ends.append(flag.changed_at + timedelta(days=UNTOUCHED_DAYS))
    if flag.snooze_ended_at is not None:
        ends.append(flag.snooze_ended_at)
    return max(ends)


def _work_on_it(flag: FlagFacts, now: datetime) -> Iterator[Guard]:
    plans = [label for place in flag.places for label in place.plans]
    if plans:
        yield Guard("live_plan", f"A rollout plan acts on it: {', '.join(plans[:3])}.")
    requests = [label for place in flag.places for label in place.fresh_requests]
    if requests:
        yield Guard("open_request", f"A change of it is asked for: {', '.join(requests[:3])}.")
    timelines = [label for place in flag.places for label in place.timelines]
    if timelines:
        yield Guard("ending", f"Its end is under way: {', '.join(timelines[:3])}.")
    if _runs_experiment(flag, now):
        yield Guard("experiment", "Its experiment is under way: people get different variants.")


def _runs_experiment(flag: FlagFacts, now: datetime) -> bool:
    """Whether an experiment splits people, and not for so long that its share counts as forgotten."""
    days = flag.thresholds.partial
    return flag.kind == "experiment" and any(
        place.shape is not None
        and place.shape.is_enabled
        and place.shape.is_split
        and (days is None or place.versions[-1].at > now - timedelta(days=days))
        for place in flag.deciding
    )


def _days(number: int) -> str:
    return "1 day" if number == 1 else f"{number} days"
