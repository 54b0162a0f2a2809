"""What stands on the request page beside the difference and the verdict: each panel has a module and a template here.

A panel is a function of the page, the person who looks and the instant; what it returns stands under the panel's name
in the template's context, and its template is `templates/rollouts/panels/<name>.html`. None: nothing is shown.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractUser

from rollouts.admin.panels.at_once import at_once_panel
from rollouts.admin.panels.break_glass import break_glass_panel
from rollouts.admin.panels.bundle import bundle_panel
from rollouts.admin.panels.calendar import calendar_panel
from rollouts.admin.panels.dissent import dissent_panel
from rollouts.admin.panels.ending import ending_panel
from rollouts.admin.panels.impact import impact_panel
from rollouts.admin.panels.merge import merge_panel
from rollouts.admin.panels.plan import plan_panel
from rollouts.admin.panels.policies import policies_panel
from rollouts.admin.panels.since_looked import since_looked_panel
from rollouts.admin.panels.source import source_panel
from rollouts.selectors import RequestPage

Panel = Callable[[RequestPage, AbstractUser, datetime], Any]

PANELS: Mapping[str, Panel] = {
    "calendar": calendar_panel,
    "at_once": at_once_panel,
    "break_glass": break_glass_panel,
    "bundle": bundle_panel,
    "dissent": dissent_panel,
    "impact": impact_panel,
    "merge": merge_panel,
    "plan": plan_panel,
    "policies": policies_panel,
    "since_looked": since_looked_panel,
    "source": source_panel,
    "ending": ending_panel,
}


def panel_contexts(page: RequestPage, user: AbstractUser, *, now: datetime) -> dict[str, Any]:
    """What every panel says about the request, by the panel's name."""
    return {name: panel(page, user, now) for name, panel in PANELS.items()}
