"""What a flag could pass once it is described differently. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from rollouts.policies.conditions import Condition
from rollouts.policies.rules import Effect, Rule, active


@dataclass(frozen=True, slots=True)
class Described:
    """What rules look at about a flag, whatever a change does to it."""

    kind: str
    tags: tuple[str, ...]
    owner_team: str | None


def escaped(rules: Iterable[Rule], before: Described, after: Described) -> tuple[Rule, ...]:
    """The active rules that might not apply any more, or that would hear another team.

    A flag that has no owner team any more escapes nothing: what was demanded of the team cannot be given then.
    """
    other_team = after.owner_team is not None and after.owner_team != before.owner_team
    return tuple(
        rule
        for rule in active(rules)
        if rule.effect is not Effect.ALLOW
        and (_loses(rule, before, after) or (other_team and rule.requirement.owner_teams))
    )


def _loses(rule: Rule, before: Described, after: Described) -> bool:
    """Whether a condition on kinds or tags held and does not any more; other flags of a change may meet the rest."""
    looks = [condition for condition in rule.conditions if condition.kind in {"flag_kind", "tags"}]
    return any(_meets(condition, before) and not _meets(condition, after) for condition in looks)


def _meets(condition: Condition, flag: Described) -> bool:
    words = (flag.kind,) if condition.kind == "flag_kind" else flag.tags
    return not set(condition.params["kinds" if condition.kind == "flag_kind" else "tags"]).isdisjoint(words)
