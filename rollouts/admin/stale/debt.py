"""What stale flags come to: the score of a project, by reason, and how it went."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from flags.lifecycle.reasons import Reason
from rollouts.models import DebtScore

WIDTH, HEIGHT = 640, 120
DAYS = 90


@dataclass(frozen=True, slots=True)
class DebtPoint:
    """The score of one day in the chart."""

    day: date
    score: int
    stale: int
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class DebtPart:
    """The points of one reason, and their share of the longest bar in percent."""

    label: str
    points: int
    width: int
    code: str


@dataclass(frozen=True, slots=True)
class DebtPicture:
    """The newest score with its trend. `path` is empty where there is only one day."""

    score: int
    flags: int
    stale: int
    day: date
    change: int
    points: Sequence[DebtPoint]
    path: str
    area: str
    parts: Sequence[DebtPart]

    width = WIDTH
    height = HEIGHT

    @property
    def trend(self) -> str:
        """How the points went, in words that go on from their number."""
        first = self.points[0].day
        if len(self.points) < 2:
            return f"the only look of the last {DAYS} days, on {first.day} {first:%B}; the next one makes a trend"
        if self.change == 0:
            return f"as many as on {first.day} {first:%B}"
        return f"{abs(self.change):,} {'more' if self.change > 0 else 'fewer'} than on {first.day} {first:%B}"


def debt_picture(scores: Sequence[DebtScore]) -> DebtPicture | None:
    """The picture of scores, oldest first; None before the first look."""
    if not scores:
        return None
    newest, highest = scores[-1], max(1, *(score.score for score in scores))
    points = [_point(score, scores[0].day, newest.day, highest) for score in scores]
    path = "M" + "L".join(f"{one.x} {one.y}" for one in points) if len(points) > 1 else ""
    area = f"{path}L{points[-1].x} {HEIGHT}L{points[0].x} {HEIGHT}Z" if path else ""
    parts = sorted(newest.parts.items(), key=lambda one: (-one[1], one[0]))
    most = max(1, *(points for _, points in parts)) if parts else 1
    return DebtPicture(
        newest.score,
        newest.flags,
        newest.stale,
        newest.day,
        newest.score - scores[0].score,
        points,
        path,
        area,
        [DebtPart(_label(code), points, round(100 * points / most), code) for code, points in parts if points],
    )


def _point(score: DebtScore, first: date, last: date, highest: int) -> DebtPoint:
    days = max(1, (last - first).days)
    x = round((score.day - first).days * WIDTH / days, 1)
    y = round(HEIGHT - 4 - score.score * (HEIGHT - 12) / highest, 1)
    return DebtPoint(score.day, score.score, score.stale, x, y)


def _label(code: str) -> str:
    return Reason(code).label if code in set(Reason) else code.replace("_", " ")
