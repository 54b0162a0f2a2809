"""The rules of projects: sentences, a form, their versions, and what a rule would have done to past requests."""

import re
import unicodedata
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils import timezone

from audits.errors import GovernanceError
from flags import permissions
from flags.admin.governed import GovernedAdmin, actor_of, signed_in
from flags.errors import PermissionMissing
from flags.models import Environment, Project, Team
from rollouts.admin.rule_forms import RuleForm, empty_document, posted_document, rule_in
from rollouts.models import PolicyRule, PolicyRuleVersion, SettingsProposal
from rollouts.policies import Rule
from rollouts.policies.presets import PRESETS, preset
from rollouts.selectors.replays import Replay, replay_rule
from rollouts.selectors.rules import directory_of, rule_of
from rollouts.selectors.settings import concerned
from rollouts.selectors.verdicts import name_of
from rollouts.services.rules import KIND, LONGEST_KEY, checked_rule, set_rule
from rollouts.settings_kinds import Scope

READING = ["GET", "HEAD"]
REPLAY_DAYS = (30, 90, 365)


@dataclass(frozen=True, slots=True)
class RuleLine:
    """A rule in the list; `proposal` is an open change of it."""

    row: PolicyRule
    rule: Rule
    sentence: str
    proposal: SettingsProposal | None


@dataclass(frozen=True, slots=True)
class ProjectRules:
    """The rules of one project, those in force first."""

    project: Project
    lines: list[RuleLine]
    may_administer: bool


def project_rules(user: AbstractUser) -> list[ProjectRules]:
    """Every project the person may look at with its rules: a constant number of queries."""
    projects = list(permissions.visible_projects(user).order_by("name"))
    rows = list(PolicyRule.objects.filter(project__in=projects))
    rules = {row.pk: rule_of(row) for row in rows}
    directory = directory_of([project.pk for project in projects], rules.values())
    proposals = {
        (item.project_id, item.subject): item
        for item in SettingsProposal.objects.filter(project__in=projects, kind=KIND, state="open")
    }
    administers = permissions.environments_with(user, permissions.ADMINISTER)
    decided_in = _deciding(projects)
    return [
        ProjectRules(
            project,
            sorted(
                (
                    RuleLine(
                        row, rules[row.pk], rules[row.pk].sentence(directory), proposals.get((project.pk, row.key))
                    )
                    for row in rows
                    if row.project_id == project.pk
                ),
                key=lambda line: (not line.rule.is_active, -line.rule.effect.rank, line.rule.name),
            ),
            user.is_superuser or decided_in[project.pk] <= administers,
        )
        for project in projects
    ]


def _deciding(projects: Collection[Project]) -> dict[uuid.UUID, set[uuid.UUID]]:
    """The environments whose administrators decide about the rules of each project: the guarded ones, else all."""
    found: dict[uuid.UUID, set[uuid.UUID]] = {project.pk: set() for project in projects}
    guarded: dict[uuid.UUID, set[uuid.UUID]] = {project.pk: set() for project in projects}
    for row in Environment.objects.filter(project__in=projects):
        found[row.project_id].add(row.pk)
        if row.is_guarded:
            guarded[row.project_id].add(row.pk)
    return {pk: guarded[pk] or every for pk, every in found.items()}


