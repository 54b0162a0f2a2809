"""Why a flag may be stale: what holds in one environment, with since when, numbers and a sentence."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from flags.documents.schema import quoted

from .facts import FlagFacts, PlaceFacts
from .shapes import Shape
from .stages import LifecycleStage, outcome_words, place_stage


class Reason(StrEnum):
    """Why a flag counts as stale. Names are part of the API. `UNKNOWN_KEY` is about a key that is no flag's."""

    NEVER_EVALUATED = "never_evaluated"
    NO_EVALUATIONS = "no_evaluations"
    ONE_VARIANT = "one_variant"
    FULLY_ROLLED_OUT = "fully_rolled_out"
    NO_RULES = "no_rules"
    FORGOTTEN_PARTIAL = "forgotten_partial"
    EXPIRED_BY_KIND = "expired_by_kind"
    ONLY_IN_CODE = "only_in_code"
    ONLY_IN_CONFIG = "only_in_config"
    UNKNOWN_KEY_ASKED = "unknown_key_asked"
    UNKNOWN_KEY = "unknown_key"

    @property
    def label(self) -> str:
        """The reason in words."""
        return _LABELS[self]

    @property
    def is_of_flags(self) -> bool:
        """Whether it is found of flags."""
        return self is not Reason.UNKNOWN_KEY


_LABELS = {
    Reason.NEVER_EVALUATED: "Never evaluated",
    Reason.NO_EVALUATIONS: "No longer evaluated",
    Reason.ONE_VARIANT: "One variant for everybody",
    Reason.FULLY_ROLLED_OUT: "Fully rolled out",
    Reason.NO_RULES: "No rules",
    Reason.FORGOTTEN_PARTIAL: "Forgotten part of the way",
    Reason.EXPIRED_BY_KIND: "Older than its kind should get",
    Reason.ONLY_IN_CODE: "Only in code",
    Reason.ONLY_IN_CONFIG: "Only configured",
    Reason.UNKNOWN_KEY_ASKED: "Asked for, but not served",
    Reason.UNKNOWN_KEY: "Asked for, but no such flag",
}


class Confidence(StrEnum):
    """How sure a reason is. `LOW`: an environment that decides reports no figures, or figures cannot tell."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"

    @property
    def rank(self) -> int:
        """0 is the least sure."""
        return tuple(Confidence).index(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """A reason that holds. `since` is from when on it was so, `due_at` from when on for longer than is usual; `numbers`
    are what it rests on.
    """

    reason: Reason
    since: datetime
    due_at: datetime
    sentence: str
    confidence: Confidence
    numbers: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Held:
    """A reason that holds in one environment. `in_bulk`: clients that ask for all flags at once still get it there."""

    reason: Reason
    since: datetime
    what: str
    days: int
    confidence: Confidence
    in_bulk: bool = False


def reasons_in(flag: FlagFacts, place: PlaceFacts, now: datetime) -> Iterator[Held]:
    """What holds in one environment where a flag is set up."""
    shape = place.shape
    if shape is None or shape.is_archived or shape.is_sunset:
        return
    yield from _by_use(flag, place, shape, now)
    stage = place_stage(place.versions, kind=flag.kind, now=now, plan_since=place.plan_since)
    if stage.stage is LifecycleStage.SETTLED and stage.since is not None:
        yield from _settled(flag, place, shape, stage.since, now)
    elif stage.stage is LifecycleStage.DRAFT and place.changed_at is not None:
        # Switching on is the first thing that can be said about who gets what.
        since = place.versions[0].at
        yield from _old(Reason.NO_RULES, since, flag.thresholds.no_rules, "it was never switched on", place, now)
    elif shape.is_split and shape.is_enabled and place.changed_at is not None:
        what = f"a share of people gets {outcome_words(shape.outcomes)}, and nothing moves it"
        yield from _old(Reason.FORGOTTEN_PARTIAL, place.changed_at, flag.thresholds.partial, what, place, now)


def _by_use(flag: FlagFacts, place: PlaceFacts, shape: Shape, now: datetime) -> Iterator[Held]:
    """What figures say. Where there are none, nothing is said."""
    one, last_at = flag.thresholds.one_variant, place.use.last_at
    if flag.thresholds.unused is not None:
        yield from _unused(place, flag.thresholds.unused, now)
    if one is not None and last_at is not None and not shape.is_for_all and last_at > now - timedelta(days=one):
        yield from _one_variant(place, one, now)


def _unused(place: PlaceFacts, days: int, now: datetime) -> Iterator[Held]:
    """What is only in answers to clients that ask for all flags at once is asked for by nobody that is known."""
    set_up_at, in_bulk = place.versions[0].at, place.use.in_bulk_since(now - timedelta(days=days))
    last_at = place.use.asked_at if in_bulk else place.use.last_at
    if last_at is None and place.figures.cover(days, now):
        since = max(set_up_at, place.figures.first_at or set_up_at)
        held = _old(Reason.NEVER_EVALUATED, since, days, "no service ever asked for it", place, now)
    elif last_at is not None and place.figures.are_fresh(now):
        held = _old(Reason.NO_EVALUATIONS, last_at, days, "no service asks for it any more", place, now)
    else:
        return
    yield from (replace(each, in_bulk=in_bulk) for each in held)


def _one_variant(place: PlaceFacts, days: int, now: datetime) -> Iterator[Held]:
    lately = {name for name, at in place.use.variants.items() if at > now - timedelta(days=days)}
    if len(lately) != 1 or not place.figures.cover(days, now):
        return
    others = [at for name, at in place.use.variants.items() if name not in lately]
    begun = [at for at in (place.use.first_at, place.changed_at, place.figures.first_at) if at is not None]
    since = max([*others, *begun])
    what = f"everybody who asked got {_variant_words(next(iter(lately)))}, although its rules know more"
    yield from _old(Reason.ONE_VARIANT, since, days, what, place, now)


def _settled(flag: FlagFacts, place: PlaceFacts, shape: Shape, since: datetime, now: datetime) -> Iterator[Held]:
    days, given = flag.thresholds, outcome_words(shape.outcomes)
    if not any(version.shape.has_aims for version in place.versions):
        what = f"everybody gets {given}, and it never had a rule"
        yield from _old(Reason.NO_RULES, since, days.no_rules, what, place, now)
    elif shape.is_enabled:
        yield from _old(Reason.FULLY_ROLLED_OUT, since, days.settled, f"everybody gets {given}", place, now)
    else:
        what = f"it is switched off, so everybody gets {given}"
        yield from _old(Reason.ONE_VARIANT, since, days.one_variant, what, place, now)


def _old(
    reason: Reason, since: datetime, days: int | None, what: str, place: PlaceFacts, now: datetime
) -> Iterator[Held]:
    if days is not None and since <= now - timedelta(days=days):
        yield Held(reason, since, what, days, confidence_in(place, days, now))


def confidence_in(place: PlaceFacts, days: int, now: datetime) -> Confidence:
    """How sure one can be about an environment: high with figures of the whole period, low without any."""
    if place.figures.cover(days, now):
        return Confidence.HIGH
    return Confidence.MEDIUM if place.figures.are_fresh(now) else Confidence.LOW


def _variant_words(name: str) -> str:
    return quoted(name) if name else "the code default"
