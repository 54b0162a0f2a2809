"""Short ways to put plans together into a release train."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flags.documents import initial_document
from flags.models import Environment
from rollouts.models import ReleaseTrain, RolloutPlan
from rollouts.plans.definition import PlanDefinition
from rollouts.selectors.trains import view_of
from rollouts.services import trains
from rollouts.services.plans import drafting
from rollouts.services.plans.engine import advance_due
from rollouts.services.train_moves import carry_on
from rollouts.services.trains import Seat
from tests.factories import NOW, actor_of
from tests.rollouts.plans.support import PlanBench, definition_of, reloaded


@dataclass
class TrainBench(PlanBench):
    """The bench of plans with trains. Rita, who edits everywhere, makes and starts them."""

    def plan_for(self, key: str, *, environment: Environment | None = None, **wanted: Any) -> RolloutPlan:
        """A draft for a flag, made where it does not exist; in staging unless something else is asked for."""
        if key not in self.world.flags:
            self.world.flag(key)
        return self.plan(definition_of(key, **wanted), environment=environment or self.staging)

    def needing(self, key: str, parent: str, *, environment: Environment | None = None) -> None:
        """Let a flag need another one in an environment."""
        for name in (parent, key):
            if name not in self.world.flags:
                self.world.flag(name)
        document = {
            **initial_document(key, "boolean"),
            "enabled": True,
            "prerequisites": [{"flag": parent, "variants": ["on"]}],
        }
        self.world.serve(self.world.flags[key], environment or self.staging, document)

    def train(
        self, *plans: RolloutPlan, opens_at: Mapping[RolloutPlan, int] | None = None, by: Any = None
    ) -> ReleaseTrain:
        """A train that has not started."""
        seats = [Seat(plan.pk, (opens_at or {}).get(plan)) for plan in plans]
        actor = actor_of(by or self.world.rita)
        return trains.create_train(
            self.world.project.pk, seats, actor=actor, now=NOW, title="Autumn", reason="Together"
        )

    def started_train(
        self, *plans: RolloutPlan, opens_at: Mapping[RolloutPlan, int] | None = None, by: Any = None
    ) -> ReleaseTrain:
        """A train whose first plan is at its first stage."""
        return self.start(self.train(*plans, opens_at=opens_at), by=by)

    def start(self, train: ReleaseTrain, *, by: Any = None) -> ReleaseTrain:
        """Start a train as it is now."""
        actor = actor_of(by or self.world.rita)
        seen = view_of(train_again(train))
        return trains.start_train(train.pk, actor=actor, now=NOW, seen=seen.train.lock_version, digest=seen.digest)

    def edited(self, plan: RolloutPlan, definition: PlanDefinition) -> RolloutPlan:
        """The draft with other stages; Rita's own change."""
        actor = actor_of(self.world.rita)
        return drafting.edit_plan(plan.pk, actor=actor, now=NOW, digest=plan.digest, definition=definition)

    def tick(self, train: ReleaseTrain, now: datetime) -> None:
        """What every sweep does."""
        advance_due(now)
        carry_on(train.pk, now=now)


def where(*plans: RolloutPlan) -> list[tuple[str, int]]:
    """State and stage of each plan as the database has it."""
    return [(found.state, found.stage) for found in map(reloaded, plans)]


def train_again(train: ReleaseTrain) -> ReleaseTrain:
    """The train as the database has it."""
    return ReleaseTrain.objects.get(pk=train.pk)
