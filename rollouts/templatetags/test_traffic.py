"""Whether a plan's page offers test traffic, and which."""

from collections.abc import Iterable

from django import template
from django.contrib.auth.models import AbstractUser

from flags import permissions
from rollouts.guarding.scenarios import ALL, SCENARIOS, Scenario, chosen
from rollouts.models import RolloutPlan
from rollouts.services.test_traffic import takes_test_traffic

register = template.Library()


@register.simple_tag(name="test_traffic_of")
def test_traffic_of(plan: RolloutPlan, user: AbstractUser) -> Iterable[Scenario]:
    """The scenarios that a person may send for a plan; none where the plan takes no test traffic or he may not."""
    if not takes_test_traffic(plan) or not permissions.user_holds(user, permissions.PROPOSE, plan.environment):
        return ()
    return [*SCENARIOS.values(), *([every] if (every := chosen(ALL)) else [])]
