"""What the page of a flag shows of its end: timelines, what configs say of it, and why it may go."""

import json
from collections.abc import Sequence
from urllib.parse import urlencode

from django.contrib.auth.models import AbstractUser
from django.urls import reverse
from django.utils import timezone

from flags import permissions
from flags.admin.panels import EndingLine, FlagEnding, FlagRemoval
from flags.documents.deprecation_words import describe_deprecation
from flags.models import Environment, Flag, FlagConfig
from rollouts.admin.stale.inbox import READINESS
from rollouts.admin.timelines.words import state_of
from rollouts.deprecations.definition import MilestoneKind
from rollouts.deprecations.transitions import LIVE_STATES, TimelineState
from rollouts.deprecations.words import local, milestone_name
from rollouts.models import DeprecationTimeline, StaleVerdict
from rollouts.selectors.staleness.facts import life_of_flag
from rollouts.selectors.staleness.forward import seen_forward
from rollouts.selectors.timelines.endings import readable
from rollouts.selectors.timelines.ground import definition_of

_STANDING = [state.value for state in (*LIVE_STATES, TimelineState.DRAFT, TimelineState.PROPOSED)]


def flag_ending(user: AbstractUser, flag: Flag, environments: Sequence[Environment]) -> FlagEnding | None:
    """The end of a flag as this person sees it, judged afresh: twenty queries; None for one that is archived."""
    if flag.archived_at is not None or not environments:
        return None
    rows = DeprecationTimeline.objects.filter(flag=flag, environment__in=environments, state__in=_STANDING)
    timelines = readable(rows.select_related("environment", "flag").order_by("-environment__position", "created_at"))
    told = {timeline.environment_id for timeline in timelines if timeline.current_state in LIVE_STATES}
    configs = FlagConfig.objects.filter(flag=flag, environment__in=environments, document__has_key="deprecation")
    lines = [_of_timeline(timeline) for timeline in timelines]
    lines += [
        _of_config(config) for config in configs.select_related("environment") if config.environment_id not in told
    ]
    verdict = StaleVerdict.objects.filter(flag=flag, is_stale=True).first()
    allowed = permissions.environments_with(user, permissions.PROPOSE)
    may_plan = any(environment.pk in allowed for environment in environments)
    return FlagEnding(
        lines,
        [str(one["sentence"]) for one in verdict.reasons] if verdict else [],
        f"{reverse('admin:rollouts_staleverdict_changelist')}?{urlencode({'project': flag.project.key})}",
        f"{reverse('admin:rollouts_deprecationtimeline_add')}?{urlencode({'flag': str(flag.pk)})}" if may_plan else "",
        _removal(user, flag),
    )


def _removal(user: AbstractUser, flag: Flag) -> FlagRemoval:
    """Whether the flag may go, and what to write instead where the person may know what it serves."""
    life = life_of_flag(flag, now=timezone.now())
    seen = set(permissions.visible_environments(user).filter(project=flag.project_id).values_list("key", flat=True))
    forward, chip = seen_forward(life, seen), READINESS[life.removal.readiness]
    # What stands in code has a line of its own.
    matters = [one for one in (*life.removal.blockers, *life.removal.cautions) if one.code != "no_single_value"]
    has_value = forward.is_known and forward.variant is not None
    value = json.dumps(forward.value, ensure_ascii=False) if has_value else ""
    return FlagRemoval(chip.text, chip.tone, chip.symbol, [one.sentence for one in matters], forward.sentence, value)


def _of_timeline(timeline: DeprecationTimeline) -> EndingLine:
    definition, state = definition_of(timeline), state_of(timeline)
    ahead = definition.milestones[timeline.milestone :]
    words = [f"{milestone_name(ahead[0])} on {local(ahead[0].at, definition.zone)}"] if ahead else []
    sunset = next((one for one in ahead[1:] if one.kind is MilestoneKind.SUNSET), None)
    words += [f"sunset on {local(sunset.at, definition.zone)}"] if sunset else []
    text = f"Next: {', '.join(words)} ({definition.zone})." if words else "Every milestone is behind it."
    address = reverse("admin:rollouts_deprecationtimeline_change", args=[timeline.pk])
    return EndingLine(timeline.environment, text, state.text, state.tone, state.symbol, address)


def _of_config(config: FlagConfig) -> EndingLine:
    sentences = describe_deprecation(config.document["deprecation"])
    return EndingLine(config.environment, f"{'. '.join(sentences)}.")
