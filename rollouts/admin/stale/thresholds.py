"""The pages of thresholds: after how many days flags of a kind count as stale in a project, and changing that."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from django import forms
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
from flags.errors import PermissionMissing
from flags.lifecycle.thresholds import (
    LONGEST_DAYS,
    NAMES,
    PERMANENT_KINDS,
    PERMANENT_TAG,
    SHORTEST_DAYS,
    USUAL,
    Thresholds,
)
from flags.models import Project
from flags.models.flags import FlagKind
from flags.selectors.environments import shown_project
from rollouts.models import StaleThresholds
from rollouts.selectors.staleness.facts import thresholds_in
from rollouts.services.staleness import set_thresholds, settable_project

LIST = "admin:rollouts_stalethresholds_changelist"
INBOX = "admin:rollouts_staleverdict_changelist"
WORDS: Final[Mapping[str, str]] = {
    "lifetime": "It exists",
    "unused": "Nobody asks for it any more",
    "one_variant": "Everybody who asked got the same",
    "settled": "Everybody is to get the same",
    "partial": "A share stands still",
    "no_rules": "Nothing was said about who gets what",
}


_KINDS: Final = tuple(kind for kind in USUAL if kind not in PERMANENT_KINDS)


@dataclass(frozen=True, slots=True)
class Cell:
    """One threshold of a kind in words, and what is usual where that differs."""

    kind: str
    words: str
    usual: str


@dataclass(frozen=True, slots=True)
class Line:
    """One threshold for every kind that can be stale."""

    words: str
    cells: Sequence[Cell]


class ThresholdsForm(ReasonForm):
    """Days per threshold, nothing for never, and a reason."""

    field_order = (*NAMES, "reason")

    def __init__(self, *args: Any, kind: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in NAMES:
            self.fields[name] = forms.IntegerField(
                required=False,
                label=f"{WORDS[name]} (days)",
                min_value=SHORTEST_DAYS,
                max_value=LONGEST_DAYS,
                help_text=f"Empty is never. Usual: {_days(getattr(USUAL[kind], name))}.",
            )
        self.order_fields(self.field_order)

    @property
    def days(self) -> dict[str, int | None]:
        """What was chosen, by threshold."""
        return {name: self.cleaned_data[name] for name in NAMES}


@admin.register(StaleThresholds)
class StaleThresholdsAdmin(GovernedAdmin):
    """The thresholds of a project by kind, and the form for one kind."""

    def visible_to(self, user: AbstractUser, queryset: QuerySet[StaleThresholds]) -> QuerySet[StaleThresholds]:
        return queryset.filter(project__in=permissions.visible_projects(user))

    def get_urls(self) -> list[URLPattern]:
        return [
            self.door("", self.list_view, "rollouts_stalethresholds_changelist"),
            self.door("<uuid:project_id>/<slug:kind>/", self.edit_view, "rollouts_stale_thresholds_of"),
        ]

    @method_decorator(require_safe)
    def list_view(self, request: HttpRequest) -> HttpResponseBase:
        """When flags of each kind count as stale."""
        projects, project = shown_project(signed_in(request), request.GET.get("project", ""))
        if project is None and request.GET.get("project"):
            raise Http404
        return self.page(
            request,
            "rollouts/stale/thresholds.html",
            title="When flags count as stale",
            projects=projects,
            project=project,
            kinds=[(kind, FlagKind(kind).label) for kind in _KINDS],
            lines=_lines(project) if project else [],
            permanent=[FlagKind(kind).label for kind in USUAL if kind in PERMANENT_KINDS],
            tag=PERMANENT_TAG,
            may_edit=project is not None and _may_set(request, project),
            crumbs=[("Stale flags", _address(INBOX, project)), ("When flags count as stale", "")],
        )

    @method_decorator(require_http_methods(["GET", "HEAD", "POST"]))
    def edit_view(self, request: HttpRequest, project_id: uuid.UUID, kind: str) -> HttpResponseBase:
        """The thresholds of one kind. What is refused comes back with everything that was typed."""
        project = permissions.visible_projects(signed_in(request)).filter(pk=project_id).first()
        if project is None or kind not in _KINDS:
            raise Http404
        settable_project(project.pk, actor_of(request))
        initial = asdict(thresholds_in(project)[kind])
        form = ThresholdsForm(request.POST if request.method == "POST" else None, kind=kind, initial=initial)
        if form.is_valid() and _saved(request, project, kind, form):
            return HttpResponseRedirect(_address(LIST, project))
        label, address = FlagKind(kind).label, _address(LIST, project)
        return self.page(
            request,
            "rollouts/stale/thresholds_edit.html",
            title=f"When flags of the kind “{label}” count as stale",
            subtitle=f"In {project.name}. The next nightly look follows it; what services get does not change.",
            form=form,
            days=[form[name] for name in NAMES],
            address=address,
            status=400 if form.errors else 200,
            crumbs=[("When flags count as stale", address), (label, "")],
        )


def _saved(request: HttpRequest, project: Project, kind: str, form: ThresholdsForm) -> bool:
    with form_errors(form):
        reason, now = form.cleaned_data["reason"], timezone.now()
        set_thresholds(project.pk, kind, form.days, actor=actor_of(request), reason=reason, now=now)
        messages.success(request, f"{FlagKind(kind).label}: saved. The next nightly look follows it.")
        return True
    return False


def _may_set(request: HttpRequest, project: Project) -> bool:
    try:
        settable_project(project.pk, actor_of(request))
    except PermissionMissing:
        return False
    return True


def _lines(project: Project) -> list[Line]:
    found = thresholds_in(project)
    return [Line(words, [_cell(kind, name, found[kind]) for kind in _KINDS]) for name, words in WORDS.items()]


def _cell(kind: str, name: str, thresholds: Thresholds) -> Cell:
    days, usual = getattr(thresholds, name), getattr(USUAL[kind], name)
    return Cell(FlagKind(kind).label, _days(days), _days(usual) if days != usual else "")


def _days(days: int | None) -> str:
    return "never" if days is None else f"{days} days"


def _address(name: str, project: Project | None) -> str:
    return f"{reverse(name)}?project={project.key}" if project else reverse(name)
