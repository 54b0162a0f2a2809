"""Short ways to bring a rollout plan where a test begins, all of them through the services."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from flags.models import Environment, Flag, FlagConfig
from flags.services.attempts import attempt
from rollouts.models import RolloutPlan
from rollouts.plans.definition import GuardSpec, Options, PlanDefinition, Stage, Strategy
from rollouts.plans.patches import share_of as weight_of
from rollouts.plans.strategies import custom
from rollouts.plans.transitions import PlanAct, PlanState
from rollouts.services.plans import acting, drafting
from rollouts.services.plans.writing import ENGINE, lock_plan, step
from tests.factories import NOW, SOON, actor_of
from tests.rollouts.support import Bench

SHARES = ((10_000, 30), (50_000, 30), (100_000, 30))


def stages_of(
    flag_key: str = "checkout-redesign",
    *,
    shares: tuple[tuple[int, int], ...] = SHARES,
    gates: Mapping[int, dict[str, Any]] | None = None,
) -> tuple[Stage, ...]:
    """Stages of a boolean flag by weight and soak; `gates` are further gates by the number of the stage."""
    stages = custom(flag_key, variant="on", against="off", shares=shares)
    return tuple(
        replace(stage, gates=replace(stage.gates, **(gates or {}).get(number, {})))
        for number, stage in enumerate(stages, start=1)
    )


def definition_of(
    *flags: str,
    stages: tuple[Stage, ...] | None = None,
    guards: tuple[GuardSpec, ...] = (),
    gates: Mapping[int, dict[str, Any]] | None = None,
    **options: Any,
) -> PlanDefinition:
    """A plan of three stages for the bench's flag, unless something else is asked for."""
    keys = flags or ("checkout-redesign",)
    return PlanDefinition(
        flags=keys,
        strategy=Strategy.CUSTOM,
        stages=_together([stages_of(key, gates=gates) for key in keys]) if stages is None else stages,
        guards=guards,
        options=Options(**options),
    )


@dataclass
class PlanBench(Bench):
    """The bench with plans. Rita shapes and proposes, Abel approves, Rolf starts; in staging Rita starts herself."""

    @property
    def staging(self) -> Environment:
        """An environment without protection."""
        return self.world.staging

    def plan(
        self,
        definition: PlanDefinition | None = None,
        *,
        by: Any = None,
        environment: Environment | None = None,
        now: datetime = NOW,
        is_confirmed: bool = False,
        template_id: Any = None,
        **wanted: Any,
    ) -> RolloutPlan:
        """A draft for production. `wanted` goes to `definition_of`: stages, guards, gates, options."""
        return drafting.create_plan(
            (environment or self.production).pk,
            actor=actor_of(by or self.world.rita),
            now=now,
            title="Checkout for everybody",
            reason="Conversion is stable",
            definition=definition or definition_of(**wanted),
            is_confirmed=is_confirmed,
            template_id=template_id,
        )

    def started(
        self, definition: PlanDefinition | None = None, *, by: Any = None, now: datetime = NOW, **wanted: Any
    ) -> RolloutPlan:
        """A plan at its first stage in staging, where nobody has to approve."""
        plan = self.plan(definition, by=by, environment=self.staging, now=now, **wanted)
        return acting.start_plan(plan.pk, actor=actor_of(by or self.world.rita), now=now, digest=plan.digest)

    def proposed(
        self,
        definition: PlanDefinition | None = None,
        *,
        by: Any = None,
        now: datetime = NOW,
        apply_at: datetime | None = SOON,
        **wanted: Any,
    ) -> RolloutPlan:
        """A plan for production that waits for approval, to be started in an hour at the earliest."""
        plan = self.plan(definition, by=by, now=now, **wanted)
        actor = actor_of(by or self.world.rita)
        return drafting.propose_plan(plan.pk, actor=actor, now=now, digest=plan.digest, apply_at=apply_at)

    def approved_plan(
        self, definition: PlanDefinition | None = None, *, now: datetime = NOW, **wanted: Any
    ) -> RolloutPlan:
        """A proposed plan that Abel approved; it waits for its hour."""
        plan = self.proposed(definition, now=now, **wanted)
        assert plan.request is not None
        self.approve(plan.request, now=now)
        return reloaded(plan)

    def approved_and_started(
        self, definition: PlanDefinition | None = None, *, now: datetime = NOW, **wanted: Any
    ) -> RolloutPlan:
        """A plan at its first stage in production: with Abel's approval it started at once."""
        return self.approved_plan(definition, now=now, apply_at=None, **wanted)

    def served(self, environment: Environment | None = None, flag: Flag | None = None) -> dict[str, Any]:
        """The document that an environment serves, production unless something else is asked for."""
        rows = FlagConfig.objects.filter(flag=flag or self.flag, environment=environment or self.production)
        return dict(rows.get().document)

    def share_of(self, plan: RolloutPlan, flag: Flag | None = None) -> int:
        """The weight of “on” that is served where the plan is at work."""
        return weight_of(self.served(plan.environment, flag), "on")


def reloaded(plan: RolloutPlan) -> RolloutPlan:
    """The plan as the database has it."""
    return RolloutPlan.objects.select_related("environment", "project", "request").get(pk=plan.pk)


def plan_in(bench: PlanBench, state: PlanState, **wanted: Any) -> RolloutPlan:
    """A plan in `state`: a proposed one in production, any other in staging."""
    actor = actor_of(bench.world.rita)
    match state:
        case PlanState.DRAFT:
            return bench.plan(environment=bench.staging, **wanted)
        case PlanState.PROPOSED:
            return bench.proposed(**wanted)
    plan = bench.started(**wanted)
    told: dict[str, Any] = {"actor": actor, "now": NOW, "sequence": plan.sequence}
    match state:
        case PlanState.PAUSED:
            return acting.pause_plan(plan.pk, **told)
        case PlanState.ROLLED_BACK:
            return acting.roll_back_plan(plan.pk, reason="Errors", **told)
        case PlanState.ABORTED:
            return acting.abort_plan(plan.pk, reason="Not wanted", **told)
        case PlanState.COMPLETED:
            return complete(plan)
    return plan


def complete(plan: RolloutPlan, *, now: datetime = NOW) -> RolloutPlan:
    """What the engine does at the end of the last stage, wherever the plan is."""

    def act() -> RolloutPlan:
        found = lock_plan(plan.pk)
        step(found, PlanAct.COMPLETE, actor=ENGINE, now=now, ended_at=now, next_look_at=None)
        return found

    return attempt(act)


def _together(by_flag: list[tuple[Stage, ...]]) -> tuple[Stage, ...]:
    """Stages that each patch several flags."""
    return tuple(
        replace(parts[0], patches=tuple(patch for part in parts for patch in part.patches))
        for parts in zip(*by_flag, strict=True)
    )
