"""What stands on the request page beside the difference and the verdict: each panel has a module and a template here.

A panel is a function of the page, the person who looks and the instant; what it returns stands under the panel's name
in the template's context, and its template is `templates/rollouts/panels/<name>.html`. None: nothing is shown.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractUser

from rollouts.selectors import RequestPage

Panel = Callable[[RequestPage, AbstractUser, datetime], Any]

PANELS: Mapping[str, Panel] = {}


def panel_contexts(page: RequestPage, user: AbstractUser, *, now: datetime) -> dict[str, Any]:
    """What every panel says about the request, by the panel's name."""
    return {name: panel(page, user, now) for name, panel in PANELS.items()}
