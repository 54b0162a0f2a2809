"""Flags: the matrix, one flag's page, creating a flag and changing what is said about it."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_http_methods, require_safe

from audits.scope import scope_of
from audits.selectors import timeline_of_flag
from audits.sentences import sentence_of
from flags import permissions
from flags.admin.forms import BaseVariants, FlagDetailsForm, NewFlagForm, RuleDetailsForm, variant_forms
from flags.admin.governed import GovernedAdmin, actor_of, form_errors, signed_in
from flags.admin.life_strip import life_strip
from flags.admin.panels import panels, requests_by_cell, say_changed
from flags.admin.releases import releases_context
from flags.admin.snippets import snippets_for
from flags.models import Environment, Flag, Project
from flags.models.flags import FlagKind
from flags.selectors.environments import administers_project, shown_project
from flags.selectors.flag_history import flag_history
from flags.selectors.flags import SORTS, STATES, Matrix, MatrixQuery, flag_cards, matrix
from flags.selectors.kills import open_kills
from flags.services.flags import create_flag, update_flag

RECENT_EVENTS = 12
get_or_post = require_http_methods(["GET", "HEAD", "POST"])


@admin.register(Flag)
class FlagAdmin(GovernedAdmin):
    """Everything about flags except what they serve, which the editor of flag configs changes."""

    def visible_to(self, user: AbstractUser, queryset: QuerySet[Flag]) -> QuerySet[Flag]:
        return queryset.filter(project__in=permissions.visible_projects(user)).select_related(
            "project", "owner", "owner_team"
        )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Flag]:
        """Also flags that gave their key away: their pages are what the audit trail leads to."""
        return self.visible_to(signed_in(request), Flag.everything.all())

    def get_urls(self) -> list[URLPattern]:
        return [
            self.door("<uuid:object_id>/edit/", self.edit_view, "flags_flag_edit"),
            self.door("<uuid:object_id>/releases/", self.releases_view, "flags_flag_releases"),
            *super().get_urls(),
        ]

    @method_decorator(require_safe)
    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponseBase:
        user, query = signed_in(request), _query_of(request)
        projects, project = shown_project(user, request.GET.get("project", ""))
        context: dict[str, Any] = {"title": "Flags", "projects": projects, "project": project, "query": query}
        if project is None:
            if projects or request.GET.get("project"):
                raise Http404
            return self.page(request, "flags/matrix_empty.html", **context)
        found = matrix(user, project, query, now=timezone.now())
        keys = [row.flag.key for row in found.rows]
        return self.page(
            request,
            "flags/matrix.html",
            **context,
            matrix=found,
            requests=requests_by_cell([item.pk for item in found.environments], keys),
            filters=_filters(found, query),
            may_create=_may_edit(user, found.environments),
            crumbs=[("Flags", "")],
        )

    @method_decorator(require_safe)
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponseBase:
        user, flag, now = signed_in(request), self.row(request, object_id), timezone.now()
        cards = flag_cards(user, flag, now=now)
        environments = [card.cell.environment for card in cards]
        plans = {plan.environment_id: plan for plan in panels.live_plans([e.pk for e in environments], flag.key)}
        milestones = panels.milestones([e.pk for e in environments], flag.key, now)
        history = flag_history(flag, now=now)
        requests = requests_by_cell([item.pk for item in environments], [flag.key])
        events = timeline_of_flag(flag.project.key, flag.key, limit=RECENT_EVENTS, scope=scope_of(request))
        return self.page(
            request,
            "flags/flag.html",
            title=flag.name,
            flag=flag,
            cards=cards,
            kills=open_kills([item.pk for item in environments]).filter(flag_key=flag.key),
            requests=requests,
            live_plans=plans,
            strip=life_strip(flag, environments, history, plans=plans, milestones=milestones, now=now),
            release=history.newest,
            ending=panels.ending(user, flag, environments),
            open_requests=[item for found in requests.values() for item in found],
            events=[(event, sentence_of(event)) for event in events],
            snippets=snippets_for(flag, base_url=request.build_absolute_uri("/")),
            may_edit=_may_edit(user, environments) or administers_project(user, flag.project),
            crumbs=[*_crumbs(flag.project), (flag.name, "")],
        )

    @method_decorator(require_safe)
    def releases_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """The semantic versions of a flag, with what each brought."""
        flag = self.row(request, str(object_id))
        return self.page(
            request,
            "flags/releases.html",
            title=f"Releases of {flag.name}",
            subtitle="What changed, for whom, when and why.",
            flag=flag,
            **releases_context(signed_in(request), flag, request.GET, now=timezone.now()),
            crumbs=[*_crumbs(flag.project), (flag.name, _address(flag)), ("Releases", "")],
        )

    @method_decorator(get_or_post)
    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponseBase:
        user = signed_in(request)
        project = shown_project(user, request.GET.get("project", ""))[1]
        if project is None:
            raise Http404
        self._require_editor(user, project)
        posted = request.POST if request.method == "POST" else None
        form = NewFlagForm(posted, project=project, initial={"owner": user.pk, "key": request.GET.get("key", "")[:100]})
        variants = variant_forms(posted)
        if posted is not None and _are_valid(form, variants):
            with form_errors(form):
                values = {**form.values(), "variants": variants.variants()}
                flag = create_flag(project.pk, actor=actor_of(request), now=timezone.now(), **values)
                messages.success(request, _created(user, flag))
                return HttpResponseRedirect(reverse("admin:flags_flag_change", args=[flag.pk]))
        return self.page(
            request,
            "flags/flag_add.html",
            title="New flag",
            subtitle=f"In {project.name}. It starts switched off, so nothing changes for anybody.",
            project=project,
            form=form,
            variants=variants,
            protected=_protected(user, project),
            crumbs=[*_crumbs(project), ("New flag", "")],
        )

    def edit_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Name, description, kind, owner, tags and links; and, for administrators, what rules look at."""
        flag = self.row(request, str(object_id))
        user, act = signed_in(request), request.POST.get("act")
        administers = administers_project(user, flag.project)
        edits = _may_edit(user, Environment.objects.filter(project=flag.project))
        if not administers:
            self._require_editor(user, flag.project)
        posted = request.POST if request.method == "POST" else None
        form = FlagDetailsForm(
            None if act == "rules" else posted, project=flag.project, initial=FlagDetailsForm.initial_of(flag)
        )
        rules = RuleDetailsForm(posted if act == "rules" else None, flag=flag, prefix="rules")
        address = _save_rules(request, flag, rules) if act == "rules" else _save_details(request, flag, form)
        if posted is not None and address:
            return HttpResponseRedirect(address)
        return self.page(
            request,
            "flags/flag_edit.html",
            title=f"Details of {flag.name}",
            subtitle="These are words about the flag. What it serves stays as it is.",
            flag=flag,
            form=form if edits else None,
            rules=rules if administers else None,
            crumbs=[*_crumbs(flag.project), (flag.name, _address(flag)), ("Details", "")],
        )

    def history_url(self, request: HttpRequest, object_id: str) -> str:
        return reverse("admin:flags_flag_change", args=[self.row(request, object_id).pk]) + "#events"

    def _require_editor(self, user: AbstractUser, project: Project) -> None:
        if not _may_edit(user, Environment.objects.filter(project=project)):
            raise PermissionDenied(
                f"Creating and describing flags needs the role editor in one environment of {project.name}. "
                f"Ask an administrator of {project.name} for it."
            )


