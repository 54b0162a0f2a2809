"""Pure: windows, when they run and what follows for a change: half-open instants, as Argo CD composes them.

Without a window everything may be applied. A freeze that runs holds every change back that it applies to. Where allow
windows apply, changes are applied inside one of them only; one that has ended for good restrains no longer. A freeze
wins over an allow window.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from rollouts.schedules.reading import parse_rule
from rollouts.schedules.recurrences import FIRST_YEAR, LAST_YEAR, Recurrence
from rollouts.schedules.zones import UnusableSchedule, instant_in, zone_of

LONGEST_SPAN = timedelta(days=366)
LONGEST_RECURRING = timedelta(days=31)
# A rule for 29 February is silent for eight years where a century is no leap year.
_HORIZON = timedelta(days=366 * 9)


@dataclass(frozen=True, slots=True)
class Span:
    """One stretch of time, in UTC."""

    starts_at: datetime
    ends_at: datetime

    def spans(self, starts_at: datetime, ends_at: datetime) -> Iterator[tuple[datetime, datetime]]:
        """The stretch, where it touches [starts_at, ends_at)."""
        if self.starts_at < ends_at and starts_at < self.ends_at:
            yield self.starts_at, self.ends_at


@dataclass(frozen=True, slots=True)
class Window:
    """A freeze or an allow window. No environments, or no tags: it applies to all of them.

    `environments` are ids as text, `tags` those of flags; one tag in common is enough.
    """

    id: str
    kind: Literal["freeze", "allow"]
    title: str
    reason: str
    timing: Span | Recurrence
    environments: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()

    def applies_to(self, environment_id: str, tags: Collection[str]) -> bool:
        """Whether the window is about a flag with these tags in this environment."""
        in_environment = not self.environments or environment_id in self.environments
        return in_environment and (not self.tags or not self.tags.isdisjoint(tags))


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time a window runs."""

    window: Window
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a change may not be applied now: a freeze that runs, or an allow window that is closed until `ends_at`."""

    window: Window
    starts_at: datetime
    ends_at: datetime

    @property
    def is_freeze(self) -> bool:
        """Whether a freeze holds it back, not the absence of an allow window."""
        return self.window.kind == "freeze"


def occurrences(window: Window, starts_at: datetime, ends_at: datetime) -> Iterator[Occurrence]:
    """Every time the window runs that touches [starts_at, ends_at), earliest first; an occurrence is not cut off."""
    for start, end in window.timing.spans(starts_at, ends_at):
        yield Occurrence(window, start, end)


def next_occurrence(window: Window, now: datetime) -> Occurrence | None:
    """The occurrence that runs now, else the next one; None where none comes for nine years."""
    return next(occurrences(window, now, now + _HORIZON), None)


def active_windows(windows: Iterable[Window], now: datetime) -> list[Occurrence]:
    """What runs now, the one that ends last first. Of a window that overlaps itself the longest occurrence counts."""
    running = []
    for window in windows:
        found = list(occurrences(window, now, now + timedelta(microseconds=1)))
        if found:
            running.append(max(found, key=lambda occurrence: occurrence.ends_at))
    return sorted(running, key=lambda occurrence: occurrence.ends_at, reverse=True)


def next_change(windows: Iterable[Window], now: datetime) -> datetime | None:
    """The next instant after `now` at which a window begins or ends, None where there is none for nine years."""
    edges = [edge for window in windows if (edge := _next_edge(window, now)) is not None]
    return min(edges, default=None)


def holds(windows: Collection[Window], environment_id: str, tags: Collection[str], now: datetime) -> list[Hold]:
    """What holds a change to a flag with these tags back now; nothing where it may be applied."""
    applying = [window for window in windows if window.applies_to(environment_id, tags)]
    running = active_windows(applying, now)
    found = [Hold(one.window, one.starts_at, one.ends_at) for one in running if one.window.kind == "freeze"]
    if not any(one.window.kind == "allow" for one in running):
        openings = [next_occurrence(window, now) for window in applying if window.kind == "allow"]
        coming = min((one for one in openings if one is not None), key=lambda one: one.starts_at, default=None)
        if coming is not None:
            found.append(Hold(coming.window, now, coming.starts_at))
    return found


def is_covered_by(before: Window, after: Window) -> bool:
    """Whether the freeze `after` holds back everything that the freeze `before` does.

    What cannot be shown is denied: of recurring windows only the length may have grown.
    """
    if not _is_wider(before.environments, after.environments) or not _is_wider(before.tags, after.tags):
        return False
    old, new = before.timing, after.timing
    if isinstance(old, Span) and isinstance(new, Span):
        return new.starts_at <= old.starts_at and old.ends_at <= new.ends_at
    if isinstance(old, Recurrence) and isinstance(new, Recurrence):
        same_days = (old.zone, old.local_start, old.rule) == (new.zone, new.local_start, new.rule)
        return same_days and old.duration <= new.duration
    return False


def is_looser(before: Window | None, after: Window | None) -> bool:
    """Whether a change of the calendar could let something through that it held back; None is a window not there.

    Every change to when or where an allow window applies counts as one.
    """
    if before is None:
        return after is not None and after.kind == "allow"
    if after is None or "allow" in (before.kind, after.kind):
        return after is None or replace(before, title=after.title, reason=after.reason) != after
    return not is_covered_by(before, after)


def recurring(zone: str, local_start: datetime, duration: timedelta, rule: str) -> Recurrence:
    """A recurrence from text. An end of the rule that names no zone becomes an instant, as calendars want it."""
    place, parsed = zone_of(zone), parse_rule(rule)
    if parsed.until is not None and parsed.until.tzinfo is None:
        parsed = replace(parsed, until=instant_in(place, parsed.until))
    return Recurrence(zone, local_start, duration, parsed)


def refuse_unusable(timing: Span | Recurrence) -> None:
    """Raise UnusableSchedule for a window that would be endless, empty, out of reach or never open."""
    if isinstance(timing, Span):
        if timing.ends_at <= timing.starts_at:
            raise UnusableSchedule("The window ends before it begins. Choose a later end.")
        if timing.ends_at - timing.starts_at > LONGEST_SPAN:
            raise UnusableSchedule("A window lasts 366 days at most. Choose an earlier end.")
        first = timing.starts_at
    else:
        if not timedelta(minutes=1) <= timing.duration <= LONGEST_RECURRING:
            raise UnusableSchedule("A recurring window lasts one minute to 31 days. Choose another length.")
        first = timing.local_start
    if not FIRST_YEAR < first.year < LAST_YEAR:
        raise UnusableSchedule(f"Let the window begin between the years {FIRST_YEAR + 1} and {LAST_YEAR - 1}.")
    if isinstance(timing, Recurrence):
        begin = first.replace(tzinfo=UTC) - timedelta(days=2)
        if next(timing.spans(begin, begin + _HORIZON), None) is None:
            raise UnusableSchedule("By this rule the window never runs. Check its days and where it ends.")


def _next_edge(window: Window, now: datetime) -> datetime | None:
    coming = next_occurrence(window, now)
    if coming is None:
        return None
    return coming.starts_at if coming.starts_at > now else coming.ends_at


def _is_wider(before: frozenset[str], after: frozenset[str]) -> bool:
    return not after or (bool(before) and before <= after)
