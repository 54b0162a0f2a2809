"""Who flips with the requests that wait, counted before anybody approves them."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from audits.context import correlation
from rollouts.models import ChangeRequest
from rollouts.selectors.impact import default_population
from rollouts.services.impact import carry_out_impact, start_impact
from rollouts.transitions import OPEN_STATES

if TYPE_CHECKING:
    from flagsite.demo.story import Story

ASKED_ABOUT = ("Loyalty points to 50 %", "Semantic search to 25 %")


def tell_impacts(story: "Story") -> None:
    """Mira wants to know it as soon as a request is in review."""
    open_requests = ChangeRequest.objects.filter(state__in=[state.value for state in OPEN_STATES])
    for request in open_requests.filter(title__in=ASKED_ABOUT).select_related("environment"):
        _count(story, request, at=(request.submitted_at or story.now) + timedelta(minutes=10))


def _count(story: "Story", request: ChangeRequest, *, at: datetime) -> None:
    population = default_population(request).as_json() | {"size": 5_000}
    with correlation():
        run = start_impact(request.pk, actor=story.actor("mira"), now=at, population=population)
    carry_out_impact(run.pk, clock=lambda: at)
