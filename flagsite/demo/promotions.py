"""Promotion in the demo organisation: what drifts apart, what is meant to, and a draft copied from staging."""

from datetime import timedelta
from typing import TYPE_CHECKING

from audits.context import correlation
from flags.aspects import Aspect
from flags.models import Environment, Flag, FlagConfig, Project
from rollouts.services.differences import intend_difference
from rollouts.services.drift import refresh_drift
from rollouts.services.promotion import FlagChoice, promote

if TYPE_CHECKING:
    from flagsite.demo.story import Story


def tell_promotions(story: "Story") -> None:
    """Mira prepares the next flag for production, and says why the banner is another one in staging."""
    for project in Project.objects.all():
        refresh_drift(project.pk, now=story.now)
    staging, production = (story.environment("storefront", key) for key in ("staging", "production"))
    with correlation():
        flag = Flag.objects.get(project__key="storefront", key="hero-banner")
        intend_difference(
            flag.pk,
            (staging.pk, production.pk),
            aspects=[Aspect.RULES.value, Aspect.DEFAULT.value],
            owner_id=story.people["mira"].pk,
            reason="Testers see every banner in staging",
            expires_at=story.now + timedelta(days=60),
            actor=story.actor("mira"),
            now=story.now - timedelta(days=2),
        )
    with correlation():
        promote(
            staging.pk,
            production.pk,
            flags=[_default("price-rounding", staging, production)],
            actor=story.actor("mira"),
            title="Promote price rounding from Staging to Production",
            reason="Three quiet weeks in staging",
            now=story.now - timedelta(hours=1),
        )


def _default(key: str, source: Environment, target: Environment) -> FlagChoice:
    rows = FlagConfig.objects.filter(flag__key=key, environment__in=[source, target])
    versions = {row.environment_id: row.version for row in rows}
    return FlagChoice(key, frozenset({Aspect.DEFAULT}), versions[source.pk], versions[target.pk])
