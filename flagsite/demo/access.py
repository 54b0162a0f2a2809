"""Access in the demo organisation: a role of its own, given with an end, and a setting to confirm."""

from datetime import timedelta
from typing import TYPE_CHECKING

from audits.context import correlation
from flags.models import Project
from flags.services.custom_roles import create_custom_role
from flags.services.roles import give_role
from rollouts.services.settings import propose_setting
from rollouts.settings_kinds import Scope

if TYPE_CHECKING:
    from flagsite.demo.story import Story


def tell_access(story: "Story") -> None:
    """Rosa plans her holiday: Omar covers her nights, and would like requests to live longer meanwhile."""
    project, day = Project.objects.get(key="storefront"), timedelta(days=1)
    production = story.environment("storefront", "production")
    midnight = story.now.replace(hour=0, minute=0, second=0, microsecond=0)
    with correlation():
        role = create_custom_role(
            project.pk,
            actor=story.actor("ada"),
            key="on-call",
            name="On call",
            description="Whoever covers the night.",
            permissions=["propose_change", "apply_change", "break_glass"],
            reason="Nights are covered in turns",
            now=story.now - 6 * day,
        )
        give_role(
            story.people["omar"].pk,
            production.pk,
            role=role.pk,
            ends_at=midnight + 12 * day,
            actor=story.actor("ada"),
            now=story.now - 2 * day,
            reason="Covers Rosa's nights while she is away",
        )
    with correlation():
        propose_setting(
            "approval_policy",
            Scope.of_environment(production),
            {"required_approvals": 1, "named_approvers": None, "expires_after_hours": 30 * 24},
            actor=story.actor("omar"),
            reason="Requests lapse while half of us are on holiday",
            now=story.now - timedelta(hours=5),
        )
