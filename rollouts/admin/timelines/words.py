"""What the pages of timelines say: states and acts in words, with a symbol and a tone beside them."""

from collections.abc import Mapping
from datetime import datetime

from rollouts.admin.plans.words import HELD, Chip
from rollouts.deprecations.definition import MilestoneKind
from rollouts.deprecations.transitions import TimelineAct, TimelineState
from rollouts.models import DeprecationTimeline
from rollouts.schedules.zones import zone_of

_S, _A, _K = TimelineState, TimelineAct, MilestoneKind
STATES: Mapping[TimelineState, Chip] = {
    _S.DRAFT: Chip("Draft", "edit_note", "quiet"),
    _S.PROPOSED: Chip("Waits for approval", "rate_review", "wait"),
    _S.RUNNING: Chip("On its way out", "event_upcoming", "accent"),
    _S.PAUSED: Chip("Paused", "pause_circle", "wait"),
    _S.UNDONE: Chip("Undone", "restore", "bad"),
    _S.DONE: Chip("Archived", "inventory_2", "good"),
    _S.ENDED: Chip("Given up", "cancel", "quiet"),
}
BROWNOUT = Chip("Brownout now", "flash_off", "bad")
KIND_SYMBOLS: Mapping[MilestoneKind, str] = {
    _K.ANNOUNCE: "campaign",
    _K.WARN: "notification_important",
    _K.BROWNOUT: "flash_off",
    _K.RAMP_DOWN: "trending_down",
    _K.SUNSET: "wb_twilight",
    _K.ARCHIVE: "inventory_2",
}
ACT_SYMBOLS: Mapping[str, tuple[str, str]] = {
    _A.EDIT: ("edit", "quiet"),
    _A.PROPOSE: ("send", "accent"),
    _A.RECALL: ("undo", "quiet"),
    _A.START: ("play_circle", "accent"),
    _A.REACH: ("flag_circle", "good"),
    _A.MISS: ("event_busy", "quiet"),
    _A.END_BROWNOUT: ("flash_on", "good"),
    _A.HOLD: ("pan_tool", "quiet"),
    _A.CLEAR: ("check", "good"),
    _A.POSTPONE: ("more_time", "quiet"),
    _A.PAUSE: ("pause", "quiet"),
    _A.RESUME: ("play_arrow", "accent"),
    _A.APPROVE: ("thumb_up", "good"),
    _A.UNDO: ("restore", "bad"),
    _A.END: ("cancel", "bad"),
    _A.COMPLETE: ("inventory_2", "good"),
}


def state_of(timeline: DeprecationTimeline) -> Chip:
    """What a timeline is at, a brownout and a hold included."""
    if timeline.in_brownout and timeline.current_state in {_S.RUNNING, _S.PAUSED}:
        return BROWNOUT
    if timeline.current_state is _S.RUNNING and timeline.blocked_code:
        return HELD
    return STATES[timeline.current_state]


def days_apart(was: datetime, becomes: datetime, zone: str) -> tuple[str, str]:
    """Two dates as short as tells them apart: “3 Mar” and “7 Mar”, with years or times only where they are needed."""
    old, new = (at.astimezone(zone_of(zone)) for at in (was, becomes))
    how = "%b" if old.year == new.year else "%b %Y"
    if old.date() == new.date():
        how = "%b, %H:%M"
    return f"{old.day} {old:{how}}", f"{new.day} {new:{how}}"
