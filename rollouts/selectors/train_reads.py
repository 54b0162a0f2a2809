"""What programs read about release trains: pages of those that they may read."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from rollouts.models import ReleaseTrain, TrainMember
from rollouts.selectors.trains import TrainView, views_of


@dataclass(frozen=True, slots=True)
class TrainPart:
    """Some trains, newest first. `next_id`: the train after which the next part begins; None at the end."""

    views: Sequence[TrainView]
    next_id: UUID | None


def trains_within(environment_id: UUID) -> QuerySet[ReleaseTrain]:
    """Trains whose plans all go to one environment."""
    members = TrainMember.objects.filter(train=OuterRef("pk"))
    elsewhere = members.exclude(plan__environment=environment_id)
    rows = ReleaseTrain.objects.filter(Exists(members), ~Exists(elsewhere))
    return rows.select_related("project", "created_by")


def train_part(
    rows: QuerySet[ReleaseTrain], *, state: str = "", after: ReleaseTrain | None = None, size: int
) -> TrainPart:
    """Trains among `rows` that come after `after` in the order newest first: three queries."""
    if state:
        rows = rows.filter(state=state)
    if after is not None:
        same_instant = Q(created_at=after.created_at, pk__lt=after.pk)
        rows = rows.filter(Q(created_at__lt=after.created_at) | same_instant)
    found = list(rows.order_by("-created_at", "-pk")[: size + 1])
    shown = found[:size]
    return TrainPart(views_of(shown), shown[-1].pk if len(found) > size else None)
