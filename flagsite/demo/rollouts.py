"""Rollout plans of the demo: one in motion, one that took itself back, one that waits for approval, a finished one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from audits.context import correlation
from flags.models import Project
from flagsite.demo.catalogue import EVERYBODY_ON, DemoFlag
from flagsite.demo.traffic import report_minutes
from rollouts.models import RolloutPlan
from rollouts.plans.definition import (
    GuardAction,
    GuardSpec,
    MetricKind,
    Options,
    PlanDefinition,
    Stage,
    Strategy,
)
from rollouts.plans.strategies import Care, custom
from rollouts.plans.templates import as_template
from rollouts.plans.transitions import PlanState
from rollouts.services.guard_metrics import MetricFields, add_metric
from rollouts.services.plans.drafting import create_plan, propose_plan
from rollouts.services.plans.engine import advance_if_due
from rollouts.services.plans.templates import save_template
from rollouts.services.reviewing import approve_change_request

if TYPE_CHECKING:
    from flagsite.demo.story import Story

MOVING, BROKEN, WAITING, DONE = "delivery-estimate", "gift-wrapping", "address-suggestions", "saved-baskets"
ERRORS, SLOW = "errors", "slow-answers"
STEP = timedelta(minutes=5)
_USUAL = {ERRORS: 0.05, SLOW: 0.04}
_WORSE = {ERRORS: 0.15, SLOW: 0.04}
_STAGES = ((5_000, 60), (10_000, 60), (25_000, 60), (50_000, 30), (100_000, 30))
# Production gets them by their plans.
_BEFORE: Mapping[str, Mapping[str, Any]] = {"development": EVERYBODY_ON, "staging": EVERYBODY_ON}


def _flag(key: str, name: str, description: str) -> DemoFlag:
    return DemoFlag("storefront", key, name, "release", "boolean", description, "mira", ("checkout",), _BEFORE)


FLAGS = (
    _flag(MOVING, "Delivery estimate", "Says in the basket on which day an order arrives."),
    _flag(BROKEN, "Gift wrapping", "Offers gift wrapping in the last step of the checkout."),
    _flag(WAITING, "Address suggestions", "Completes addresses while they are typed."),
    _flag(DONE, "Saved baskets", "Keeps the basket for a month."),
)
METRICS = {
    ERRORS: MetricFields(
        "Failed payments",
        MetricKind.ERROR_RATE,
        description="Customers who could not pay at the first try.",
        on_missing=GuardAction.HOLD,
    ),
    SLOW: MetricFields(
        "Slow checkouts",
        MetricKind.LATENCY,
        description="Customers who waited for the checkout longer than it should take.",
        limit=800.0,
        on_missing=GuardAction.HOLD,
    ),
}


@dataclass(frozen=True, slots=True)
class _Day:
    """When a plan was started and until when the demo follows it. `worse_from` is the stage in which it breaks."""

    started_at: datetime
    until: datetime
    worse_from: int = 99


def tell_rollouts(story: "Story") -> None:
    """What the storefront's plans have been through, up to now."""
    for number, flag in enumerate(FLAGS):
        with correlation():
            story.introduce(flag, story.now - timedelta(days=14, hours=number))
    _catalogue(story)
    _finished(story)
    _rolled_back(story)
    _waiting(story)
    _in_motion(story)


def _catalogue(story: "Story") -> None:
    project, mira, at = Project.objects.get(key="storefront"), story.actor("mira"), story.now - timedelta(days=12)
    with correlation():
        for key, fields in METRICS.items():
            add_metric(project.pk, key, fields, actor=mira, now=at)
        template = as_template(_careful(MOVING), flag_key=MOVING, variant="on", against="off")
        save_template(
            project.pk,
            key="watched-checkout",
            name="Watched checkout",
            description="Five shares, watched for failed payments and slow checkouts; a person agrees to the last.",
            definition=template,
            kinds=["release"],
            actor=mira,
            now=at,
        )


