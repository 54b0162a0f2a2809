"""Whether a flag can be removed: what forbids it, what asks for care, and what stands in code afterwards."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from .facts import FlagFacts, PlaceFacts
from .shapes import Outcome
from .stages import outcome_words
from .thresholds import RECENT_DAYS, YOUNG_DAYS


class Readiness(StrEnum):
    """Whether a flag can go. `CAUTION`: nothing forbids it, and somebody has to look first."""

    SAFE = "safe"
    CAUTION = "caution"
    BLOCKED = "blocked"

    @property
    def rank(self) -> int:
        """0 is safe."""
        return tuple(Readiness).index(self)


@dataclass(frozen=True, slots=True)
class Matter:
    """Something that forbids removing a flag, or asks for care."""

    code: str
    sentence: str
    environment: str = ""


@dataclass(frozen=True, slots=True)
class ForwardValue:
    """What to write into code instead of the flag. `variant` is None for the code default that stands there already.

    `is_known` is False where people still get different things, or environments differ.
    """

    is_known: bool
    sentence: str
    variant: str | None = None
    value: Any = None


@dataclass(frozen=True, slots=True)
class Removal:
    """The answer to “may it go?”."""

    blockers: Sequence[Matter]
    cautions: Sequence[Matter]
    forward: ForwardValue

    @property
    def readiness(self) -> Readiness:
        """The worst of what was found."""
        if self.blockers:
            return Readiness.BLOCKED
        return Readiness.CAUTION if self.cautions else Readiness.SAFE


def removal_of(flag: FlagFacts, now: datetime) -> Removal:
    """Whether a flag can be removed at an instant, and what stands in code afterwards."""
    forward = forward_value(flag)
    blockers = [matter for place in flag.places for matter in _blockers(flag, place, now)]
    cautions = [matter for place in flag.places for matter in _cautions(flag, place, now)]
    cautions += _about_code(flag)
    if not forward.is_known:
        cautions.append(Matter("no_single_value", forward.sentence))
    return Removal(tuple(blockers), tuple(cautions), forward)


def _blockers(flag: FlagFacts, place: PlaceFacts, now: datetime) -> Iterator[Matter]:
    if place.dependents:
        words = f"Other flags need it in {place.name}: {_listed(place.dependents)}. Change their prerequisites first."
        yield Matter("dependents", words, place.key)
    if place.requests:
        words = f"A change of it is open in {place.name}: {_listed(place.requests)}. Decide on it or withdraw it."
        yield Matter("open_request", words, place.key)
    if place.plans:
        words = f"A rollout plan acts on it in {place.name}: {_listed(place.plans)}. Let it finish or end it."
        yield Matter("live_plan", words, place.key)
    if place.timelines and (place.shape is None or not (place.shape.is_sunset or place.shape.is_archived)):
        words = f"Its timeline in {place.name} has not come to the sunset: {_listed(place.timelines)}."
        yield Matter("timeline_before_sunset", words, place.key)
    if flag.decides(place) and place.use.lately(now) and not _is_withdrawn(place):
        words = (
            f"{_asking(place, now)} in {place.name} in the last {RECENT_DAYS} days. Take it out of their code first."
        )
        yield Matter("recent_use", words, place.key)


def _cautions(flag: FlagFacts, place: PlaceFacts, now: datetime) -> Iterator[Matter]:
    decides = flag.decides(place)
    if decides and place.versions and not place.figures.are_fresh(now):
        words = f"{place.name} reports no evaluations, so nobody can say from here whether it is still asked for."
        yield Matter("no_figures", words, place.key)
    elif decides and place.versions and not place.figures.cover(YOUNG_DAYS, now):
        words = f"{place.name} did not report evaluations all through the last {YOUNG_DAYS} days, so look for yourself "
        yield Matter("gaps_in_figures", f"{words}whether it is still asked for.", place.key)
    if place.use.lately(now):
        if not decides:
            words = f"{_asking(place, now)} in {place.name} in the last {RECENT_DAYS} days."
            yield Matter("use_elsewhere", words, place.key)
        elif _is_withdrawn(place):
            words = f"{_asking(place, now)} in {place.name}, and gets what it will get without the flag."
            yield Matter("use_after_sunset", words, place.key)
    else:
        yield from _use_before(place, now)
    if place.use.unknown:
        services = ", ".join(sorted({each.service for each in place.use.unknown})[:5])
        words = f"Asked for in {place.name} without being served there, by {services}. They get their code default."
        yield Matter("unknown_key_asked", words, place.key)


def _use_before(place: PlaceFacts, now: datetime) -> Iterator[Matter]:
    """Use that is a while ago, and answers to clients that ask for all flags at once: these may use any of them."""
    edge, asked_at = now - timedelta(days=YOUNG_DAYS), place.use.asked_at
    if place.use.in_bulk_since(edge):
        words = (
            f"Clients that ask for all flags at once got it in {place.name}, at last on {place.use.bulk_at:%Y-%m-%d}, "
            "and nobody can tell from here whether they use it. Let them report by telemetry what they evaluate, or "
            "look for its key in their code."
        )
        yield Matter("use_in_bulk", words, place.key)
    if asked_at is not None and asked_at > edge:
        words = f"It was asked for in {place.name} in the last {YOUNG_DAYS} days, on {asked_at:%Y-%m-%d}."
        yield Matter("use_of_late", words, place.key)


def _about_code(flag: FlagFacts) -> Iterator[Matter]:
    if flag.references.live:
        lines = "1 line" if flag.references.live == 1 else f"{flag.references.live} lines"
        yield Matter("code_references", f"Code names it in {lines}. Take it out there first.")
    elif not flag.references.is_scanned:
        why = " ".join(flag.references.doubts) or "No code of the project was scanned."
        code = "scan_doubtful" if flag.references.scanned_since else "not_scanned"
        yield Matter(code, f"{why} So nobody knows from here where it is named.")


def forward_value(flag: FlagFacts) -> ForwardValue:
    """What everybody gets where it matters, so what code can say without asking."""
    deciding = flag.deciding
    if not deciding:
        return ForwardValue(True, "It is set up nowhere: keep the code default.")
    given: dict[str, tuple[Outcome, Any]] = {}
    for place in deciding:
        found = _given(place)
        if found is None:
            words = f"People in {place.name} still get different things: decide on one variant first."
            return ForwardValue(False, words)
        given[place.name] = found
    first = next(iter(given.values()))
    if any(each != first for each in given.values()):
        names = ", ".join(f"{outcome_words(frozenset({one}))} in {name}" for name, (one, _) in given.items())
        return ForwardValue(False, f"Environments differ: {names}. Decide on one variant first.")
    if first[0] is None:
        return ForwardValue(True, "Everybody gets the code default: keep that.")
    return ForwardValue(True, f"Everybody gets {outcome_words(frozenset({first[0]}))}: write its value.", *first)


def _given(place: PlaceFacts) -> tuple[Outcome, Any] | None:
    """What everybody gets and its value, None where people get different things."""
    shape = place.shape
    if shape is None or shape.is_archived:
        return None, None
    if not shape.is_for_all:
        return None
    name = next(iter(shape.outcomes))
    variants = (place.document or {}).get("variants", ())
    return name, next((one["value"] for one in variants if one["name"] == name), None)


def _is_withdrawn(place: PlaceFacts) -> bool:
    """Whether what is asked for gets the code default already, so that removing it changes nothing."""
    return place.shape is not None and place.shape.is_sunset and place.shape.outcomes == {None}


def _asking(place: PlaceFacts, now: datetime) -> str:
    who, times = _listed([each.service for each in place.use.lately(now)]), place.use.recent
    if not times:
        return f"{who} asked for it"
    return f"{who} asked for it {'once' if times == 1 else f'{times:,} times'}"


def _listed(names: Sequence[str], most: int = 5) -> str:
    rest = len(names) - most
    return f"{', '.join(names[:most])}{f' and {rest} more' if rest > 0 else ''}"
