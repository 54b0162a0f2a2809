"""Change requests: the list, the page of one, and the acts on it. GET never changes anything."""

import uuid
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import AbstractUser
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils import timezone

from audits.errors import GovernanceError
from flags import permissions
from flags.admin.governed import GovernedAdmin, actor_of, signed_in
from flags.errors import PermissionMissing
from rollouts.admin.acting import ACTS, Call
from rollouts.admin.bundles import BundleViews
from rollouts.admin.editing import EditingViews
from rollouts.admin.impact import ImpactViews
from rollouts.admin.imports import ImportViews
from rollouts.admin.lists import list_page
from rollouts.admin.merging import MergingViews
from rollouts.admin.narrowing import NarrowingViews
from rollouts.admin.pages import request_context
from rollouts.admin.schedules import typed as typed_schedule
from rollouts.admin.versions import VersionViews
from rollouts.errors import DigestMismatch
from rollouts.models import ChangeRequest
from rollouts.selectors import visible_requests
from rollouts.services.change_requests import look_at_request

READING = ["GET", "HEAD"]
KEPT_FIELDS = ("title", "reason", "ticket_url", "comment", "body", "reply_to", "text", "has_reservation")
# Fields that the page shows a problem at.
MARKED_FIELDS = {"title", "reason", "ticket_url", "comment", "text", "apply_at"}
MARKED = "Nothing was done yet. Put right what is marked; everything you typed is still here."


@admin.register(ChangeRequest)
class ChangeRequestAdmin(
    BundleViews, MergingViews, EditingViews, ImpactViews, ImportViews, NarrowingViews, VersionViews, GovernedAdmin
):
    """What people propose, review and follow."""

    search_fields = ("title", "number")

    def visible_to(self, user: AbstractUser, queryset: QuerySet[ChangeRequest]) -> QuerySet[ChangeRequest]:
        return queryset.filter(environment__in=permissions.visible_environments(user))

    def get_urls(self) -> list[URLPattern]:
        one, name = "<uuid:object_id>", "rollouts_changerequest"
        here = "<uuid:flag_id>/<uuid:environment_id>"
        return [
            self.door("", self.list_view, f"{name}_changelist"),
            self.door("import/", self.import_view, f"{name}_import"),
            self.door("import/propose/", self.propose_import_view, f"{name}_proposeimport"),
            self.door(f"switch-off/{here}/", self.switch_off_view, f"{name}_switchoff"),
            self.door(f"propose/{here}/", self.propose_view, f"{name}_propose"),
            self.door("propose-segment/<uuid:environment_id>/", self.propose_segment_view, f"{name}_proposesegment"),
            self.door(f"neighbours/{here}/", self.neighbours_view, f"{name}_neighbours"),
            self.door("bundle/<uuid:bundle_id>/submit/", self.bundle_submit_view, f"{name}_bundlesubmit"),
            self.door("bundle/<uuid:bundle_id>/approve/", self.bundle_approve_view, f"{name}_bundleapprove"),
            *self.version_urls(),
            *self.impact_urls(),
            self.door(f"{one}/", self.request_view, f"{name}_change"),
            self.door(f"{one}/act/<slug:act>/", self.act_view, f"{name}_act"),
            self.door(f"{one}/update/", self.update_view, f"{name}_update"),
            self.door(f"{one}/merge/<uuid:other_id>/", self.merge_view, f"{name}_merge"),
            self.door(f"{one}/seen/", self.seen_view, f"{name}_seen"),
            self.door(f"{one}/flag/<str:flag_key>/", self.revise_view, f"{name}_revise"),
            self.door(f"{one}/segment/<str:key>/", self.revise_segment_view, f"{name}_revisesegment"),
        ]

    def list_view(self, request: HttpRequest) -> HttpResponseBase:
        """The list, by tab."""
        if request.method not in READING:
            return HttpResponseNotAllowed(READING)
        now = timezone.now()
        listing = list_page(signed_in(request), request.GET.get("tab", ""), request.GET.get("page", ""), now=now)
        return self.page(
            request,
            "rollouts/request_list.html",
            title="Change requests",
            crumbs=[("Change requests", "")],
            listing=listing,
            now=now,
        )

    def request_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponseBase:
        """One request as this person sees it."""
        if request.method not in READING:
            return HttpResponseNotAllowed(READING)
        return self._show(request, object_id)

    def act_view(self, request: HttpRequest, object_id: uuid.UUID, act: str) -> HttpResponseBase:
        """One act, one service call. What is refused comes back on the page with everything that was typed."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if act not in ACTS or not visible_requests(signed_in(request)).filter(pk=object_id).exists():
            raise Http404
        fields = request.POST.dict()
        call = Call(object_id, actor_of(request), timezone.now(), {key: str(value) for key, value in fields.items()})
        try:
            outcome = ACTS[act](call)
        except PermissionMissing:
            raise
        except GovernanceError as error:
            return self._show(request, object_id, status=error.status, typed=_typed(act, call, error))
        look_at_request(object_id, actor=call.actor, digest=call.text("digest"), now=call.now)
        messages.success(request, outcome)
        return HttpResponseRedirect(reverse("admin:rollouts_changerequest_change", args=[object_id]))

    def seen_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponseBase:
        """Remember that the person saw the content with the posted digest; then the page again."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not visible_requests(signed_in(request)).filter(pk=object_id).exists():
            raise Http404
        digest = request.POST.get("digest", "")
        look_at_request(object_id, actor=actor_of(request), digest=digest, now=timezone.now())
        return HttpResponseRedirect(reverse("admin:rollouts_changerequest_change", args=[object_id]))

    def _show(
        self, request: HttpRequest, object_id: uuid.UUID, *, status: int = 200, typed: dict[str, Any] | None = None
    ) -> HttpResponseBase:
        context = request_context(object_id, signed_in(request), now=timezone.now(), typed=typed)
        item = context["item"]
        title = f"#{item.number} {item.title}"
        return self.page(request, "rollouts/request.html", title=title, status=status, **context)


def _typed(act: str, call: Call, error: GovernanceError) -> dict[str, Any]:
    """What the page keeps of a refused act. After a digest mismatch the person looks first, so no dialog opens."""
    found = [item for item in error.facts.get("problems") or [] if isinstance(item, dict)]
    problems = {str(item.get("path")): str(item.get("message")) for item in found}
    is_marked = bool(problems) and problems.keys() <= MARKED_FIELDS
    return {
        "act": act,
        "message": MARKED if is_marked else error.message,
        "is_marked": is_marked,
        "title": error.title,
        "opens": "" if isinstance(error, DigestMismatch) else act,
        "fields": {name: call.text(name) for name in KEPT_FIELDS},
        "problems": problems,
        "schedule": typed_schedule(call.fields) if "when" in call.fields else None,
    }
