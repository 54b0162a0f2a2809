"""Short ways to put windows into a calendar."""

from datetime import datetime, timedelta
from typing import Any

from rollouts.models import CalendarWindow, SettingsProposal
from rollouts.services.calendar import set_window
from tests.factories import NOW, World, actor_of

HOUR = timedelta(hours=1)


def document(
    starts_at: datetime = NOW - HOUR, ends_at: datetime = NOW + 24 * HOUR, *, kind: str = "freeze", **fields: Any
) -> dict[str, Any]:
    """A window that runs once."""
    return {
        "kind": kind,
        "title": fields.pop("title", "Black Friday freeze"),
        "reason": fields.pop("reason", "Nobody wants surprises in the busiest week"),
        "environments": [str(place.pk) for place in fields.pop("environments", ())],
        "tags": list(fields.pop("tags", ())),
        "timing": fields.pop("timing", {"starts_at": starts_at.isoformat(), "ends_at": ends_at.isoformat()}),
        **fields,
    }


def weekly(start: str, minutes: int, rule: str = "FREQ=WEEKLY", zone: str = "Europe/Berlin") -> dict[str, Any]:
    """The timing of a window that comes again."""
    return {"zone": zone, "local_start": start, "duration_minutes": minutes, "rrule": rule}


def freeze(world: World, *args: Any, by: Any = None, now: datetime = NOW, **fields: Any) -> CalendarWindow:
    """A freeze that Ada adds."""
    wanted = document(*args, **fields)
    known = list(CalendarWindow.objects.values_list("pk", flat=True))
    assert set_window_as(world, by or world.ada, wanted, now=now) is None
    return CalendarWindow.objects.exclude(pk__in=known).get()


def set_window_as(
    world: World,
    person: Any,
    wanted: dict[str, Any] | None,
    *,
    window: CalendarWindow | None = None,
    now: datetime = NOW,
) -> SettingsProposal | None:
    """Add, change or remove a window."""
    return set_window(
        world.project.pk,
        window_id=window.pk if window else None,
        document=wanted,
        actor=actor_of(person),
        reason="Agreed in the release round",
        now=now,
    )
