"""The guards of a plan for people: what each says, its chart by variant, and how much is still needed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from rollouts.admin.plans.charts import Chart, Series, chart_of, rate_words
from rollouts.admin.plans.words import OUTCOMES, Chip, duration
from rollouts.models import RolloutPlan
from rollouts.selectors.guard_pictures import ArmShare, Bucket, GuardPicture, guard_pictures

MOST_POINTS = 48
_TOLD_RATIO = 2.0
_SURE = 100
_UNDECIDED = frozenset({"collecting", "at_risk"})


@dataclass(frozen=True, slots=True)
class Point:
    """What was counted from `at` on: units and events of either arm."""

    at: datetime
    treatment: tuple[int, int]
    control: tuple[int, int]


@dataclass(frozen=True, slots=True)
class GuardCard:
    """One guard on the page. `evidence` is how far it is, of 100, towards showing a regression."""

    name: str
    outcome: str
    chip: Chip
    sentence: str
    chart: Chart | None
    described: str
    evidence: int
    evidence_words: str
    facts: Sequence[str]
    newest: datetime | None
    heads: Sequence[str]
    rows: Sequence[tuple[datetime, Sequence[str]]]


def cards_of(plan: RolloutPlan, *, now: datetime, attempt: int | None = None) -> list[GuardCard]:
    """The guards as they stand now, or of an attempt as they stood when it ended."""
    stages = plan.definition["stages"]
    return [_card(picture, stages) for picture in guard_pictures(plan, now, attempt=attempt)]


def points_of(buckets: Sequence[Bucket]) -> list[Point]:
    """Few enough points to be seen apart: neighbours are counted together, and what is missing stays missing."""
    size = -(-len(buckets) // MOST_POINTS) or 1
    groups = [buckets[start : start + size] for start in range(0, len(buckets), size)]
    return [
        Point(group[0].at, _sum([one.treatment for one in group]), _sum([one.control for one in group]))
        for group in groups
    ]


def _sum(shares: Sequence[ArmShare | None]) -> tuple[int, int]:
    known = [share for share in shares if share is not None]
    return sum(share.units for share in known), sum(share.events for share in known)


def _card(picture: GuardPicture, stages: Sequence[dict[str, str]]) -> GuardCard:
    points = points_of(picture.buckets)
    evidence = _evidence(picture)
    marks = [(at, stages[number - 1]["name"]) for at, number in picture.turns if number]
    width = timedelta(minutes=picture.minutes_per_bucket)
    gaps = [(gap.since, gap.until, "no data") for gap in picture.gaps if gap.until - gap.since > 2 * width]
    what = "successes" if picture.is_success_metric else "bad"
    arms = (picture.treatment, picture.control)
    return GuardCard(
        name=picture.name,
        outcome=picture.outcome,
        chip=OUTCOMES.get(picture.outcome, OUTCOMES["collecting"]),
        sentence=picture.sentence,
        chart=chart_of(_series(picture, points), marks=marks, gaps=gaps),
        described=_described(picture, points),
        evidence=evidence,
        evidence_words="proven" if evidence == _SURE else f"{evidence} % of what it takes" if evidence else "none",
        facts=list(_facts(picture)),
        newest=picture.freshest_at,
        heads=[words for arm in arms for words in (f"people, {arm}", f"{what}, {arm}", "rate")],
        rows=[(timezone.localtime(point.at), _cells(point)) for point in reversed(points)],
    )


def _series(picture: GuardPicture, points: Sequence[Point]) -> list[Series]:
    found = [
        Series(f"“{picture.treatment}”", "treatment", [(point.at, _rate(point.treatment)) for point in points]),
        Series(f"“{picture.control}”", "control", [(point.at, _rate(point.control)) for point in points]),
    ]
    usual = _rate(_total(points, "control"))
    if usual is None:
        return found
    ratio = 1 / picture.tolerated if picture.is_success_metric else picture.tolerated
    words = f"limit: {ratio:.3g} times “{picture.control}”"
    # A single minute stands in the middle, so that it can be seen beside the limit.
    room = timedelta(minutes=1) if len(points) == 1 else timedelta()
    ends = [(at, usual * ratio) for at in (points[0].at - room, points[-1].at + room)]
    return [*found, Series(words, "boundary", ends)]


def _total(points: Sequence[Point], arm: str) -> tuple[int, int]:
    counts = [getattr(point, arm) for point in points]
    return sum(units for units, _ in counts), sum(events for _, events in counts)


def _rate(counts: tuple[int, int]) -> float | None:
    """The share of events; None where nobody was counted, which is not zero."""
    units, events = counts
    return events / units if units else None


def _cells(point: Point) -> list[str]:
    cells = []
    for units, events in (point.treatment, point.control):
        cells += [f"{units:,}", f"{events:,}", rate_words(events / units)] if units else ["no data", "", ""]
    return cells


def _described(picture: GuardPicture, points: Sequence[Point]) -> str:
    treatment, control = (rate_words(_rate(_total(points, arm))) for arm in ("treatment", "control"))
    return f"Over the whole time {treatment} with “{picture.treatment}” and {control} with “{picture.control}”."


def _evidence(picture: GuardPicture) -> int:
    """How far the evidence for a breach is on its way to what it takes, of 100."""
    reached = [bucket.breach for bucket in picture.buckets if bucket.breach is not None]
    return min(_SURE, int(_SURE * reached[-1])) if reached else 0


def _facts(picture: GuardPicture) -> Iterator[str]:
    yield f"{picture.units_treatment:,} people with “{picture.treatment}”"
    yield f"{picture.units_control:,} with “{picture.control}”"
    if picture.outcome in _UNDECIDED:
        yield from _still_needed(picture)
    if picture.late_events:
        yield f"{picture.late_events:,} late event{'' if picture.late_events == 1 else 's'} left out"
    if picture.problem:
        yield picture.problem


def _still_needed(picture: GuardPicture) -> Iterator[str]:
    """How much is missing until the guard can be sure either way."""
    short = picture.minimum_sample - min(picture.units_treatment, picture.units_control)
    if short > 0:
        yield f"needs {short:,} more people with the smaller variant"
        return
    need = next((one for one in picture.needed if one.ratio >= _TOLD_RATIO and one.still), None)
    if need is not None:
        when = f", about {duration(max(1, round(need.hours * 60)))} at this pace" if need.hours is not None else ""
        yield f"needs about {need.still:,} more bad events to tell x{need.ratio:g}{when}"
