"""Asking who flips, from the page of a request, and how far a run is for the page that waits for it."""

import uuid
from typing import Any

from django.http import (
    Http404,
    HttpRequest,
    HttpResponseBase,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
    JsonResponse,
)
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters

from audits.errors import GovernanceError
from flags.admin.governed import actor_of, signed_in
from flags.errors import PermissionMissing
from rollouts.admin.populations import posted_population
from rollouts.models import ImpactRun
from rollouts.selectors import visible_requests
from rollouts.services.impact import start_impact
from rollouts.tasks import ring_for_impacts

REQUEST_PAGE = "admin:rollouts_changerequest_change"


class ImpactViews:
    """A part of the admin of change requests."""

    door: Any
    _show: Any

    def impact_urls(self) -> list[URLPattern]:
        """The two addresses."""
        here, name = "<uuid:object_id>/impact/", "rollouts_changerequest"
        return [
            self.door(here, self.impact_view, f"{name}_impact"),
            self.door(f"{here}<uuid:run_id>/", self.impact_state_view, f"{name}_impactstate"),
        ]

    @method_decorator(sensitive_post_parameters())
    def impact_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponseBase:
        """Ask for a run over the population in the form; what cannot be used comes back as it was typed."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        _require_visible(request, object_id)
        try:
            start_impact(object_id, actor=actor_of(request), now=timezone.now(), **posted_population(request))
        except PermissionMissing:
            raise
        except GovernanceError as error:
            fields = {"population": request.POST.get("population", "")}
            typed = {"act": "impact", "message": error.message, "title": error.title, "opens": "", "fields": fields}
            refused: HttpResponseBase = self._show(request, object_id, status=error.status, typed=typed)
            return refused
        ring_for_impacts()
        return HttpResponseRedirect(f"{reverse(REQUEST_PAGE, args=[object_id])}#impact")

    def impact_state_view(self, request: HttpRequest, object_id: uuid.UUID, run_id: uuid.UUID) -> HttpResponseBase:
        """State and progress of a run, for scripts."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        _require_visible(request, object_id)
        run = ImpactRun.objects.filter(pk=run_id, request=object_id).first()
        if run is None:
            raise Http404
        answer = {"state": run.state, "progress": run.progress, "total": run.total, "hasEnded": run.has_ended}
        return JsonResponse(answer, headers={"Cache-Control": "no-store"})


def _require_visible(request: HttpRequest, object_id: uuid.UUID) -> None:
    if not visible_requests(signed_in(request)).filter(pk=object_id).exists():
        raise Http404
