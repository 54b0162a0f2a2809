"""Pure: when the windows of a calendar run, and what they hold back. Knows no clock; takes `now` as an argument."""

from rollouts.schedules.documents import window_as_json, window_from_json
from rollouts.schedules.reading import parse_rule, rule_in_words
from rollouts.schedules.recurrences import Frequency, Recurrence, Rule
from rollouts.schedules.windows import (
    LONGEST_RECURRING,
    LONGEST_SPAN,
    Hold,
    Occurrence,
    Span,
    Window,
    active_windows,
    holds,
    is_covered_by,
    is_looser,
    next_change,
    next_occurrence,
    occurrences,
    recurring,
    refuse_unusable,
)
from rollouts.schedules.zones import UnusableSchedule, instant_in, zone_of

__all__ = [
    "LONGEST_RECURRING",
    "LONGEST_SPAN",
    "Frequency",
    "Hold",
    "Occurrence",
    "Recurrence",
    "Rule",
    "Span",
    "UnusableSchedule",
    "Window",
    "active_windows",
    "holds",
    "instant_in",
    "is_covered_by",
    "is_looser",
    "next_change",
    "next_occurrence",
    "occurrences",
    "parse_rule",
    "recurring",
    "refuse_unusable",
    "rule_in_words",
    "window_as_json",
    "window_from_json",
    "zone_of",
]
