"""The page of a plan: everything one person needs to see at a glance, put together for the template."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.models import AbstractUser
from django.urls import reverse
from django.utils.html import format_html

from flags import permissions
from flags.documents.words import percent
from flags.models import Flag, LocalKill
from flags.selectors.kills import open_kills
from flags.showing import visible
from rollouts.admin.plans.bars import columns_of
from rollouts.admin.plans.dialogs import copy_dialog, dialogs_of, refusals_of, with_holds
from rollouts.admin.plans.guards import cards_of
from rollouts.admin.plans.history import moments_of, people_named, story_of
from rollouts.admin.plans.standing import standing_of
from rollouts.admin.plans.values import ShownChange, shown_changes
from rollouts.admin.plans.words import gravest, state_of
from rollouts.models import PlanStep, RolloutPlan
from rollouts.plans.codec import from_json
from rollouts.plans.definition import TOTAL_WEIGHT, PlanDefinition, Strategy
from rollouts.plans.patches import share_of
from rollouts.plans.transitions import ENDED_STATES, LIVE_STATES, PlanAct, PlanState
from rollouts.plans.value_changes import value_changes
from rollouts.selectors.plans.ground import Ground, ground_of
from rollouts.selectors.plans.rights import PossibleAct, possible_acts
from rollouts.selectors.plans.starting import start_holds
from rollouts.selectors.plans.stored import reading_of, stored_guards
from rollouts.selectors.reliance import relied_on
from rollouts.selectors.timelines.beside import endings_beside
from rollouts.services.plans.consent import every_document

LIST = "admin:rollouts_rolloutplan_changelist"


@dataclass(frozen=True, slots=True)
class Served:
    """What one flag of the plan serves right now, read from what is served and not from the plan."""

    key: str
    name: str
    address: str
    headline: str
    words: str
    has_moved: bool
    kills: Sequence[LocalKill]
    ending: str = ""


def plan_context(
    plan: RolloutPlan, user: AbstractUser, *, now: datetime, typed: dict[str, Any] | None = None
) -> dict[str, Any]:
    """What the template shows. `typed`: the act that was refused, its error, and the fields posted with it."""
    definition = from_json(plan.definition)
    steps = list(PlanStep.objects.filter(plan=plan).order_by("sequence"))
    reading = reading_of(plan, stored_guards(plan, now=now), now=now)
    standing = standing_of(plan, definition, reading, now=now)
    columns = columns_of(plan, definition, steps=steps, expected=standing.expected)
    ground = ground_of(plan)
    acts, names = _acts(plan, user, ground), people_named(steps)
    story = story_of(plan, steps, columns, names)
    is_ahead = plan.current_state in {PlanState.DRAFT, PlanState.PROPOSED}
    holds = start_holds(definition, plan.environment, now=now) if is_ahead else []
    dialogs = with_holds(dialogs_of(plan, definition, acts, columns), plan.environment.name, holds)
    guards = [] if story or plan.started_at is None else cards_of(plan, now=now)
    return {
        "plan": plan,
        "environment": plan.environment,
        "definition": definition,
        "request_asks": plan.request,
        "state": state_of(plan),
        "health": gravest([card.outcome for card in guards]) if plan.current_state in LIVE_STATES else None,
        "columns": columns,
        "new_values": _new_values(plan, definition),
        "standing": standing,
        "served": _served(plan, definition, ground, now=now),
        "guards": guards,
        "story": story,
        "story_guards": cards_of(plan, now=now, attempt=story.attempt) if story else [],
        "moments": moments_of(steps, columns, names),
        "dialogs": dialogs,
        "holds": holds,
        "copy": _copy(plan, user),
        "refusals": refusals_of(plan, acts),
        "edit_address": _edit_address(plan, acts),
        "template_address": _template_address(plan, user),
        "strategy": definition.strategy.label if definition.strategy is not Strategy.CUSTOM else "Own stages",
        "options": _option_words(definition),
        "is_live": plan.current_state in LIVE_STATES,
        "has_begun": plan.started_at is not None,
        "crumbs": [
            ("Rollout plans", reverse(LIST)),
            (format_html("#{} {}", plan.number, visible(plan.title)), ""),
        ],
        "refused": typed or {},
        "now": now,
    }


def served_words(plan: RolloutPlan, definition: PlanDefinition, ground: Ground, key: str) -> tuple[str, str]:
    """How much of a flag is served, and what that is: “25 %” and “get “on””."""
    config = ground.configs.get(key)
    if config is None:
        return "Not set up", f"{key} was never applied here"
    variant = growing_variant(definition, key)
    if variant is None:
        return "Served", f"version {config.version} of {key}"
    weight = share_of(config.document, variant)
    rest = "everybody" if weight == TOTAL_WEIGHT else "nobody" if weight == 0 else "of all people"
    return percent(weight), f"{rest} get{'s' if weight in {0, TOTAL_WEIGHT} else ''} “{variant}” of {key} now"


def growing_variant(definition: PlanDefinition, key: str) -> str | None:
    """The variant that the plan brings to people; None where it changes something else."""
    patches = [patch for stage in definition.stages for patch in stage.patches if patch.flag_key == key]
    return next((patch.variant for patch in patches if patch.variant), None)


def _acts(plan: RolloutPlan, user: AbstractUser, ground: Ground) -> list[PossibleAct]:
    """The acts of the page. A draft is brought up to date only where something it stands on has moved."""
    acts = possible_acts(plan, user)
    if plan.current_state is PlanState.DRAFT and not _has_moved(plan, ground):
        return [act for act in acts if act.act is not PlanAct.REBASE]
    return acts


def _has_moved(plan: RolloutPlan, ground: Ground) -> bool:
    """Whether a flag is not as the plan was prepared on, or a segment that its stages refer to: one query at most."""
    if ground.moved:
        return True
    return bool(relied_on(every_document(plan.environment, plan.documents), plan.environment) != plan.relies_on)


def _served(plan: RolloutPlan, definition: PlanDefinition, ground: Ground, *, now: datetime) -> list[Served]:
    """Every flag of the plan as it is served: four queries."""
    rows = {flag.key: flag for flag in Flag.objects.filter(project=plan.project_id, key__in=definition.flags)}
    kills: dict[str, list[LocalKill]] = {}
    for kill in open_kills([plan.environment_id]):
        kills.setdefault(kill.flag_key, []).append(kill)
    is_over = plan.current_state in ENDED_STATES
    moved = frozenset() if is_over else ground.moved_keys
    endings = {} if is_over else endings_beside(plan.environment, definition.flags, now=now)
    found = []
    for key in definition.flags:
        headline, words = served_words(plan, definition, ground, key)
        flag = rows.get(key)
        address = reverse("admin:flags_flag_change", args=[flag.pk]) if flag else ""
        name = flag.name if flag else key
        ending = endings.get(key, "")
        found.append(Served(key, name, address, headline, words, key in moved, kills.get(key, []), ending))
    return found


def _new_values(plan: RolloutPlan, definition: PlanDefinition) -> list[tuple[str, list[ShownChange]]]:
    """The stages that bring new values behind variants, by name."""
    base = {key: known["document"] for key, known in plan.base.items()}
    changes = value_changes(base, plan.documents)
    return [(stage.name, shown_changes(one)) for stage, one in zip(definition.stages, changes, strict=True) if one]


def _copy(plan: RolloutPlan, user: AbstractUser) -> Any:
    is_standing = plan.current_state in ENDED_STATES | {PlanState.ROLLED_BACK, PlanState.PAUSED}
    may = permissions.user_holds(user, permissions.PROPOSE, plan.environment)
    return copy_dialog(plan) if is_standing and may else None


def _edit_address(plan: RolloutPlan, acts: Sequence[Any]) -> str:
    may = any(act.is_allowed for act in acts if act.act is PlanAct.EDIT)
    return reverse("admin:rollouts_rolloutplan_edit", args=[plan.pk]) if may else ""


def _template_address(plan: RolloutPlan, user: AbstractUser) -> str:
    if not permissions.user_holds(user, permissions.PROPOSE, plan.environment):
        return ""
    return f"{reverse('admin:rollouts_plantemplate_add')}?{urlencode({'plan': str(plan.pk)})}"


def _option_words(definition: PlanDefinition) -> list[str]:
    """How the plan behaves, in sentences."""
    options = definition.options
    back = "the last stage that its guards found good"
    if options.rollback_to == "start":
        back = "how it was before the plan"
    found = [f"A rollback goes back to {back}."]
    found.append(
        "Release managers may leave a stage before its time."
        if options.may_skip
        else "No stage is left before its time."
    )
    if options.hold_back:
        found.append(f"{percent(options.hold_back)} stay without it for comparison.")
    if definition.guards:
        alpha = f"{100 * options.alpha:g} %"
        found.append(
            f"In a rollout without any regression, all guards together stop it wrongly in at most {alpha} of cases; "
            "going back to an earlier stage begins another such chance."
        )
    return found