def _finished(story: "Story") -> None:
    at = story.now - timedelta(days=4)
    stages = custom(DONE, variant="on", against="off", shares=[(25_000, 180), (50_000, 180), (100_000, 60)])
    plan = _started(story, "Saved baskets for everybody", _definition(DONE, stages), at)
    _follow(plan, _Day(at, at + timedelta(hours=8)), step=timedelta(hours=1))


def _rolled_back(story: "Story") -> None:
    at = story.now - timedelta(hours=26)
    plan = _started(story, "Gift wrapping in the checkout", _careful(BROKEN), at)
    _follow(plan, _Day(at, at + timedelta(hours=4), worse_from=2))


def _waiting(story: "Story") -> None:
    _proposed(story, "Address suggestions step by step", _careful(WAITING), story.now - timedelta(hours=2))


def _in_motion(story: "Story") -> None:
    # Minutes before its third stage is over, so that whoever watches sees it move.
    at = story.now - timedelta(minutes=185)
    plan = _started(story, "Delivery estimate in the basket", _careful(MOVING), at)
    _follow(plan, _Day(at, story.now))


def _careful(flag_key: str) -> PlanDefinition:
    care = Care(is_monitored=True, minimum_sample=200, approvals=1)
    stages = custom(flag_key, variant="on", against="off", shares=_STAGES, care=care)
    guards = tuple(
        GuardSpec(
            metric=metric,
            name=fields.name,
            kind=fields.kind,
            flag_key=flag_key,
            treatment="on",
            control="off",
            on_missing=fields.on_missing,
        )
        for metric, fields in METRICS.items()
    )
    return _definition(flag_key, stages, guards)


def _definition(flag_key: str, stages: tuple[Stage, ...], guards: tuple[GuardSpec, ...] = ()) -> PlanDefinition:
    return PlanDefinition((flag_key,), Strategy.CUSTOM, stages, guards, Options(may_skip=True))


def _proposed(story: "Story", title: str, definition: PlanDefinition, at: datetime) -> RolloutPlan:
    production, mira = story.environment("storefront", "production"), story.actor("mira")
    reason = "Two good weeks in staging"
    with correlation():
        plan = create_plan(production.pk, actor=mira, now=at, title=title, definition=definition, reason=reason)
        return propose_plan(
            plan.pk,
            actor=mira,
            now=at + timedelta(minutes=5),
            digest=plan.digest,
            ticket_url="https://tickets.storefront.example/SHOP-1284",
        )


def _started(story: "Story", title: str, definition: PlanDefinition, at: datetime) -> RolloutPlan:
    """A plan that starts at `at` with the last of two approvals."""
    request = _proposed(story, title, definition, at - timedelta(hours=2)).request
    if request is None:
        raise ValueError(f"{title} was proposed without a request.")
    for username, when in (("nora", at - timedelta(hours=1)), ("ben", at)):
        with correlation():
            approve_change_request(
                request.pk,
                actor=story.actor(username),
                digest=request.digest,
                comment="The guards look at the right things." if username == "nora" else "",
                now=when,
            )
    return RolloutPlan.objects.select_related("environment").get(request=request)


def _follow(plan: RolloutPlan, day: _Day, *, step: timedelta = STEP) -> None:
    """Let time pass: services report what happened, and the engine looks."""
    at = day.started_at
    while at < day.until and plan.current_state is PlanState.RUNNING:
        later = min(at + step, day.until)
        if plan.definition["guards"]:
            rates: Mapping[str, float] = _WORSE if plan.stage >= day.worse_from else _USUAL
            report_minutes(plan, at, later, weight=_weight(plan), rates={"on": rates, "off": _USUAL})
        at = later
        advance_if_due(plan.pk, now=at)
        plan.refresh_from_db()


def _weight(plan: RolloutPlan) -> int:
    stage = plan.definition["stages"][plan.stage - 1]
    return int(stage["patches"][0]["weight"])
