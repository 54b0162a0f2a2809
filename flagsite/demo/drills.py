"""Rollback drills of the demo organisation: two that pass week by week, and one that has found something."""

from datetime import timedelta
from typing import TYPE_CHECKING

from audits.context import correlation
from flags.models import Flag
from rollouts.services.drills import DrillPlan, add_drill, run_drill

if TYPE_CHECKING:
    from flagsite.demo.story import Story

WEEKS = (3, 2, 1)


def tell_drills(story: "Story") -> None:
    """Rosa wants to know that production can go back, before she needs it."""
    production = story.environment("storefront", "production")
    banner = Flag.objects.get(project=production.project_id, key="hero-banner")
    newest = Flag.objects.filter(configs__environment=production, configs__version=1).order_by("-created_at").first()
    plans = [
        DrillPlan("The banner goes back in seconds", banner.pk, "previous", None, None, 5, 7),
        DrillPlan("All of production goes back a day", None, "instant", None, 24, 10, 7),
    ]
    if newest is not None:
        plans.append(DrillPlan(f"{newest.name} goes back", newest.pk, "previous", None, None, 5, 30))
    for plan in plans:
        _exercise(story, plan)


def _exercise(story: "Story", plan: DrillPlan) -> None:
    production, week = story.environment("storefront", "production"), timedelta(days=7)
    first = story.now - len(WEEKS) * week + timedelta(hours=2)
    with correlation():
        drill = add_drill(production.pk, plan, actor=story.actor("rosa"), now=first)
    weeks = WEEKS if plan.interval_days == week.days else WEEKS[-1:]
    for ago in weeks:
        with correlation():
            run_drill(drill.pk, actor=story.actor("rosa"), now=story.now - ago * week + timedelta(hours=3))
