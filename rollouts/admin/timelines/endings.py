"""All endings over months: timelines with their milestones beside rollout plans and freezes."""

from collections.abc import Sequence

from django.contrib.auth.models import AbstractUser
from django.http import HttpRequest, HttpResponseBase, HttpResponseNotAllowed
from django.utils import timezone

from flags import permissions
from flags.admin.governed import GovernedAdmin, signed_in
from flags.models import Environment
from rollouts.admin.timelines.gantt import ZOOMS, frame_of
from rollouts.admin.timelines.lanes import Lane, freeze_lines, lanes_of
from rollouts.admin.timelines.owners import owners_in
from rollouts.schedules.zones import zone_of
from rollouts.selectors.timelines.endings import MOST_FLAGS, endings_between

_READING = ["GET", "HEAD"]
_FILTERS = ("project", "environment", "owner", "plans")


class EndingsViews(GovernedAdmin):
    """The page of all endings, for `DeprecationTimelineAdmin`."""

    def endings_view(self, request: HttpRequest) -> HttpResponseBase:
        """What ends, what rolls out and what is frozen, month by month."""
        if request.method not in _READING:
            return HttpResponseNotAllowed(_READING)
        user, now, asked = signed_in(request), timezone.now(), request.GET
        places = _places(user)
        chosen = _chosen(places, asked.get("project", ""), asked.get("environment", ""))
        zone = zone_of(timezone.get_current_timezone_name())
        frame = frame_of(asked.get("months", ""), asked.get("begins", ""), now=now, zone=zone)
        owner, with_plans = asked.get("owner", ""), asked.get("plans") != "no"
        found = endings_between(chosen, frame.starts_at, frame.ends_at, owner=owner, with_plans=with_plans)
        lanes, events = lanes_of(found, chosen, frame, now=now)
        kept, hidden = _first_flags(lanes)
        return self.page(
            request,
            "rollouts/timelines/endings.html",
            title="Endings",
            crumbs=[("Endings", "")],
            frame=frame,
            zooms=ZOOMS,
            lanes=kept,
            hidden=hidden,
            events=events,
            freezes=freeze_lines(found.freezes, now=now),
            today=frame.place(now),
            projects=sorted({one.project for one in places}, key=lambda one: one.name),
            environments=places,
            owners=owners_in({one.project_id for one in places}),
            asked={name: asked.get(name, "") for name in (*_FILTERS, "months", "begins")},
            is_filtered=any(asked.get(name) for name in _FILTERS),
            may_plan=bool(permissions.environments_with(user, permissions.PROPOSE)),
            now=now,
        )


def _places(user: AbstractUser) -> list[Environment]:
    rows = permissions.visible_environments(user).select_related("project")
    return list(rows.order_by("project__name", "-position", "name"))


def _chosen(places: Sequence[Environment], project: str, environment: str) -> list[Environment]:
    """The environments that the filters leave."""
    found = [one for one in places if not project or one.project.key == project]
    return [one for one in found if not environment or str(one.pk) == environment]


def _first_flags(lanes: Sequence[Lane]) -> tuple[list[Lane], int]:
    """The lanes of as many flags as one page shows, and how many flags are left out."""
    flags = list(dict.fromkeys(lane.flag.pk for lane in lanes))
    kept = set(flags[:MOST_FLAGS])
    return [lane for lane in lanes if lane.flag.pk in kept], max(0, len(flags) - MOST_FLAGS)
