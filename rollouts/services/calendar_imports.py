"""Taking windows over from an iCalendar file: first seen, then written, each by the rules for a single window."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from audits.context import Actor
from audits.errors import GovernanceError
from flags.errors import InvalidInput
from flags.models import Environment, Project
from flags.services.keys import problem
from rollouts.ical import CalendarEntry, LeftOut, UnusableCalendar, read_calendar, write_calendar
from rollouts.models import CalendarWindow
from rollouts.schedules import Window, window_as_json
from rollouts.services.calendar import CalendarWindowKind, in_words, set_window
from rollouts.settings_kinds import Scope

Step = Literal["new", "changed", "same", "unusable"]


@dataclass(frozen=True, slots=True)
class PlannedWindow:
    """One event of a file: what taking it over would do, or why it cannot be taken over."""

    title: str
    step: Step
    words: str
    needs_two: bool = False
    window_id: uuid.UUID | None = None
    document: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class CalendarPlan:
    """What a file would do to the calendar of a project."""

    project: Project
    windows: tuple[PlannedWindow, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def to_do(self) -> tuple[PlannedWindow, ...]:
        """What taking the file over would change."""
        return tuple(window for window in self.windows if window.step in ("new", "changed"))


@dataclass(frozen=True, slots=True)
class TakenOver:
    """What became of each window that was taken over: in force, proposed, or refused with a sentence."""

    in_force: tuple[str, ...]
    proposed: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]


def plan_calendar(
    project: Project, data: bytes, *, zone: str, kind: Literal["freeze", "allow"], now: datetime
) -> CalendarPlan:
    """What the file would change; nothing is written. Raises InvalidInput for a file that cannot be read."""
    try:
        found = read_calendar(data, zone=zone, kind=kind, now=now)
    except UnusableCalendar as error:
        raise problem("calendar", str(error)) from None
    environments = list(Environment.objects.filter(project=project))
    present = {row.uid: row for row in CalendarWindow.objects.filter(project=project, removed_at=None)}
    planned = [_planned(project, entry, present.get(entry.uid), environments) for entry in found.entries]
    return CalendarPlan(project, tuple(planned), found.left_out)


def take_over(plan: CalendarPlan, *, actor: Actor, reason: str, now: datetime) -> TakenOver:
    """Write what a plan would change, window by window: one that is refused does not stop the others."""
    in_force: list[str] = []
    proposed: list[str] = []
    refused: list[tuple[str, str]] = []
    for window in plan.to_do:
        try:
            proposal = set_window(
                plan.project.pk,
                window_id=window.window_id,
                document=window.document,
                actor=actor,
                reason=reason,
                now=now,
            )
        except GovernanceError as error:
            refused.append((window.title, error.message))
        else:
            (in_force if proposal is None else proposed).append(window.title)
    return TakenOver(tuple(in_force), tuple(proposed), tuple(refused))


def export_calendar(project: Project) -> bytes:
    """The windows of a project as iCalendar; the same bytes until somebody changes one."""
    keys = {str(pk): key for pk, key in Environment.objects.filter(project=project).values_list("pk", "key")}
    rows = CalendarWindow.objects.filter(project=project, removed_at=None).order_by("created_at", "uid")
    return write_calendar([_entry(row, keys) for row in rows], name=project.name)


def _entry(row: CalendarWindow, keys: Mapping[str, str]) -> CalendarEntry:
    window = row.as_window()
    return CalendarEntry(
        uid=row.uid,
        kind=window.kind,
        title=window.title,
        reason=window.reason,
        timing=window.timing,
        stamp=row.updated_at.replace(microsecond=0),
        environments=tuple(sorted(keys[place] for place in window.environments if place in keys)),
        tags=tuple(sorted(window.tags)),
    )


def _planned(
    project: Project, entry: CalendarEntry, present: CalendarWindow | None, environments: Sequence[Environment]
) -> PlannedWindow:
    places = {place.key: str(place.pk) for place in environments}
    unknown = [key for key in entry.environments if key not in places]
    if unknown:
        return PlannedWindow(entry.title, "unusable", f"{project.name} has no environment “{unknown[0][:60]}”.")
    chosen = frozenset(places[key] for key in entry.environments)
    window = Window("", entry.kind, entry.title, entry.reason, entry.timing, chosen, frozenset(entry.tags))
    kind, scope = CalendarWindowKind(), Scope(project, None, str(present.pk if present else uuid.uuid4()))
    try:
        after = kind.clean(scope, {**window_as_json(window), "uid": entry.uid})
    except InvalidInput as error:
        return PlannedWindow(entry.title, "unusable", error.message)
    before = kind.read(scope)
    step: Step = "new" if before is None else "same" if before == after else "changed"
    is_guarded = any(place.is_guarded for place in environments)
    return PlannedWindow(
        title=entry.title,
        step=step,
        words=in_words(after, {str(place.pk): place.name for place in environments}),
        needs_two=is_guarded and kind.is_looser(before, after),
        window_id=present.pk if present else None,
        document=after,
    )
