"""Deprecation timelines: the page of all endings, the page of one, and the acts on it. GET never changes anything."""

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
from flags.admin.governed import actor_of, signed_in
from flags.errors import PermissionMissing
from rollouts.admin.timelines.acts import ACTS, Call
from rollouts.admin.timelines.editing import EditorViews
from rollouts.admin.timelines.endings import EndingsViews
from rollouts.admin.timelines.showing import timeline_context, unreadable_context
from rollouts.models import DeprecationTimeline
from rollouts.selectors.timelines.ground import is_readable
from rollouts.selectors.timelines.reading import visible_timelines

READING = ["GET", "HEAD"]
SAY_WHY = "Say why: it is kept with what is done, and whoever looks later reads it."
TIMELINE = "admin:rollouts_deprecationtimeline_change"
# After these the person looks at the page first, so no dialog opens.
_MOVED = frozenset({"timeline_moved_on", "concurrent_update"})
_KEPT = ("reason", "to_milestone", "number", "to", "with_later")


@admin.register(DeprecationTimeline)
class DeprecationTimelineAdmin(EditorViews, EndingsViews):
    """How flags come to their end."""

    search_fields = ("flag__key", "number")

    def visible_to(self, user: AbstractUser, queryset: QuerySet[DeprecationTimeline]) -> QuerySet[DeprecationTimeline]:
        return queryset.filter(environment__in=permissions.visible_environments(user))

    def get_urls(self) -> list[URLPattern]:
        one, name = "<uuid:object_id>", "rollouts_deprecationtimeline"
        return [
            self.door("", self.endings_view, f"{name}_changelist"),
            self.door("add/", self.add_timeline_view, f"{name}_add"),
            self.door(f"{one}/", self.timeline_view, f"{name}_change"),
            self.door(f"{one}/edit/", self.edit_view, f"{name}_edit"),
            self.door(f"{one}/live/", self.live_view, "rollouts_timeline_live"),
            self.door(f"{one}/act/<slug:act>/", self.act_view, "rollouts_timeline_act"),
        ]

    def timeline_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponseBase:
        """One timeline as this person sees it."""
        if request.method not in READING:
            return HttpResponseNotAllowed(READING)
        return self._show(request, object_id)

    def live_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponseBase:
        """The parts of the page that change by themselves."""
        if request.method not in READING:
            return HttpResponseNotAllowed(READING)
        return self._show(request, object_id, template="rollouts/timelines/live.html")

    def act_view(self, request: HttpRequest, object_id: uuid.UUID, act: str) -> HttpResponseBase:
        """One act, one service call. What is refused comes back on the page with everything that was typed."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        timeline = visible_timelines(signed_in(request)).filter(pk=object_id).first()
        if act not in ACTS or timeline is None:
            raise Http404
        fields = {key: str(value) for key, value in request.POST.dict().items()}
        call = Call(timeline=timeline, actor=actor_of(request), now=timezone.now(), fields=fields)
        try:
            outcome = ACTS[act](call)
        except PermissionMissing:
            raise
        except GovernanceError as error:
            return self._show(request, object_id, status=error.status, typed=_typed(act, call, error))
        messages.success(request, outcome.words.strip())
        return HttpResponseRedirect(outcome.address or reverse(TIMELINE, args=[object_id]))

    def _show(
        self,
        request: HttpRequest,
        object_id: uuid.UUID,
        *,
        template: str = "rollouts/timelines/timeline.html",
        status: int = 200,
        typed: dict[str, Any] | None = None,
    ) -> HttpResponseBase:
        user = signed_in(request)
        timeline = visible_timelines(user).filter(pk=object_id).first()
        if timeline is None:
            raise Http404
        title = f"End of {timeline.flag.name} in {timeline.environment.name}"
        if not is_readable(timeline):
            context = unreadable_context(timeline, user, typed=typed)
            return self.page(request, "rollouts/timelines/unreadable.html", title=title, status=status, **context)
        context = timeline_context(timeline, user, now=timezone.now(), typed=typed)
        return self.page(request, template, title=title, status=status, **context)


def _typed(act: str, call: Call, error: GovernanceError) -> dict[str, Any]:
    """What the page keeps of a refused act."""
    problems = [item for item in error.facts.get("problems") or [] if isinstance(item, dict)]
    wrong = {_field_of(str(item.get("path"))) for item in problems}
    lacks_reason = "reason" in wrong and not call.text("reason").strip()
    return {
        "act": act,
        "title": error.title,
        "message": SAY_WHY if lacks_reason else error.message,
        "opens": "" if error.code in _MOVED else act,
        "fields": {name: call.text(name) for name in _KEPT},
        "wrong": wrong,
        "problems": [] if lacks_reason else [str(item.get("message")) for item in problems],
    }


def _field_of(path: str) -> str:
    """The field of a dialog that a problem is about: the only date in one is that of the milestone that is put off."""
    return "to" if path.startswith("milestones.") else path
