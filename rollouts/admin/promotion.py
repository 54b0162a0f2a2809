"""Comparing environments, promoting what should be the same, and saying what differs on purpose."""

import uuid
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import AbstractUser
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.http import urlencode
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from flags import permissions
from flags.admin.governed import GovernedAdmin, actor_of, form_errors, message_errors, signed_in
from flags.models import Environment, Flag, Project
from flags.selectors.environments import shown_project
from rollouts.admin.comparing import WORDS, CompareQuery, compare_page
from rollouts.admin.promotion_forms import IntendForm, PromoteForm, flag_choices, segment_choices
from rollouts.models import IntendedDifference
from rollouts.selectors.drift import compare, neighbours
from rollouts.selectors.promotion import Offer, promotion_offer
from rollouts.services.differences import end_difference, intend_difference
from rollouts.services.promotion import promote

NAME = "rollouts_intendeddifference"
LIST = f"admin:{NAME}_changelist"
MOST_FLAGS = 50
get_or_post = require_http_methods(["GET", "HEAD", "POST"])


@admin.register(IntendedDifference)
class IntendedDifferenceAdmin(GovernedAdmin):
    """The page that compares, and the two things to do about a difference."""

    def visible_to(self, user: AbstractUser, queryset: QuerySet[IntendedDifference]) -> QuerySet[IntendedDifference]:
        places = permissions.visible_environments(user)
        return queryset.filter(upstream__in=places, downstream__in=places)

    def get_urls(self) -> list[URLPattern]:
        return [
            self.door("", self.list_view, f"{NAME}_changelist"),
            self.door("promote/<uuid:project_id>/", self.promote_view, f"{NAME}_promote"),
            self.door("intend/<uuid:flag_id>/", self.intend_view, f"{NAME}_intend"),
            self.door("<uuid:object_id>/end/", self.end_view, f"{NAME}_end"),
        ]

    @method_decorator(require_safe)
    def list_view(self, request: HttpRequest) -> HttpResponseBase:
        """Every flag in neighbouring environments, or in the two that were chosen."""
        user, query = signed_in(request), CompareQuery.of(request.GET)
        projects, project = shown_project(user, request.GET.get("project", ""))
        if project is None:
            if projects or request.GET.get("project"):
                raise Http404
            return self.page(request, "flags/matrix_empty.html", title="Compare", crumbs=[("Compare", "")])
        places = _places(user, project)
        return self.page(
            request,
            "rollouts/compare.html",
            title="Compare environments",
            projects=projects,
            project=project,
            environments=places,
            query=query,
            states=WORDS.items(),
            compared=compare_page(user, project, places, query, now=timezone.now()),
            crumbs=[("Compare", "")],
        )

    @method_decorator(get_or_post)
    def promote_view(self, request: HttpRequest, project_id: uuid.UUID) -> HttpResponseBase:
        """Choose what is copied; a draft comes of it."""
        source, target = _pair(request, project_id)
        offer = promotion_offer(source, target, request.GET.getlist("flag")[:MOST_FLAGS])
        title = _title(offer)
        form = PromoteForm(request.POST or None, initial={"title": title})
        if request.method == "POST" and form.is_valid():
            with form_errors(form):
                made = promote(
                    source.pk,
                    target.pk,
                    flags=flag_choices(request.POST),
                    segments=segment_choices(request.POST),
                    actor=actor_of(request),
                    now=timezone.now(),
                    **form.cleaned_data,
                )
                messages.success(request, f"Drafted #{made.number}. Look it over and submit it for review.")
                return HttpResponseRedirect(reverse("admin:rollouts_changerequest_change", args=[made.pk]))
        return self.page(
            request,
            "rollouts/promote.html",
            title=title,
            status=400 if request.method == "POST" else 200,
            offer=offer,
            environment=target,
            form=form,
            chosen=set(request.POST.getlist("aspect")) if request.method == "POST" else None,
            address=_address(source.project.key),
            crumbs=[("Compare", _address(source.project.key)), (title, "")],
        )

    @method_decorator(get_or_post)
    def intend_view(self, request: HttpRequest, flag_id: uuid.UUID) -> HttpResponseBase:
        """Say which aspects differ on purpose, who answers for it and until when."""
        flag = _flag(request, flag_id)
        pair = _pair(request, flag.project_id)
        ordered = neighbours(pair)[0]
        [found] = compare(flag.project, [ordered], now=timezone.now(), flag_key=flag.key)[0]
        form = IntendForm(request.POST or None, user=signed_in(request), pair=ordered, lines=found.lines)
        if request.method == "POST" and form.is_valid():
            with form_errors(form):
                row = intend_difference(
                    flag.pk,
                    (ordered[0].pk, ordered[1].pk),
                    actor=actor_of(request),
                    now=timezone.now(),
                    **form.values(),
                )
                messages.success(request, f"Noted until {timezone.localtime(row.expires_at):%d %B %Y}.")
                return HttpResponseRedirect(_address(flag.project.key, flag=flag.key))
        return self.page(
            request,
            "rollouts/intend.html",
            title=f"{flag.name} differs on purpose",
            subtitle=f"Between {ordered[0].name} and {ordered[1].name}. Nothing that is served changes.",
            status=400 if request.method == "POST" else 200,
            form=form,
            found=found,
            address=_address(flag.project.key, flag=flag.key),
            crumbs=[("Compare", _address(flag.project.key)), (flag.name, "")],
        )

    @method_decorator(require_POST)
    def end_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponseBase:
        """Take back that a difference is intended."""
        row = self.row(request, str(object_id))
        with message_errors(request):
            reason = request.POST.get("reason", "")
            end_difference(row.pk, actor=actor_of(request), reason=reason, now=timezone.now())
            messages.success(request, f"{row.flag.name} does not differ on purpose any longer.")
        return HttpResponseRedirect(_address(row.project.key))


def _places(user: AbstractUser, project: Project) -> list[Environment]:
    rows = permissions.visible_environments(user).filter(project=project).select_related("project")
    return list(rows.order_by("position", "key"))


def _pair(request: HttpRequest, project_id: uuid.UUID) -> tuple[Environment, Environment]:
    """The two environments in the address, in its order. Raises Http404 where one of them is not for this person."""
    rows = permissions.visible_environments(signed_in(request)).filter(project=project_id).select_related("project")
    places = {place.key: place for place in rows}
    source, target = (places.get(request.GET.get(name, "")) for name in ("from", "to"))
    if source is None or target is None or source == target:
        raise Http404
    return source, target


def _flag(request: HttpRequest, flag_id: uuid.UUID) -> Flag:
    projects = permissions.visible_projects(signed_in(request))
    flag = Flag.objects.select_related("project").filter(pk=flag_id, project__in=projects).first()
    if flag is None:
        raise Http404
    return flag


def _title(offer: Offer) -> str:
    """What a request made of this is called unless somebody writes something better."""
    one = offer.flags[0].flag.name if len(offer.flags) == 1 else f"{len(offer.flags)} flags"
    is_onward = (offer.source.position, offer.source.key) < (offer.target.position, offer.target.key)
    words = f"Promote {one} from {offer.source.name} to {offer.target.name}"
    return words if is_onward else f"Bring {one} back from {offer.source.name} to {offer.target.name}"


def _address(project_key: str, **more: Any) -> str:
    return f"{reverse(LIST)}?{urlencode({'project': project_key, **more})}"
