"""Emergencies of the demo organisation: one that was reviewed, and one that waits for it."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from audits.context import correlation
from flags.changes import ChangeSet, ConfigEdit
from flags.models import Flag, FlagConfig
from flagsite.demo.catalogue import share
from rollouts.models import BreakGlassOutcome
from rollouts.services.emergencies import break_glass, review_break_glass

if TYPE_CHECKING:
    from flagsite.demo.story import Story


def tell_emergencies(story: "Story") -> None:
    """Rosa is on call: twice something could not wait for an approval."""
    day = timedelta(days=1)
    with correlation():
        use = _break(
            story,
            "support-tools",
            "fraud-score-limit",
            share(40, "strict", "usual"),
            4 * day,
            "A wave of stolen cards: the usual limit lets it through",
        )
    with correlation():
        review_break_glass(
            use.pk,
            actor=story.actor("ben"),
            outcome=BreakGlassOutcome.JUSTIFIED,
            comment="Every hour cost real money, and the step was small.",
            now=story.now - 4 * day + timedelta(hours=3),
        )
    with correlation():
        _break(
            story,
            "support-tools",
            "fraud-score-limit",
            share(60, "strict", "usual"),
            timedelta(hours=5),
            "The wave is back, from another country",
        )


def _break(story: "Story", project: str, key: str, fields: dict[str, Any], ago: timedelta, reason: str) -> Any:
    production = story.environment(project, "production")
    config = FlagConfig.objects.get(flag=Flag.objects.get(project__key=project, key=key), environment=production)
    edit = ConfigEdit(key, config.version, {**config.document, **fields})
    change_set = ChangeSet(str(production.pk), (edit,))
    return break_glass(
        production.pk, change_set=change_set, actor=story.actor("rosa"), reason=reason, now=story.now - ago
    )