@admin.register(PolicyRule)
class PolicyRuleAdmin(GovernedAdmin):
    """What a project demands of changes beside the approval policy of each environment."""

    def visible_to(self, user: AbstractUser, queryset: QuerySet[PolicyRule]) -> QuerySet[PolicyRule]:
        return queryset.filter(project__in=permissions.visible_projects(user))

    def get_urls(self) -> list[URLPattern]:
        name = "rollouts_policyrule"
        return [
            self.door("", self.list_view, f"{name}_changelist"),
            self.door("add/<uuid:project_id>/", self.new_view, f"{name}_add"),
            self.door("<uuid:object_id>/", self.rule_view, f"{name}_change"),
            self.door("<uuid:object_id>/history/", self.versions_view, f"{name}_history"),
        ]

    def list_view(self, request: HttpRequest) -> HttpResponseBase:
        """Every rule as a sentence, by project."""
        if request.method not in READING:
            return HttpResponseNotAllowed(READING)
        return self.page(
            request,
            "rollouts/policy_rules.html",
            title="Policy rules",
            crumbs=[("Policy rules", "")],
            projects=project_rules(signed_in(request)),
            presets=PRESETS,
        )

    def new_view(self, request: HttpRequest, project_id: uuid.UUID) -> HttpResponseBase:
        """The form of a new rule, empty or with a preset in it."""
        project = permissions.visible_projects(signed_in(request)).filter(pk=project_id).first()
        if project is None:
            raise Http404
        chosen = preset(request.GET.get("preset", ""))
        return self._edit(request, project, None, chosen.as_json() if chosen else empty_document())

    def rule_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponseBase:
        """The form of a rule that exists."""
        row = self.row(request, str(object_id))
        return self._edit(request, row.project, row, row.document)

    def versions_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponseBase:
        """Every version with who wrote it and why."""
        if request.method not in READING:
            return HttpResponseNotAllowed(READING)
        row = self.row(request, str(object_id))
        versions = list(PolicyRuleVersion.objects.filter(rule=row).select_related("author"))
        rules = {item.pk: Rule.from_json(item.document, key=row.key, version=item.version) for item in versions}
        directory = directory_of([row.project_id], rules.values())
        return self.page(
            request,
            "rollouts/policy_rule_history.html",
            title=f"Versions of “{row}”",
            crumbs=[
                *_crumbs(),
                (str(row), reverse("admin:rollouts_policyrule_change", args=[row.pk])),
                ("Versions", ""),
            ],
            row=row,
            versions=[(item, rules[item.pk], rules[item.pk].sentence(directory)) for item in versions],
        )

    def _edit(
        self, request: HttpRequest, project: Project, row: PolicyRule | None, document: Mapping[str, Any]
    ) -> HttpResponseBase:
        if request.method not in {*READING, "POST"}:
            return HttpResponseNotAllowed([*READING, "POST"])
        _require_administrator(request, project)
        if request.method != "POST":
            return self._show(request, project, row, _form(project, document))
        posted, reason = posted_document(request.POST), request.POST.get("reason", "")
        key = row.key if row else free_key(project, posted["name"])
        try:
            if "replay" in request.POST:
                checked = checked_rule(project, posted)
                return self._show(request, project, row, _form(project, posted, reason=reason), checked=checked)
            proposal = set_rule(
                project.pk,
                key=key,
                document=posted,
                actor=actor_of(request),
                reason=reason,
                now=timezone.now(),
            )
        except PermissionMissing:
            raise
        except GovernanceError as error:
            form = _form(project, posted, reason=reason, error=error)
            return self._show(request, project, row, form, status=error.status)
        if proposal is not None:
            messages.warning(request, "Proposed: another administrator has to confirm it before it counts.")
            return HttpResponseRedirect(reverse("admin:rollouts_settingsproposal_change", args=[proposal.pk]))
        messages.success(request, f"The rule “{posted['name']}” of {project.name} is saved.")
        return HttpResponseRedirect(reverse("admin:rollouts_policyrule_changelist"))

    def _show(
        self,
        request: HttpRequest,
        project: Project,
        row: PolicyRule | None,
        form: RuleForm,
        *,
        status: int = 200,
        checked: Mapping[str, Any] | None = None,
    ) -> HttpResponseBase:
        rule = rule_in(checked, "candidate") if checked else None
        return self.page(
            request,
            "rollouts/policy_rule_edit.html",
            title=f"Rule “{row}”" if row else "New rule",
            status=status,
            crumbs=[*_crumbs(), (str(row) if row else "New rule", "")],
            project=project,
            row=row,
            form=form,
            days_choices=REPLAY_DAYS,
            sentence=rule.sentence(directory_of([project.pk], [rule])) if rule else "",
            replay=_replayed(request, rule, project) if rule else None,
        )


def free_key(project: Project, name: str) -> str:
    """A key made from a rule's name that no other rule of the project has."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    stem = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[: LONGEST_KEY - 4] or "rule"
    taken = set(PolicyRule.objects.filter(project=project, key__startswith=stem).values_list("key", flat=True))
    return next(key for key in [stem, *(f"{stem}-{number}" for number in range(2, 1_000))] if key not in taken)


def _replayed(request: HttpRequest, rule: Rule, project: Project) -> Replay:
    wanted = request.POST.get("days", "")
    days = int(wanted) if wanted in {str(number) for number in REPLAY_DAYS} else REPLAY_DAYS[1]
    return replay_rule(rule, project, signed_in(request), days=days, now=timezone.now())


def _require_administrator(request: HttpRequest, project: Project) -> None:
    for environment in concerned(Scope(project)):
        permissions.require(actor_of(request), permissions.ADMINISTER, environment)


def _form(
    project: Project, document: Mapping[str, Any], *, reason: str = "", error: GovernanceError | None = None
) -> RuleForm:
    teams = [(str(pk), name) for pk, name in Team.objects.filter(project=project).values_list("pk", "name")]
    people = get_user_model().objects.filter(is_active=True).order_by("first_name", "last_name", "username")
    problems = error.facts.get("problems") or [] if error else []
    return RuleForm(
        document,
        teams,
        [(str(person.pk), name_of(person)) for person in people],
        {str(item["path"]): str(item["message"]) for item in problems},
        reason,
        error.message if error else "",
    )


def _crumbs() -> list[tuple[str, str]]:
    return [("Policy rules", reverse("admin:rollouts_policyrule_changelist"))]
