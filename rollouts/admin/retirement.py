"""Pages about the end of a flag as a whole: who uses it, archiving, reviving, and keys that are kept back."""

import uuid
from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import AbstractUser
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_http_methods, require_safe

from flags import permissions
from flags.admin.forms import ReasonForm
from flags.admin.governed import GovernedAdmin, actor_of, form_errors, signed_in
from flags.models import Environment, Flag, Tombstone
from flags.selectors.environments import shown_project
from flags.selectors.tombstones import kept_back, may_release
from flags.services.tombstones import override_tombstone
from rollouts.admin.use_chart import chart_of
from rollouts.selectors.flag_use import flag_use
from rollouts.selectors.retirement import ArchivePreview
from rollouts.services.retirement import Retired, archive_flag, preview_archive, revive_flag

get_or_post = method_decorator(require_http_methods(["GET", "HEAD", "POST"]))


@admin.register(Tombstone)
class TombstoneAdmin(GovernedAdmin):
    """Keys kept back, and the pages of a flag about its use and its end."""

    def visible_to(self, user: AbstractUser, queryset: QuerySet[Tombstone]) -> QuerySet[Tombstone]:
        return queryset.filter(project__in=permissions.visible_projects(user)).select_related("project", "flag")

    def get_urls(self) -> list[URLPattern]:
        return [
            self.door("flags/<uuid:flag_id>/use/", self.use_view, "rollouts_flag_use"),
            self.door("flags/<uuid:flag_id>/archive/", self.archive_view, "rollouts_flag_archive"),
            self.door("flags/<uuid:flag_id>/revive/", self.revive_view, "rollouts_flag_revive"),
            *super().get_urls(),
        ]

    @method_decorator(require_safe)
    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponseBase:
        user = signed_in(request)
        projects, project = shown_project(user, request.GET.get("project", ""))
        if project is None and request.GET.get("project"):
            raise Http404
        rows = self.get_queryset(request).filter(project=project, flag__replaced_at=None, released_at=None)
        return self.page(
            request,
            "rollouts/tombstones.html",
            title="Keys kept back",
            projects=projects,
            project=project,
            tombstones=list(rows) if project else [],
            crumbs=[("Keys kept back", "")],
        )

    @get_or_post
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponseBase:
        """Why a key is kept back, and the form that lets it go."""
        tombstone: Tombstone = self.row(request, object_id)
        form = ReasonForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            with form_errors(form):
                reason = form.cleaned_data["reason"]
                override_tombstone(tombstone.pk, actor=actor_of(request), reason=reason, now=timezone.now())
                messages.success(request, f"The key {tombstone.key} is free. Another editor may make a flag of it now.")
                return HttpResponseRedirect(_list_address(tombstone))
        return self.page(
            request,
            "rollouts/tombstone.html",
            title=f"Key {tombstone.key}",
            subtitle=f"It belonged to {tombstone.flag.name} of {tombstone.project.name}.",
            tombstone=tombstone,
            kept=kept_back(tombstone.flag, now=timezone.now()),
            form=form if may_release(signed_in(request), tombstone.project) else None,
            status=400 if form.errors else 200,
            crumbs=[("Keys kept back", _list_address(tombstone)), (tombstone.key, "")],
        )

    def history_url(self, request: HttpRequest, object_id: str) -> str:
        return reverse("admin:rollouts_flag_use", args=[self.row(request, object_id).flag_id])

    @method_decorator(require_safe)
    def use_view(self, request: HttpRequest, flag_id: uuid.UUID) -> HttpResponseBase:
        """Who still evaluates a flag, and how that goes down."""
        user, now = signed_in(request), timezone.now()
        flag = _flag(user, flag_id)
        environments = list(_environments(user, flag))
        view = flag_use(flag, environments, now=now)
        return self.page(
            request,
            "rollouts/flag_use.html",
            title=f"Use of {flag.name}",
            subtitle="Evaluations that services reported and that were made here, by day in UTC.",
            flag=flag,
            view=view,
            chart=chart_of(view),
            may_edit=_may_edit(user, environments),
            crumbs=_crumbs(flag, "Use"),
        )

    @get_or_post
    def archive_view(self, request: HttpRequest, flag_id: uuid.UUID) -> HttpResponseBase:
        """What archiving would do, and the button for it."""
        flag = _flag(signed_in(request), flag_id)
        return self._confirm(request, flag, "rollouts/flag_archive.html", f"Archive {flag.name}", archive_flag)

    @get_or_post
    def revive_view(self, request: HttpRequest, flag_id: uuid.UUID) -> HttpResponseBase:
        """What reviving would do, and the button for it."""
        flag = _flag(signed_in(request), flag_id)
        return self._confirm(request, flag, "rollouts/flag_revive.html", f"Revive {flag.name}", revive_flag)

    def _confirm(
        self, request: HttpRequest, flag: Flag, template: str, title: str, act: Callable[..., Retired]
    ) -> HttpResponseBase:
        user = signed_in(request)
        form = ReasonForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            with form_errors(form):
                done = act(flag.pk, actor=actor_of(request), reason=form.cleaned_data["reason"], now=timezone.now())
                messages.success(request, _told(done))
                return HttpResponseRedirect(_address(flag))
        environments = list(_environments(user, flag))
        preview = preview_archive(flag, now=timezone.now())
        return self.page(
            request,
            template,
            title=title,
            flag=flag,
            preview=preview,
            places=_seen(preview, environments),
            form=form if _may_edit(user, environments) else None,
            address=_address(flag),
            status=400 if form.errors else 200,
            crumbs=_crumbs(flag, title),
        )


def _flag(user: AbstractUser, flag_id: uuid.UUID) -> Flag:
    rows = Flag.objects.select_related("project").filter(project__in=permissions.visible_projects(user))
    found = rows.filter(pk=flag_id).first()
    if found is None:
        raise Http404
    return found


def _environments(user: AbstractUser, flag: Flag) -> QuerySet[Environment]:
    return permissions.visible_environments(user).filter(project=flag.project_id).order_by("position", "key")


def _seen(preview: ArchivePreview, environments: list[Environment]) -> list[Any]:
    """Only what the person may look at; the others are judged all the same."""
    ids = {each.pk for each in environments}
    return [place for place in preview.places if place.environment.pk in ids]


def _may_edit(user: AbstractUser, environments: list[Environment]) -> bool:
    proposes = permissions.environments_with(user, permissions.PROPOSE)
    return any(each.pk in proposes for each in environments)


def _told(done: Retired) -> str:
    names = " and ".join(each.name for each in done.written)
    asked = " and ".join(f"#{request.number} in {request.environment.name}" for request in done.requests)
    text = f"{done.flag.name} was changed in {names}." if names else f"{done.flag.name}: nothing was written yet."
    if not done.requests and not done.written:
        text = f"{done.flag.name} was changed. It is set up nowhere, so nobody notices."
    return f"{text} Waiting for approval: {asked}." if asked else text


def _address(flag: Flag) -> str:
    return reverse("admin:flags_flag_change", args=[flag.pk])


def _list_address(tombstone: Tombstone) -> str:
    return reverse("admin:flags_tombstone_changelist") + f"?project={tombstone.project.key}"


def _crumbs(flag: Flag, last: str) -> list[tuple[str, str]]:
    matrix = reverse("admin:flags_flag_changelist") + f"?project={flag.project.key}"
    return [("Flags", matrix), (flag.name, _address(flag)), (last, "")]
