"""Keys that services ask for and that no flag answers: what never was a flag's, and flags that were archived."""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Max, QuerySet, Sum

from flags.lifecycle.nearest import Nearest
from flags.lifecycle.reasons import Reason
from flags.models import Environment, Flag, FlagUse, Project, Tombstone, UnknownKey
from flags.telemetry.labels import TEST_TRAFFIC
from flags.telemetry.unknown_keys import FURTHER, HIDDEN

SHOWN_FOR = timedelta(days=30)
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Asking:
    """A service in a version that asks for a key. `count` is None where nobody counted."""

    environment: Environment
    service: str
    version: str
    first_at: datetime
    last_at: datetime
    count: int | None


@dataclass(slots=True)
class AskedLine:
    """A key that no flag answers. `flag`: the archived one it belonged to; `meant`: the one that was probably meant."""

    key: str
    asking: list[Asking] = field(default_factory=list)
    flag: Flag | None = None
    is_kept_back: bool = False
    meant: Flag | None = None

    @property
    def reason(self) -> Reason:
        """The reason in the words of programs."""
        return Reason.UNKNOWN_KEY_ASKED if self.flag else Reason.UNKNOWN_KEY

    @property
    def first_at(self) -> datetime:
        """When it was asked for first."""
        return min(each.first_at for each in self.asking)

    @property
    def last_at(self) -> datetime:
        """When it was asked for at last."""
        return max(each.last_at for each in self.asking)

    @property
    def count(self) -> int | None:
        """How often it was asked for, None where nobody counted."""
        counts = [each.count for each in self.asking if each.count is not None]
        return sum(counts) if counts else None

    @property
    def services(self) -> list[str]:
        """Who asks, by name."""
        return sorted({each.service for each in self.asking})

    @property
    def environments(self) -> list[str]:
        """The names of the environments where it is asked for, in their order."""
        places = {each.environment.pk: each.environment for each in self.asking}.values()
        return [place.name for place in sorted(places, key=lambda one: (one.position, one.key))]

    @property
    def sentence(self) -> str:
        """What happened and what the services do."""
        named = self.services[:MOST_NAMED]
        more = f" and {len(self.services) - MOST_NAMED} more" if len(self.services) > MOST_NAMED else ""
        who = f"{', '.join(named)}{more} asked for it in {' and '.join(self.environments)}"
        if self.flag is None or self.flag.archived_at is None:
            return f"{who}, and there is no such flag: they use their code default."
        back = " Its key is kept back." if self.is_kept_back else ""
        when = f"{self.flag.archived_at:%-d %B %Y}"
        return f"{who}. It was archived on {when}, so they use their code default.{back}"


@dataclass(frozen=True, slots=True)
class Uncounted:
    """How often keys were asked for that have no line of their own, and when at last."""

    count: int = 0
    last_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AskedFor:
    """What is asked for in vain, newest first. `hidden`: keys that cannot be shown; `further`: there was no room."""

    lines: Sequence[AskedLine]
    hidden: Uncounted = Uncounted()
    further: Uncounted = Uncounted()

    def __bool__(self) -> bool:
        return bool(self.lines or self.hidden.last_at or self.further.last_at)


def asked_for(project: Project, environments: Collection[Environment], *, now: datetime) -> AskedFor:
    """What was asked for in the last 30 days in these environments of a project: at most five queries."""
    places = {environment.pk: environment for environment in environments}
    rows = UnknownKey.objects.filter(environment__in=places, last_at__gte=now - SHOWN_FOR)
    uses = FlagUse.objects.filter(environment__in=places, is_unknown=True, last_at__gte=now - SHOWN_FOR)
    keys = rows.exclude(key__in=(HIDDEN, FURTHER))
    lines: dict[str, AskedLine] = {}
    for row in keys:
        asking = Asking(places[row.environment_id], row.service, row.version, row.first_at, row.last_at, row.count)
        lines.setdefault(row.key, AskedLine(row.key)).asking.append(asking)
    for use in uses.exclude(service=TEST_TRAFFIC):
        asking = Asking(places[use.environment_id], use.service, use.version, use.first_at, use.last_at, None)
        lines.setdefault(use.flag_key, AskedLine(use.flag_key)).asking.append(asking)
    if lines:
        lines = _with_flags(project, lines)
    uncounted = _uncounted(rows)
    return AskedFor(
        sorted(lines.values(), key=lambda line: (-line.last_at.timestamp(), line.key)),
        uncounted.get(HIDDEN, Uncounted()),
        uncounted.get(FURTHER, Uncounted()),
    )


def say_what_was_meant(project: Project, lines: Sequence[AskedLine]) -> None:
    """Fill in which flag each key of no flag was probably meant to be: one query, none without such keys."""
    wanted = [line for line in lines if line.flag is None]
    if not wanted:
        return
    flags = Flag.objects.filter(project=project, archived_at=None).only("key", "name")
    by_key = {flag.key: flag for flag in flags}
    nearest = Nearest(by_key)
    for line in wanted:
        line.meant = by_key.get(nearest.to(line.key) or "")


def _with_flags(project: Project, lines: dict[str, AskedLine]) -> dict[str, AskedLine]:
    """The lines with the archived flags that had their keys, and without those of flags there are."""
    flags = {flag.key: flag for flag in Flag.objects.filter(project=project, key__in=lines)}
    archived = {flag.pk for flag in flags.values() if flag.archived_at}
    kept_back = _kept_back(archived)
    for key, flag in flags.items():
        if flag.pk in archived:
            lines[key].flag, lines[key].is_kept_back = flag, flag.pk in kept_back
    return {key: line for key, line in lines.items() if key not in flags or line.flag}


def _kept_back(flag_ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    if not flag_ids:
        return set()
    return set(Tombstone.objects.filter(flag__in=flag_ids, released_at=None).values_list("flag_id", flat=True))


def _uncounted(rows: QuerySet[UnknownKey]) -> dict[str, Uncounted]:
    found = rows.filter(key__in=(HIDDEN, FURTHER)).order_by().values_list("key")
    return {key: Uncounted(count, last_at) for key, count, last_at in found.annotate(n=Sum("count"), at=Max("last_at"))}
