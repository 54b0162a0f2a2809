"""The freezes of the calendar that a plan meets."""

from collections.abc import Collection
from datetime import datetime, timedelta

from flags.models import Environment, Flag
from rollouts.plans.dry_run import Freeze
from rollouts.schedules import occurrences
from rollouts.selectors.calendar import windows_of

FURTHEST = timedelta(days=180)


def freezes_ahead(environment: Environment, flag_keys: Collection[str], since: datetime) -> list[Freeze]:
    """Every freeze for these flags in the environment from `since` on, half a year ahead: two queries at most."""
    windows = [window for window in windows_of(environment.project_id) if window.kind == "freeze"]
    if not windows:
        return []
    rows = Flag.objects.filter(project=environment.project_id, key__in=flag_keys).values_list("key", "tags")
    tags = {key: [str(tag) for tag in given] for key, given in rows}
    found = []
    for window in windows:
        keys = frozenset(key for key, given in tags.items() if window.applies_to(str(environment.pk), given))
        if keys:
            runs = occurrences(window, since, since + FURTHEST)
            found += [Freeze(one.starts_at, one.ends_at, window.title, keys) for one in runs]
    return found
