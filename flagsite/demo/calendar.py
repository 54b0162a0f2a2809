"""The calendar of the demo: a freeze to come, quiet weekends for payments, and an incident that is not over."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from audits.context import correlation
from flags.models import Environment
from rollouts.models import ChangeRequest
from rollouts.services.calendar import set_window
from rollouts.services.change_requests import schedule_change_request
from rollouts.services.incidents import close_incident, open_incident

if TYPE_CHECKING:
    from flagsite.demo.story import Story


def tell_calendar(story: "Story") -> None:
    """A freeze next week that a draft lands in, weekends, and two incidents."""
    production = story.environment("storefront", "production")
    opening = (story.now + timedelta(days=6)).replace(hour=0, minute=0, second=0, microsecond=0)
    _window(
        story,
        production,
        title="Black Friday freeze",
        reason="The busiest days of the year: nobody wants surprises in the shop",
        timing={"starts_at": opening.isoformat(), "ends_at": (opening + timedelta(days=4, hours=8)).isoformat()},
    )
    friday = story.now - timedelta(days=21 + (story.now.weekday() - 4) % 7)
    _window(
        story,
        production,
        title="Quiet weekends for payments",
        reason="Settlements run on Saturday, and nobody is there to look",
        tags=["payments"],
        timing={
            "zone": "Europe/Berlin",
            "local_start": f"{friday:%Y-%m-%d}T18:00",
            "duration_minutes": 62 * 60,
            "rrule": "FREQ=WEEKLY",
        },
    )
    draft = ChangeRequest.objects.get(environment=production, title="First 1 % of new onboarding")
    with correlation():
        schedule_change_request(
            draft.pk,
            actor=story.actor("mira"),
            apply_at=opening + timedelta(days=1, hours=9),
            now=story.now - timedelta(hours=1),
            expected_digest=draft.digest,
        )
    _incidents(story)


def _window(story: "Story", production: Environment, **fields: Any) -> None:
    document = {"kind": "freeze", "environments": [str(production.pk)], "tags": [], **fields}
    with correlation():
        set_window(
            production.project_id,
            window_id=None,
            document=document,
            actor=story.actor("rosa"),
            reason=fields["reason"],
            now=story.now - timedelta(days=4),
        )


def _incidents(story: "Story") -> None:
    staging = story.environment("storefront", "staging")
    told = (
        ("Search answers slowly", "major", timedelta(days=9), timedelta(days=9, hours=-3)),
        ("Test payments are declined", "minor", timedelta(hours=3), None),
    )
    for title, severity, opened, closed in told:
        with correlation():
            incident = open_incident(
                staging.project_id,
                environment_id=staging.pk,
                title=title,
                severity=severity,
                link="",
                actor=story.actor("rosa"),
                now=story.now - opened,
            )
            if closed is not None:
                close_incident(
                    incident.pk, actor=story.actor("rosa"), reason="The index was rebuilt", now=story.now - closed
                )
