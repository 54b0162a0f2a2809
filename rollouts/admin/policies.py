"""Approval policies: how many people must agree in each environment, and who."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils import timezone

from flags import permissions
from flags.admin.governed import GovernedAdmin, actor_of, form_errors, signed_in
from flags.models import Environment, EnvironmentUserGrant
from rollouts.admin.settings import say_proposed
from rollouts.models import ApprovalPolicy
from rollouts.policies import Policy
from rollouts.policies.approvals import LONGEST_EXPIRY_HOURS, MOST_APPROVALS
from rollouts.selectors.verdicts import name_of, policy_of, role_holders
from rollouts.services.settings import propose_setting
from rollouts.settings_kinds import Scope

READING = ["GET", "HEAD"]


@dataclass(frozen=True, slots=True)
class PolicyLine:
    """The policy of one environment, and who could approve now."""

    environment: Environment
    policy: Policy
    is_default: bool
    names: list[str]
    may_administer: bool

    @property
    def is_too_few(self) -> bool:
        """Whether not even everybody together could approve a change that none of them asked for."""
        return self.environment.is_protected and len(self.names) < self.policy.required_approvals

    @property
    def is_tight(self) -> bool:
        """Whether a change that one of the approvers asks for could not be approved."""
        return self.environment.is_protected and len(self.names) == self.policy.required_approvals

    @property
    def expiry(self) -> str:
        """How long a request lives, in words."""
        return hours_in_words(self.policy.expires_after_hours)


def hours_in_words(hours: int) -> str:
    """336 is “14 days”."""
    if hours % 24 == 0:
        return f"{hours // 24} day{'' if hours == 24 else 's'}"
    return f"{hours} hour{'' if hours == 1 else 's'}"


def policy_lines(user: AbstractUser) -> list[PolicyLine]:
    """Every environment the person may look at with its policy: five queries."""
    environments = permissions.visible_environments(user).select_related("project")
    rows = list(environments.order_by("project__name", "position", "key"))
    policies = {row.environment_id: row.as_policy() for row in ApprovalPolicy.objects.filter(environment__in=rows)}
    holders = _approvers_in(rows)
    administers = permissions.environments_with(user, permissions.ADMINISTER)
    return [
        PolicyLine(
            environment,
            policies.get(environment.pk, Policy()),
            environment.pk not in policies,
            _eligible(holders.get(environment.pk, []), policies.get(environment.pk, Policy())),
            user.is_superuser or environment.pk in administers,
        )
        for environment in rows
    ]


def _approvers_in(environments: Collection[Environment]) -> dict[uuid.UUID, list[Any]]:
    grants = EnvironmentUserGrant.objects.filter(
        content_object__in=environments,
        permission__codename=permissions.APPROVE.removeprefix("flags."),
        user__is_active=True,
    )
    pairs = list(grants.values_list("content_object_id", "user_id"))
    people = get_user_model().objects.in_bulk([person for _, person in pairs])
    found: dict[uuid.UUID, list[Any]] = {}
    for environment_id, person_id in pairs:
        found.setdefault(environment_id, []).append(people[person_id])
    return found


def _eligible(people: Collection[Any], policy: Policy) -> list[str]:
    named = policy.named_approvers
    return sorted(name_of(person) for person in people if named is None or str(person.pk) in named)


class PolicyForm(forms.Form):
    """How many, who, how long, and why."""

    required_approvals = forms.IntegerField(
        min_value=1,
        max_value=MOST_APPROVALS,
        label="How many people must approve",
        help_text="Whoever asked never counts.",
    )
    who = forms.ChoiceField(
        choices=[("any", "Everybody with the role approver"), ("named", "Only the people chosen here")],
        label="Who may approve",
    )
    named_approvers = forms.MultipleChoiceField(
        required=False, label="Named approvers", widget=forms.CheckboxSelectMultiple
    )
    expires_after_hours = forms.IntegerField(
        min_value=1,
        max_value=LONGEST_EXPIRY_HOURS,
        label="Requests expire after how many hours",
        help_text="336 hours are 14 days. Counted from the submit, or from the time a request is scheduled for.",
    )
    reason = forms.CharField(
        max_length=4000, label="Why?", widget=forms.Textarea(attrs={"rows": 3}), help_text="Stands in the audit trail."
    )

    def __init__(self, *args: Any, people: Collection[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["named_approvers"].choices = list(people)  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """“Only these people” needs people; “everybody” forgets them."""
        cleaned = super().clean() or {}
        if cleaned.get("who") == "any":
            cleaned["named_approvers"] = []
        elif cleaned.get("who") == "named" and not cleaned.get("named_approvers"):
            self.add_error("named_approvers", "Choose the people who may approve, or admit everybody with the role.")
        return cleaned


@admin.register(ApprovalPolicy)
class ApprovalPolicyAdmin(GovernedAdmin):
    """One line per environment; the form of one. Requests under review go by the stricter of then and now."""

    def visible_to(self, user: AbstractUser, queryset: QuerySet[ApprovalPolicy]) -> QuerySet[ApprovalPolicy]:
        return queryset.filter(environment__in=permissions.visible_environments(user))

    def get_urls(self) -> list[URLPattern]:
        return [
            self.door("", self.list_view, "rollouts_approvalpolicy_changelist"),
            self.door("<uuid:object_id>/", self.policy_view, "rollouts_approvalpolicy_change"),
        ]

    def list_view(self, request: HttpRequest) -> HttpResponseBase:
        """Every environment with its policy."""
        if request.method not in READING:
            return HttpResponseNotAllowed(READING)
        return self.page(
            request,
            "rollouts/policy_list.html",
            title="Approval policies",
            crumbs=[("Approval policies", "")],
            lines=policy_lines(signed_in(request)),
        )

    def policy_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponseBase:
        """The form. `object_id` is the environment: most never had a policy set."""
        if request.method not in {*READING, "POST"}:
            return HttpResponseNotAllowed([*READING, "POST"])
        environment = _environment(signed_in(request), object_id)
        permissions.require(actor_of(request), permissions.ADMINISTER, environment)
        people = [(holder.id, holder.name) for holder in role_holders(environment)]
        policy = policy_of(environment)
        if request.method != "POST":
            return self._form_page(request, environment, policy, PolicyForm(initial=_initial(policy), people=people))
        form = PolicyForm(request.POST, people=people)
        if form.is_valid():
            with form_errors(form):
                return HttpResponseRedirect(_save(request, environment, form.cleaned_data))
        return self._form_page(request, environment, policy, form, status=400)

    def _form_page(
        self, request: HttpRequest, environment: Environment, policy: Policy, form: PolicyForm, *, status: int = 200
    ) -> HttpResponseBase:
        holders = role_holders(environment)
        named = policy.named_approvers
        return self.page(
            request,
            "rollouts/policy_edit.html",
            title=f"Approval policy of {environment.name}",
            status=status,
            crumbs=[
                ("Approval policies", reverse("admin:rollouts_approvalpolicy_changelist")),
                (f"{environment.name} of {environment.project.name}", ""),
            ],
            environment=environment,
            form=form,
            policy=policy,
            approvers=[holder for holder in holders if named is None or holder.id in named],
            holders=holders,
        )


def _environment(user: AbstractUser, object_id: uuid.UUID) -> Environment:
    visible = permissions.visible_environments(user)
    found = Q(pk=object_id) | Q(approval_policy__pk=object_id)
    environment = visible.select_related("project").filter(found).first()
    if environment is None:
        raise Http404
    return environment


def _initial(policy: Policy) -> dict[str, Any]:
    return {
        "required_approvals": policy.required_approvals,
        "who": "any" if policy.named_approvers is None else "named",
        "named_approvers": sorted(policy.named_approvers or ()),
        "expires_after_hours": policy.expires_after_hours,
    }


def _save(request: HttpRequest, environment: Environment, cleaned: dict[str, Any]) -> str:
    """Put the policy into force, or propose it where it would loosen something protected; where to go on."""
    names = ("required_approvals", "named_approvers", "expires_after_hours")
    proposal = propose_setting(
        "approval_policy",
        Scope.of_environment(environment),
        {name: cleaned[name] for name in names},
        actor=actor_of(request),
        reason=cleaned["reason"],
        now=timezone.now(),
    )
    if proposal is not None:
        return say_proposed(request, proposal)
    messages.success(request, f"The approval policy of {environment.name} is in force.")
    return reverse("admin:rollouts_approvalpolicy_changelist")
