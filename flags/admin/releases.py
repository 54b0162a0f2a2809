"""The releases of a flag for people: its semantic versions with what each brought."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.http import Http404, QueryDict

from flags import permissions
from flags.lifecycle.release_notes import as_markdown
from flags.models import Environment, Flag
from flags.selectors.flag_history import flag_history
from flags.selectors.release_notes import told_releases, visible_releases

PAGE_SIZE = 20


def releases_context(user: AbstractUser, flag: Flag, given: QueryDict, *, now: datetime) -> dict[str, Any]:
    """What the page of releases shows. Raises Http404 for an environment that the person may not know of."""
    environments = list(
        permissions.visible_environments(user).filter(project=flag.project_id).order_by("position", "key")
    )
    only = _chosen(environments, given.get("environment", ""))
    history = flag_history(flag, now=now)
    found = visible_releases(history.releases, environments, only=only)
    pages = max(1, -(-len(found) // PAGE_SIZE))
    page = min(_number(given.get("page", "")), pages)
    told = told_releases(found[(page - 1) * PAGE_SIZE : page * PAGE_SIZE], environments)
    return {
        "releases": told,
        "newest": history.newest,
        "environments": environments,
        "only": only,
        "count": len(found),
        "hidden": len(history.releases) - len(visible_releases(history.releases, environments)),
        "page_number": page,
        "pages": pages,
        "markdown": as_markdown(_title(flag, only), [each.note for each in told]),
    }


def _title(flag: Flag, only: Environment | None) -> str:
    return f"Releases of {flag.name} ({flag.key}){f' in {only.name}' if only else ''}"


def _chosen(environments: Sequence[Environment], key: str) -> Environment | None:
    if not key:
        return None
    found = next((each for each in environments if each.key == key), None)
    if found is None:
        raise Http404
    return found


def _number(text: str) -> int:
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 6 else 1
