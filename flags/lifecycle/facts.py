"""What is known about a flag when its life is judged. Whoever reads the database fills it in; all of it is data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from flags.telemetry.labels import ALL_AT_ONCE

from .shapes import Shape
from .silences import is_silent
from .stages import PlaceStage, StageNow, Version, overall_stage, place_stage
from .thresholds import PERMANENT_KINDS, RECENT_DAYS, Thresholds, is_tagged_permanent


@dataclass(frozen=True, slots=True)
class ServiceUse:
    """How a service asked for a flag lately: when first and at last, and how often in the recent days."""

    service: str
    last_at: datetime
    recent: int = 0
    first_at: datetime | None = None

    @property
    def is_bulk(self) -> bool:
        """Whether these are answers to clients that ask for all flags at once. They prove neither use nor its end."""
        return self.service == ALL_AT_ONCE


@dataclass(frozen=True, slots=True)
class Figures:
    """Since when and until when an environment reported evaluations of any flag; None where it never did.

    `days` says of each of the last days whether any came, the newest first. Of those before nothing is known.
    """

    first_at: datetime | None = None
    last_at: datetime | None = None
    days: Sequence[bool] = ()

    def are_fresh(self, now: datetime) -> bool:
        """Whether the environment reports at all. Where it does not, nothing that is missing means anything."""
        return self.last_at is not None and self.last_at >= now - timedelta(days=RECENT_DAYS)

    def cover(self, days: int, now: datetime) -> bool:
        """Whether it reports, began to at least that many days ago, and did so all along."""
        has_begun = self.first_at is not None and self.first_at <= now - timedelta(days=days)
        return has_begun and self.are_fresh(now) and len(self.days) >= days and not is_silent(self.days[:days])


@dataclass(frozen=True, slots=True)
class Use:
    """How a flag was evaluated in an environment. `variants` says when each was served at last, "" the code default.

    `unknown` are services that asked for it where it is not served.
    """

    first_at: datetime | None = None
    last_at: datetime | None = None
    variants: Mapping[str, datetime] = field(default_factory=dict)
    services: Sequence[ServiceUse] = ()
    unknown: Sequence[ServiceUse] = ()

    @property
    def recent(self) -> int:
        """Evaluations of the recent days by those who asked for this very flag, as far as they are counted."""
        return sum(each.recent for each in self.services if not each.is_bulk)

    @property
    def asked_at(self) -> datetime | None:
        """When somebody asked for this very flag at last."""
        if self.bulk_at is None:
            return self.last_at
        return max((each.last_at for each in self.services if not each.is_bulk), default=None)

    @property
    def bulk_at(self) -> datetime | None:
        """When it was in an answer to somebody who asked for all flags at once at last."""
        return max((each.last_at for each in self.services if each.is_bulk), default=None)

    def lately(self, now: datetime) -> Sequence[ServiceUse]:
        """The services that asked for this very flag in the recent days, also those whose counts came late and are not
        added up yet.
        """
        edge = now - timedelta(days=RECENT_DAYS)
        return [each for each in self.services if not each.is_bulk and (each.recent or each.last_at >= edge)]

    def in_bulk_since(self, at: datetime) -> bool:
        """Whether clients that ask for all flags at once got it after an instant."""
        return self.bulk_at is not None and self.bulk_at > at

    def since(self, at: datetime) -> "Use":
        """What of it was after an instant."""
        if self.last_at is None or self.last_at < at:
            return Use(unknown=_after(self.unknown, at))
        first_at = max(self.first_at, at) if self.first_at else None
        variants = {name: last_at for name, last_at in self.variants.items() if last_at >= at}
        return Use(first_at, self.last_at, variants, _after(self.services, at), _after(self.unknown, at))


def _after(services: Sequence[ServiceUse], at: datetime) -> Sequence[ServiceUse]:
    """The services that asked after an instant."""
    return [
        replace(each, first_at=max(each.first_at, at)) if each.first_at else each
        for each in services
        if each.last_at >= at
    ]


@dataclass(frozen=True, slots=True)
class PlaceFacts:
    """A flag in one environment. `weighs`: it is protected or production. `document` is None where it is not set up.

    `dependents` are keys of flags that need it there; `requests` are labels of open requests, `plans` of live plans,
    `timelines` of live deprecation timelines.
    """

    key: str
    name: str
    weighs: bool
    document: Mapping[str, Any] | None = None
    versions: Sequence[Version] = ()
    figures: Figures = Figures()
    use: Use = Use()
    dependents: Sequence[str] = ()
    requests: Sequence[str] = ()
    fresh_requests: Sequence[str] = ()
    plans: Sequence[str] = ()
    plan_since: datetime | None = None
    timelines: Sequence[str] = ()

    @property
    def shape(self) -> Shape | None:
        """The shape of what is served now."""
        return self.versions[-1].shape if self.versions else None

    @property
    def changed_at(self) -> datetime | None:
        """When the config was changed at last."""
        return self.versions[-1].at if self.versions else None

    def since(self, at: datetime) -> "PlaceFacts":
        """What was there at an instant, as of then, and what became of it."""
        former = sum(version.at <= at for version in self.versions)
        begun = (Version(at, self.versions[former - 1].shape),) if former else ()
        return replace(self, versions=(*begun, *self.versions[former:]), use=self.use.since(at))


@dataclass(frozen=True, slots=True)
class References:
    """How code names a flag. `is_scanned`: all code of the project was looked at lately; otherwise none means nothing,
    and `doubts` says why in sentences.
    """

    is_scanned: bool = False
    live: int = 0
    extinct_at: datetime | None = None
    scanned_since: datetime | None = None
    doubts: Sequence[str] = ()

    def since(self, at: datetime) -> "References":
        """What was learnt of code after an instant. Lines that are there are there."""
        extinct_at = self.extinct_at if self.extinct_at and self.extinct_at >= at else None
        return replace(self, extinct_at=extinct_at)


@dataclass(frozen=True, slots=True)
class FlagFacts:
    """Everything about a flag. `born_at` is when its present life began, `snoozed_until` None unless it is snoozed,
    `snooze_ended_at` when a snooze ended at last.
    """

    key: str
    kind: str
    born_at: datetime
    places: Sequence[PlaceFacts]
    thresholds: Thresholds
    tags: Sequence[str] = ()
    archived_at: datetime | None = None
    snoozed_until: datetime | None = None
    snooze_reason: str = ""
    snooze_ended_at: datetime | None = None
    references: References = References()

    @property
    def is_permanent(self) -> bool:
        """Whether it is meant to stay, by its kind or its tag."""
        return self.kind in PERMANENT_KINDS or is_tagged_permanent(self.tags)

    @property
    def changed_at(self) -> datetime | None:
        """When it was changed at last in any environment."""
        return max((place.changed_at for place in self.places if place.changed_at), default=None)

    @property
    def of_this_life(self) -> "FlagFacts":
        """The facts without those of former lives: of before it was revived, or of former flags with its key."""
        places = tuple(place.since(self.born_at) for place in self.places)
        return replace(self, places=places, references=self.references.since(self.born_at))

    def decides(self, place: PlaceFacts) -> bool:
        """Whether an environment is one of those that decide."""
        return any(place is each for each in self.deciding)

    @property
    def deciding(self) -> Sequence[PlaceFacts]:
        """The environments that decide: those that weigh among those where it is set up, else all of these."""
        present = [place for place in self.places if place.versions]
        return [place for place in present if place.weighs] or present


def stages_of(flag: FlagFacts, now: datetime) -> tuple[StageNow, Sequence[PlaceStage]]:
    """The stage overall and in each environment."""
    places = [
        PlaceStage(
            place.name,
            place.weighs,
            place_stage(place.versions, kind=flag.kind, now=now, plan_since=place.plan_since),
        )
        for place in flag.places
    ]
    return overall_stage(places, flag.archived_at), places