def _are_valid(form: NewFlagForm, variants: BaseVariants) -> bool:
    """Both are asked, so that everything that is wrong is said at once."""
    is_valid = form.is_valid()
    variants.value_schema = form.cleaned_data.get("value_schema")
    return variants.is_valid() and is_valid


def _save_details(request: HttpRequest, flag: Flag, form: FlagDetailsForm) -> str:
    """Save what editors describe; where to go, "" to stay on the page."""
    if not form.is_valid():
        return ""
    with form_errors(form):
        update_flag(flag.pk, actor=actor_of(request), now=timezone.now(), **form.values())
        messages.success(request, f"The details of {flag.name} were saved. What it serves did not change.")
        return _address(flag)
    return ""


def _save_rules(request: HttpRequest, flag: Flag, form: RuleDetailsForm) -> str:
    """Save what rules look at, or propose to; where to go, "" to stay on the page."""
    if not form.is_valid():
        return ""
    reason, actor = form.cleaned_data["reason"], actor_of(request)
    with form_errors(form):
        proposal = panels.change_details(flag, form.values(), actor=actor, reason=reason, now=timezone.now())
        say_changed(request, proposal, f"The details of {flag.name} were saved. What it serves did not change.")
        return proposal or _address(flag)
    return ""


def _address(flag: Flag) -> str:
    return reverse("admin:flags_flag_change", args=[flag.pk])


def _may_edit(user: AbstractUser, environments: Any) -> bool:
    proposes = permissions.environments_with(user, permissions.PROPOSE)
    return any(environment.pk in proposes for environment in environments)


def _crumbs(project: Project) -> list[tuple[str, str]]:
    matrix_address = reverse("admin:flags_flag_changelist") + f"?project={project.key}"
    return [("Flags", reverse("admin:flags_flag_changelist")), (project.name, matrix_address)]


def _query_of(request: HttpRequest) -> MatrixQuery:
    given = request.GET
    number = given.get("page", "")
    return MatrixQuery(
        text=given.get("q", "")[:200],
        kind=given.get("kind", ""),
        owner=given.get("owner", ""),
        tag=given.get("tag", ""),
        state=given.get("state", "") if given.get("state") in STATES else "",
        where=given.get("where", ""),
        sort=given.get("sort", "") if given.get("sort") in SORTS else "name",
        page=int(number) if number.isascii() and number.isdigit() and len(number) < 6 else 1,
    )


def _filters(found: Matrix, query: MatrixQuery) -> list[dict[str, Any]]:
    """The selects above the matrix: name, words, choices and what is chosen."""
    places = [(item.key, f"in {item.name}") for item in found.environments]
    selects = [
        ("state", "Any state", list(STATES.items()), query.state),
        ("where", "in any environment", places, query.where),
        ("kind", "Any kind", FlagKind.choices, query.kind),
        ("owner", "Any owner", [*found.owners, ("nobody", "Nobody")], query.owner),
        ("tag", "Any tag", [(tag, tag) for tag in found.tags], query.tag),
        ("sort", "", [(key, f"Sort: {words}") for key, words in SORTS.items()], query.sort),
    ]
    names = ("name", "any", "choices", "chosen")
    return [dict(zip(names, select, strict=True)) for select in selects]


def _protected(user: AbstractUser, project: Project) -> QuerySet[Environment]:
    """The protected environments the person may know of."""
    return permissions.visible_environments(user).filter(project=project, is_protected=True)


def _created(user: AbstractUser, flag: Flag) -> str:
    set_up = [config.environment.name for config in flag.configs.select_related("environment")]
    waiting = [environment.name for environment in _protected(user, flag.project)]
    text = f"{flag.name} was created, switched off"
    text += f" in {' and '.join(set_up)}." if set_up else "."
    if waiting:
        text += f" {' and '.join(waiting)} is protected: propose a change to set it up there."
    return text
