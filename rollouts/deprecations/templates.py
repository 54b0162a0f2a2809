"""Templates: timelines as days after the announcement and times by the clock."""

from dataclasses import dataclass
from datetime import time

from .definition import MilestoneGates, MilestoneKind

_K = MilestoneKind
_MORNING = time(9)
# Late enough that somebody who sees it is at work.
_BROWNOUT = time(10)
_NO_GATES = MilestoneGates()
_NOBODY_LEFT = MilestoneGates(residual_days=14, residual_at_most=0)
_SAID_YES = MilestoneGates(approvals=1)


@dataclass(frozen=True, slots=True)
class TemplateStep:
    """One milestone: so many days after that of the announcement, at a time by the clock."""

    kind: MilestoneKind
    after_days: int
    at: time = _MORNING
    minutes: int = 0
    weight: int = 0
    gates: MilestoneGates = _NO_GATES


@dataclass(frozen=True, slots=True)
class TimelineTemplate:
    """A timeline that every project can begin with. `kinds` are the flag kinds for which it is the first choice."""

    key: str
    name: str
    description: str
    kinds: tuple[str, ...]
    steps: tuple[TemplateStep, ...]


def template_for(kind: str) -> TimelineTemplate:
    """The template that is the first choice for a flag kind."""
    return next((template for template in BUILT_IN if kind in template.kinds), BUILT_IN[0])


def _steps(
    *,
    warn: int,
    brownouts: tuple[tuple[int, int], ...] = (),
    shares: tuple[tuple[int, int], ...] = (),
    sunset: int,
    archive: int,
    sunset_gates: MilestoneGates = _NO_GATES,
) -> tuple[TemplateStep, ...]:
    """Days after the announcement; `brownouts` with their minutes, `shares` with their weight."""
    return (
        TemplateStep(_K.ANNOUNCE, 0),
        TemplateStep(_K.WARN, warn),
        *(TemplateStep(_K.BROWNOUT, day, _BROWNOUT, minutes=minutes) for day, minutes in brownouts),
        *(TemplateStep(_K.RAMP_DOWN, day, weight=weight) for day, weight in shares),
        TemplateStep(_K.SUNSET, sunset, gates=sunset_gates),
        TemplateStep(_K.ARCHIVE, archive, gates=_NOBODY_LEFT),
    )


# Every distance is in whole weeks, so that what is announced on a working day also happens on one.
BUILT_IN: tuple[TimelineTemplate, ...] = (
    TimelineTemplate(
        "six-weeks",
        "Six weeks",
        "Services are told after a week; one brownout of 10 minutes, 25 % and 50 %, sunset after six weeks.",
        ("release",),
        _steps(warn=7, brownouts=((21, 10),), shares=((28, 25_000), (35, 50_000)), sunset=42, archive=56),
    ),
    TimelineTemplate(
        "after-an-experiment",
        "After an experiment",
        "Services are told after a week, half of all people a week later, sunset after three weeks.",
        ("experiment",),
        _steps(warn=7, shares=((14, 50_000),), sunset=21, archive=35),
    ),
    TimelineTemplate(
        "a-quarter",
        "A quarter of a year",
        "Services are told after two weeks; brownouts of 10 minutes and 1 hour, 25 % and 50 %, sunset after 13 weeks.",
        ("operational",),
        _steps(warn=14, brownouts=((42, 10), (56, 60)), shares=((70, 25_000), (77, 50_000)), sunset=91, archive=119),
    ),
    TimelineTemplate(
        "half-a-year",
        "Half a year",
        "For what people rely on: three brownouts, 10 %, 25 % and 50 %, and an approval before the sunset.",
        ("permission",),
        _steps(
            warn=28,
            brownouts=((84, 10), (98, 60), (112, 240)),
            shares=((126, 10_000), (140, 25_000), (154, 50_000)),
            sunset=182,
            archive=217,
            sunset_gates=_SAID_YES,
        ),
    ),
    TimelineTemplate(
        "without-a-switch",
        "Doing without a switch",
        "For a kill switch, whose end nobody notices until it is needed: brownouts and an approval, no shares.",
        ("kill_switch",),
        _steps(warn=14, brownouts=((28, 10), (42, 60)), sunset=56, archive=84, sunset_gates=_SAID_YES),
    ),
)
